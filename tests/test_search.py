"""Spaces say everything that is wrong with them at once; their trials follow from a seed alone."""

from pathlib import Path
from typing import Any

import pytest

from cifar_dist.config import patched
from cifar_dist.documents import TrialRow
from cifar_dist.errors import ConfigError
from cifar_dist.search import Space, rank, shipped_spaces, space_path

LR = "recipe.optimizer.lr"
SGD = {"recipe": {"optimizer": {"name": "sgd"}}}

every_shipped_space = pytest.mark.parametrize("name", shipped_spaces())


def plain(space: object, **fields: Any) -> dict[str, Any]:
    return {"description": "a test", "job": SGD, "trials": 50, "space": space, **fields}


def grid(space: object) -> dict[str, Any]:
    data = plain(space, sampler="grid")
    del data["trials"]
    return data


def refusal(data: object) -> str:
    with pytest.raises(ConfigError) as caught:
        Space.parse(data)
    return str(caught.value)


def row(
    trial: int, accuracy: float | None, loss: float | None, state: str = "finished"
) -> TrialRow:
    return TrialRow.model_validate(
        {
            "trial": trial,
            "state": state,
            "parameters": {},
            "epochs": 1,
            "best_epoch": 1,
            "validation_loss": loss,
            "validation_accuracy": accuracy,
            "rungs": [],
            "history": [],
            "start_seconds": None,
            "train_seconds": 1.0,
        }
    )


@every_shipped_space
def test_every_shipped_space_loads_and_all_its_trials_are_valid_jobs(name: str) -> None:
    space = Space.load(space_path(name))
    for trial in range(min(space.count, 12)):
        patched(space.job, space.proposal(trial, seed=7))
    assert len(space.description) > 80


@every_shipped_space
def test_a_stored_space_reads_back_as_itself(name: str) -> None:
    space = Space.load(space_path(name))
    assert Space.parse(space.model_dump(mode="json")) == space


def test_a_retraining_that_some_winner_could_not_have_is_refused_beforehand() -> None:
    names = {"recipe.schedule.name": {"choice": ["cosine", "plateau"]}}
    space = Space.parse(plain({**names, "recipe.warmup_epochs": {"integer": [0, 3]}}))
    space.check_retraining({"recipe.epochs": 4})
    space.check_retraining({})
    for path, value in (("recipe.epochs", 3), ("recipe.validation_fraction", 0.0)):
        with pytest.raises(ConfigError, match="some trials could not be retrained: "):
            space.check_retraining({path: value})


def test_trial_0_is_the_base_job_itself() -> None:
    assert Space.parse(plain({LR: {"uniform": [0.1, 1]}})).proposal(0, seed=1) == {}
    assert Space.parse(grid({"recipe.epochs": {"integer": [1, 3]}})).proposal(0, seed=1) == {}


def test_trials_follow_from_seed_and_number_alone() -> None:
    space = Space.parse(plain({LR: {"uniform": [0.1, 1]}, "recipe.epochs": {"integer": [1, 9]}}))
    drawn = [space.proposal(trial, seed=3) for trial in range(50)]
    assert [space.proposal(trial, seed=3) for trial in reversed(range(50))] == drawn[::-1]
    assert space.proposal(1, seed=4) != drawn[1] != drawn[2]


def test_a_parameter_more_leaves_the_draws_of_the_others_alone() -> None:
    narrow = Space.parse(plain({LR: {"uniform": [0.1, 1]}}))
    wide = Space.parse(plain({"recipe.epochs": {"integer": [1, 9]}, LR: {"uniform": [0.1, 1]}}))
    assert wide.proposal(5, seed=3)[LR] == narrow.proposal(5, seed=3)[LR]


@pytest.mark.parametrize(
    ("path", "parameter", "middle"),
    [
        (LR, {"uniform": [0.2, 1.0]}, 0.6),
        (LR, {"loguniform": [0.01, 1.0]}, 0.1),
        ("recipe.epochs", {"integer": [1, 9]}, 5),
    ],
)
def test_draws_fill_their_range(path: str, parameter: dict[str, Any], middle: float) -> None:
    space = Space.parse(plain({path: parameter}, trials=400))
    drawn = sorted(space.proposal(trial, seed=0)[path] for trial in range(1, 400))
    low, high = next(iter(parameter.values()))
    assert low <= drawn[0] < drawn[-1] <= high
    assert drawn[200] == pytest.approx(middle, rel=0.3)


def test_every_choice_and_both_ends_of_an_integer_are_drawn() -> None:
    space = Space.parse(
        plain(
            {
                "recipe.optimizer.name": {"choice": ["sgd", "adamw", "muon"]},
                "recipe.epochs": {"integer": [2, 4]},
            }
        )
    )
    drawn = [tuple(space.proposal(trial, seed=0).values()) for trial in range(1, 50)]
    assert {name for name, _ in drawn} == {"sgd", "adamw", "muon"}
    assert {epochs for _, epochs in drawn} == {2, 3, 4}


def test_a_grid_takes_every_combination_once() -> None:
    space = Space.parse(
        grid(
            {"recipe.epochs": {"integer": [1, 3]}, "recipe.precision": {"choice": ["fp32", "bf16"]}}
        )
    )
    points = [tuple(space.proposal(trial, seed=9).values()) for trial in range(1, space.count)]
    assert points == [(epochs, kind) for epochs in (1, 2, 3) for kind in ("fp32", "bf16")]


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({LR: 0.1}, f"space.{LR}: must be one of"),
        ({LR: "tune.uniform(0, 1)"}, f"space.{LR}: must be one of"),
        ({LR: {"uniform": [0.1, 1], "choice": [1, 2]}}, f"space.{LR}: must be one of"),
        ({LR: {"unifrom": [0.1, 1]}}, "did you mean 'uniform'?"),
        ({LR: {"uniform": [0.1]}}, "should have at least 2 items"),
        ({LR: {"uniform": [0.1, "1"]}}, "uniform.1='1': should be a valid number"),
        ({LR: {"uniform": [0.1, True]}}, "uniform.1=True: should be a valid number"),
        ({LR: {"uniform": [0.5, 0.5]}}, "low=0.5 must be below high=0.5"),
        ({LR: {"loguniform": [0.5, 0.1]}}, "low=0.5 must be below high=0.1"),
        ({LR: {"loguniform": [0.0, 0.1]}}, "low=0.0 must be above 0"),
        ({LR: {"uniform": [-1.0, 0.1]}}, f"{LR}=-1.0: should be greater than 0"),
        ({LR: {"uniform": [1.0, 1e9]}}, f"{LR}=1000000000.0: should be less than or equal to"),
        ({"recipe.epochs": {"integer": [1, 2.5]}}, "integer.1=2.5: should be a valid integer"),
        ({"recipe.epochs": {"integer": [1, 10**30]}}, "should be less than or equal to"),
        ({"recipe.epochs": {"uniform": [1, 3]}}, "recipe.epochs=1.0: should be a valid integer"),
        ({LR: {"choice": []}}, "choice needs two values or more"),
        ({LR: {"choice": [0.1]}}, "choice needs two values or more"),
        ({LR: {"choice": [1, 0.5, 1.0]}}, "choice names a value twice"),
        ({"recipe.optimizer.lrr": {"uniform": [0, 1]}}, "did you mean 'lr'?"),
        ({"recipe.optimiser.lr": {"uniform": [0, 1]}}, "did you mean 'optimizer'?"),
        ({"recipe.optimizer.name": {"choice": ["sgd", "adm"]}}, "did you mean 'adam'?"),
        ({"placement.workers": {"integer": [1, 2]}}, "all trials share it"),
        ({"recipe.data": {"choice": ["sample", "synthetic"]}}, "all trials share it"),
        ({"recipe.optimizer.lr.x": {"uniform": [0, 1]}}, "'recipe.optimizer.lr' has no fields"),
        ({LR: {"choice": [0.1, "0.2"]}}, f"{LR}.choice.1='0.2': should be a valid number"),
        ({LR: {"choice": list(range(1, 200))}}, "should have at most 100 items"),
        ({LR: {"uniform": [0.1, 1], "step": 0.2}}, "low=0.1 to 0.9, not to high=1.0"),
        ({LR: {"uniform": [0.1, 1], "step": 2}}, "low=0.1 to 0.1, not to high=1.0"),
        ({LR: {"uniform": [0.1, 1], "step": 0}}, "step=0: should be greater than 0"),
        ({LR: {"uniform": [0.1, 1], "step": 1e-20}}, "too fine to count"),
        ({LR: {"loguniform": [0.1, 1], "step": 0.1}}, "magnitudes have no even step"),
        ({LR: {"choice": [0.1, 1], "step": 0.1}}, "leave it out beside choice"),
        ({"recipe.epochs": {"integer": [1, 3], "step": 0.5}}, "must be a whole number"),
        ({}, "space={}: should have at least 1 item"),
    ],
)
def test_a_wrong_space_is_a_sentence_for_each_wrong_value(
    space: dict[str, Any], sentence: str
) -> None:
    lines = refusal(plain(space)).splitlines()
    assert sentence in lines[0]
    assert len(lines) <= 2
    assert all(next(iter(space), "space") in line for line in lines)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"trials": 0}, "trials=0: should be greater than or equal to 1"),
        ({"trials": 10_001}, "trials=10001: should be less than or equal to 10000"),
        ({"trials": True}, "trials=True: should be a valid integer"),
        ({"trials": None}, "trials: required with sampler random"),
        ({"sampler": "hyperband"}, "should be 'random', 'grid' or 'tpe'"),
        ({"asha": {"grace_epochs": 11}}, "must not exceed the job's recipe.epochs=10"),
        ({"asha": {"reduction_factor": 1}}, "should be greater than or equal to 2"),
        ({"asha": {"rungs": "stop"}}, "should be 'continue' or 'restart'"),
        ({"asha": {"brackets": 4}}, "trials of these epochs have 3; use at most 3"),
        ({"budget": {"secons": 5}}, "did you mean 'seconds'?"),
        ({"metric": "loss"}, "metric: unknown field"),
        ({"job": {"recipe": {"epoch": 3}}}, "job.recipe.epoch: unknown field"),
        ({"job": {"recipe": {"validation_fraction": 0.0}}}, "ranked on validation images"),
        ({"job": "speednett"}, "'speednett' is no shipped recipe; did you mean 'speednet'"),
        ({"job": 3}, "job: a job is a mapping"),
        ({"startup_trials": 3}, "startup_trials: belongs to sampler tpe"),
        ({"sampler": "tpe", "trials": None}, "trials: required with sampler tpe"),
        ({"sampler": "tpe", "startup_trials": 0}, "should be greater than or equal to 1"),
    ],
)
def test_a_wrong_field_beside_the_space_is_one_sentence(fields: Any, sentence: str) -> None:
    message = refusal(plain({"recipe.label_smoothing": {"uniform": [0, 0.1]}}, **fields))
    assert sentence in message
    assert "\n" not in message


def test_all_problems_come_at_once() -> None:
    message = refusal(plain({LR: {"uniform": [2, 1]}, "recipe.epochs": {"choice": []}}, trials=0))
    assert len(message.splitlines()) == 3


def test_an_option_must_exist_beside_every_name_that_may_be_chosen() -> None:
    message = refusal(
        plain(
            {
                "recipe.optimizer.name": {"choice": ["sgd", "adamw"]},
                "recipe.optimizer.momentum": {"uniform": [0.8, 0.9]},
            }
        )
    )
    assert message.startswith("space.recipe.optimizer.momentum: unknown field")
    assert message.endswith("(with recipe.optimizer.name='adamw')")


def test_a_component_and_its_option_cannot_both_be_searched() -> None:
    whole = [{"name": "sgd"}, {"name": "adam"}]
    message = refusal(plain({"recipe.optimizer": {"choice": whole}, LR: {"uniform": [0.1, 1]}}))
    assert f"space.{LR}: lies inside space.recipe.optimizer" in message


def test_rules_that_bind_two_fields_are_checked_at_load() -> None:
    space = {
        "recipe.epochs": {"choice": [2, 10]},
        "recipe.warmup_epochs": {"uniform": [0.0, 3.0]},
    }
    assert "warmup_epochs=3.0 must be less than epochs=2" in refusal(plain(space, asha=None))


def test_a_grid_refuses_real_numbers_trials_and_too_many_points() -> None:
    assert "a grid cannot list a real number" in refusal(grid({LR: {"uniform": [0.1, 1]}}))
    assert "more than 10000" in refusal(grid({"recipe.epochs": {"integer": [1, 10_000]}}))
    counted = {**grid({"recipe.epochs": {"integer": [1, 3]}}), "trials": 4}
    assert "must be left out with sampler grid" in refusal(counted)


def test_something_else_than_a_mapping_is_one_sentence() -> None:
    assert refusal([1, 2]).startswith("a search space is a mapping of description, job")


def test_a_space_is_found_by_name_or_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.touch()
    assert space_path(str(path)) == path
    assert space_path("quickstart").name == "quickstart.yaml"
    with pytest.raises(ConfigError, match="did you mean 'quickstart'"):
        space_path("quickstrat")


def test_ranking_goes_by_accuracy_then_loss_then_number_and_puts_failures_last() -> None:
    rows = [
        row(0, 0.9, 0.1, "failed"),
        row(1, None, None),
        row(2, 0.7, 0.5),
        row(3, 0.8, 0.6),
        row(4, 0.8, 0.4, "pruned"),
        row(5, 0.8, 0.4),
    ]
    assert [found.trial for found in rank(rows)] == [4, 5, 3, 2, 1, 0]
