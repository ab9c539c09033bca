"""A plan is arithmetic on a few timed steps, and says what it rests on and what does not fit."""

from typing import Any

import pytest
import torch

from cifar_dist.config import Recipe
from cifar_dist.documents import PlanDocument, PlannedTotal
from cifar_dist.learner import Learner
from cifar_dist.plan import STEPS, Bench, Plan, plan
from cifar_dist.plan.combinations import combinations
from cifar_dist.plan.cost import END_SECONDS, RAY_START_SECONDS, TRIAL_START_SECONDS
from cifar_dist.plan.measure import Measured
from cifar_dist.plan.room import Room
from cifar_dist.plan.scaling import LATENCY_SECONDS, Alone, scaled, scaling
from cifar_dist.report.plan import plan_text
from cifar_dist.search import Space, space_path
from tests.commands import Program, document
from tests.tiny import make_job

STEP, IMAGE = 0.1, 0.001  # seconds that a step and an evaluated image take
ROOM = Room(cpus=2, memory_bytes=8 * 10**9, gpu_memory_bytes=None, store_bytes=10**9)
LR = "recipe.optimizer.lr"
PINNED = ("--set", "recipe.precision=fp32")


MEASURED = Measured(
    step_seconds=(STEP,) * 7,
    cpu_share=1.0,
    evaluation_seconds=IMAGE,
    memory_bytes=10**9,
    gpu_memory_bytes=None,
    gradient_bytes=4 * 10**6,
    checkpoint_bytes=10**6,
    parameters=10**6,
    norms=3,
)


class Clocked(Bench):
    """A bench whose steps all take the same time."""

    def verdict(self, recipe: Recipe) -> dict[str, Any]:
        """Choose fp32."""
        return {"name": "fp32", "reason": "a test", "milliseconds": {}}

    def measure(self, recipe: Recipe, precision: str, steps: int) -> Measured:
        """Take no step."""
        return MEASURED


def a_space(trials: int = 4, job: dict[str, Any] | None = None, **fields: Any) -> Space:
    whole = make_job(recipe__epochs=5, **(job or {})).model_dump(mode="json")
    searched = fields.pop("space", {LR: {"uniform": [0.01, 0.1]}})
    asked = {"description": "d", "job": whole, "trials": trials, "space": searched, "asha": None}
    return Space.parse({**asked, **fields})


def planned(space: Space, room: Room = ROOM) -> PlanDocument:
    return plan(Plan(space.job, space), Clocked, room)


def totals(document: PlanDocument) -> dict[str, PlannedTotal]:
    return {row.name: row for row in document.totals}


def test_a_sweep_costs_its_epochs_its_evaluations_and_its_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cifar_dist.plan.owned_cpus", lambda: 2)
    prices = {"placement__cpu_hour_price": 3.6, "placement__cpus_per_worker": 1}
    found = totals(planned(a_space(4, prices)))
    epoch = 1_800 / 100 * STEP + 200 * IMAGE
    held = 4 * 5 * epoch + 4 * TRIAL_START_SECONDS
    assert found["epochs"].expected == 20
    assert found["trial_seconds"].expected == pytest.approx(held)
    assert found["cpu_hours"].expected == pytest.approx(held / 3600)
    assert found["cost"].expected == pytest.approx(held / 3600 * 3.6)
    outside = RAY_START_SECONDS + END_SECONDS
    assert found["wall_seconds"].expected == pytest.approx(outside + held / 2 + 5 * epoch / 4)
    for row in found.values():
        assert row.low <= row.expected <= row.high <= row.most or row.name == "epochs"


def test_a_training_is_one_trial_on_all_cpus() -> None:
    job = make_job(recipe__epochs=3)
    found = plan(Plan(job), Clocked, ROOM)
    assert (found.kind, found.trials, found.slots) == ("run", 1, 1)
    assert [(row.until_epoch, row.trials_expected) for row in found.stages] == [(3, 1)]
    assert found.scaling == []


def test_what_does_not_fit_is_named_with_its_remedy() -> None:
    small = Room(cpus=2, memory_bytes=10**9, gpu_memory_bytes=None, store_bytes=10**5)
    found = planned(a_space(), small)
    failed = {row.name: row.remedy for row in found.fits if row.verdict == "failed"}
    assert found.exit_code == 2
    assert "--concurrency" in (failed["memory_bytes"] or "")
    assert "--store" in (failed["store_bytes"] or "")
    assert "2 things will not fit" in plan_text(found)


def test_a_budget_that_is_too_small_is_a_warning_as_the_sweep_may_go_on_later() -> None:
    found = planned(a_space(budget={"seconds": 5, "cpu_hours": 1_000}))
    rows = {row.name: row for row in found.fits}
    assert (rows["budget_seconds"].verdict, rows["budget_cpu_hours"].verdict) == ("warning", "ok")
    assert "raise it" in (rows["budget_seconds"].remedy or "")
    assert found.exit_code == 0


def test_more_workers_than_there_are_is_an_estimate_on_paper() -> None:
    found = planned(a_space(job={"placement__workers": 64}))
    (cpus,) = [row for row in found.fits if row.name == "cpus"]
    assert (cpus.verdict, found.exit_code) == ("warning", 0)
    assert {8, 64, 1024} <= {row.workers for row in found.scaling}
    assert any("on paper, not a measurement" in line for line in found.assumptions)


def test_a_ring_sends_each_gradient_almost_twice_and_waits_for_every_message() -> None:
    alone = Alone(STEP, 100, 5_000_000, norms=0, epoch_images=1_000, evaluation_seconds=0.4)
    two = scaled(alone, 2, gigabits=1)
    sent = 5_000_000 * 8 / 1e9 + 2 * LATENCY_SECONDS
    assert two.communication_seconds == pytest.approx(sent)
    assert two.step_seconds == pytest.approx(STEP / 2 + sent)
    assert two.epoch_seconds == pytest.approx(10 * two.step_seconds + 0.2)
    assert scaled(alone, 1, gigabits=1).efficiency_ratio == 1
    rows = scaling(alone, 3, gigabits=1)
    efficiencies = [row.efficiency_ratio for row in rows]
    assert efficiencies == sorted(efficiencies, reverse=True)
    assert rows[-1].step_seconds > STEP / 100, "no share is smaller than an image"


def test_trials_that_cost_alike_are_timed_once() -> None:
    (one,) = combinations(Space.load(space_path("dropout")), 6)
    assert (one.share, one.stands_for) == (1.0, ())
    several = combinations(Space.load(space_path("architecture")), 6)
    assert len(several) > 1
    assert sum(each.share for each in several) == pytest.approx(1)


def test_what_is_not_timed_has_one_of_its_model_to_stand_for_it() -> None:
    searched = {
        "recipe.model.name": {"choice": ["lenet5", "simple_cnn"]},
        "recipe.batch_size": {"choice": [50, 100, 200]},
    }
    chosen = combinations(a_space(7, sampler="random", space=searched), 2)
    assert len(chosen) == 2
    stands = [(each.label.split("(")[0], each.stands_for) for each in chosen]
    assert sum(each.share for each in chosen) == pytest.approx(1)
    models = {model.partition(",")[0] for model, _ in stands}
    if len(models) == 2:
        assert all(other.startswith(model.partition(",")[0]) for model, o in stands for other in o)


def test_no_more_steps_are_taken_than_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, advance = [], Learner.advance

    def counted(self: Learner, batch: torch.Tensor) -> None:
        taken.append(len(batch))
        advance(self, batch)

    monkeypatch.setattr(Learner, "advance", counted)
    job = make_job(recipe__precision="auto", recipe__batch_size=20)
    found = plan(Plan(job), Bench, ROOM)
    (model,) = found.models
    assert 0 < model.steps_timed < len(taken) <= STEPS
    assert model.step_seconds_low <= model.step_seconds <= model.step_seconds_high
    assert model.memory_bytes > model.checkpoint_bytes > model.gradient_bytes > 200_000
    assert found.measured_on


def test_the_command_prints_a_table_or_one_document(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cifar_dist.plan.room.free_memory", lambda: 0)
    monkeypatch.setattr("cifar_dist.plan.measure", lambda *_: MEASURED)
    line = ["plan", "dropout", "--data", "synthetic", "--trials", "3", *PINNED]
    ended = program(*line, "--json")
    told = document("plan", ended.out)
    assert (ended.code, told["kind"], told["trials"], told["exit_code"]) == (2, "sweep", 3, 2)
    text = program(*line)
    assert text.code == 2
    assert "this machine: " in text.out
    assert "failed: memory: lower --concurrency" in text.out
