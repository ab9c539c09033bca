"""A sweep says beside what it spent what its first timed steps let expect, where they can."""

from pathlib import Path
from typing import Any

import pytest

from cifar_dist.cluster.planned import beside_planned, planned_seconds
from cifar_dist.documents import TrialSpan
from cifar_dist.report.results import sweep_results
from cifar_dist.runs import Sweep
from cifar_dist.search import Space
from cifar_dist.store import Store, open_store
from tests.result_documents import sweep_document
from tests.tiny import make_job

TIMED = {"name": "bf16", "milliseconds": {"fp32": 9.0, "bf16": 5.0}, "images": 100}
LR = "recipe.optimizer.lr"


@pytest.fixture
def disk(tmp_path: Path) -> Store:
    """Give an empty store in a folder."""
    return open_store(str(tmp_path / "store"))


def a_sweep(disk: Store, verdict: dict[str, Any]) -> Sweep:
    sweep = Sweep(disk, "sweeps/tiny-00000000")
    sweep.create({"data": {"train_images": 1_800, "validation_images": 600}})
    sweep.record("precision.json", verdict)
    return sweep


def a_space(path: str = LR, **job: Any) -> Space:
    values = {"uniform": [0.01, 0.1]} if path == LR else {"choice": ["lenet5", "simple_cnn"]}
    whole = make_job(recipe__epochs=5, **job).model_dump(mode="json")
    asked = {"description": "d", "job": whole, "trials": 4, "space": {path: values}}
    return Space.parse({**asked, "asha": None})


def test_the_steps_that_chose_the_precision_say_what_a_sweep_will_hold(disk: Store) -> None:
    found = planned_seconds(a_space(), a_sweep(disk, TIMED), 6)
    assert found == pytest.approx(6 * 5 * (1_800 + 600 / 3) * 0.005 / 100)


@pytest.mark.parametrize(
    ("space", "verdict"),
    [
        (a_space(), {"name": "fp32", "milliseconds": {}}),
        (a_space("recipe.model.name"), TIMED),
        (a_space(placement__workers=2), TIMED),
    ],
)
def test_nothing_is_expected_where_no_step_stands_for_all(
    space: Space, verdict: dict[str, Any], disk: Store
) -> None:
    assert planned_seconds(space, a_sweep(disk, verdict), 4) is None


def test_actual_over_planned_stands_in_document_and_report() -> None:
    cost = sweep_document().cost
    assert beside_planned(cost, None, []) == cost
    spans = [TrialSpan(trial=n, begin_seconds=0.0, end_seconds=10.0) for n in range(2)]
    found = beside_planned(cost, 16.0, spans)
    assert found.planned_cpu_seconds == pytest.approx(cost.cpu_seconds * 0.8)
    assert found.actual_over_planned == pytest.approx(1.25)
    assert "1.25 × what the first timed steps let expect" in sweep_results(
        sweep_document(cost=found)
    )
