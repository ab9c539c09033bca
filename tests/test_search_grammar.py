"""Steps, conditions and nested choices: what they draw, and what is refused with its line."""

from pathlib import Path
from typing import Any

import pytest

from cifar_dist.errors import ConfigError
from cifar_dist.search import Space

NAME, LR = "recipe.optimizer.name", "recipe.optimizer.lr"
MOMENTUM, DROPOUT = "recipe.optimizer.momentum", "recipe.model.dropout"
SGD_OR_ADAMW = {"choice": ["sgd", "adamw"]}
NESTED = {
    "choice": [
        {"name": "sgd", "lr": {"loguniform": [0.01, 1.0]}, "momentum": {"choice": [0.8, 0.9]}},
        {"name": "adamw", "lr": {"loguniform": [0.0001, 0.01]}},
    ]
}


def chosen(option: object) -> dict[str, Any]:
    return {"recipe.optimizer": {"choice": [option, {"name": "adam"}]}}


def parsed(space: dict[str, Any], **fields: Any) -> Space:
    job = {"recipe": {"model": {"name": "lenet5"}, "optimizer": {"name": "sgd"}}}
    return Space.parse({"description": "d", "job": job, "trials": 40, "space": space, **fields})


def counted(space: dict[str, Any]) -> int:
    return parsed(space, sampler="grid", trials=None).count - 1


def draws(space: Space, seed: int = 0) -> list[dict[str, Any]]:
    return [space.proposal(trial, seed) for trial in range(1, space.count)]


def refusal(space: dict[str, Any], **fields: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(space, **fields)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "parameter", "points"),
    [
        (DROPOUT, {"uniform": [0.0, 0.5], "step": 0.1}, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        (LR, {"uniform": [0.1, 0.7], "step": 0.3}, [0.1, 0.4, 0.7]),
        ("recipe.batch_size", {"integer": [32, 128], "step": 32}, [32, 64, 96, 128]),
    ],
)
def test_a_step_gives_exactly_the_points_that_people_write(
    path: str, parameter: dict[str, Any], points: list[float]
) -> None:
    grid = parsed({path: parameter}, sampler="grid", trials=None)
    assert [found[path] for found in draws(grid)] == points
    drawn = {found[path] for found in draws(parsed({path: parameter}))}
    assert sorted(drawn) == points


def test_a_parameter_varies_only_where_its_condition_holds() -> None:
    space = parsed(
        {
            MOMENTUM: {"uniform": [0.8, 0.99], "when": {NAME: "sgd"}},
            NAME: SGD_OR_ADAMW,
        }
    )
    found = draws(space)
    assert {(point[NAME], MOMENTUM in point) for point in found} == {
        ("sgd", True),
        ("adamw", False),
    }


def test_conditions_take_lists_and_must_all_hold() -> None:
    when = {NAME: ["sgd", "muon"], "recipe.epochs": 10}
    space = parsed(
        {
            NAME: {"choice": ["sgd", "adamw", "muon"]},
            "recipe.epochs": {"integer": [9, 11]},
            MOMENTUM: {"uniform": [0.5, 0.9], "when": when},
        },
        trials=100,
    )
    for point in draws(space):
        holds = point[NAME] != "adamw" and point["recipe.epochs"] == 10
        assert (MOMENTUM in point) is holds


def test_a_condition_on_what_is_inactive_is_false() -> None:
    space = parsed(
        {
            NAME: SGD_OR_ADAMW,
            "recipe.optimizer.nesterov": {"choice": [True, False], "when": {NAME: "sgd"}},
            MOMENTUM: {"uniform": [0.8, 0.9], "when": {"recipe.optimizer.nesterov": True}},
        }
    )
    active = [point for point in draws(space) if MOMENTUM in point]
    assert active
    assert all(point["recipe.optimizer.nesterov"] is True for point in active)


def test_a_condition_may_name_a_field_that_the_job_fixes() -> None:
    space = {
        "recipe.label_smoothing": {"uniform": [0.0, 0.2]},
        DROPOUT: {"uniform": [0.0, 0.5], "when": {"recipe.model.name": "lenet5"}},
    }
    assert all(DROPOUT in point for point in draws(parsed(space)))
    other = parsed(space).changed({"recipe.model.name": "simple_cnn"}, None)
    assert not any(DROPOUT in point for point in draws(other))


def test_a_condition_looks_into_the_component_that_was_chosen() -> None:
    space = {
        "recipe.optimizer": NESTED,
        "recipe.warmup_epochs": {"choice": [0, 1], "when": {NAME: "adamw"}},
    }
    for point in draws(parsed(space)):
        assert ("recipe.warmup_epochs" in point) is (point["recipe.optimizer"]["name"] == "adamw")


def test_a_parameter_inside_an_option_is_drawn_only_with_it() -> None:
    seen = set()
    for point in draws(parsed({"recipe.optimizer": NESTED})):
        chosen = point["recipe.optimizer"]
        seen.add(chosen["name"])
        assert ("momentum" in chosen) is (chosen["name"] == "sgd")
        assert (chosen["lr"] >= 0.01) is (chosen["name"] == "sgd")
    assert seen == {"sgd", "adamw"}


def test_an_option_may_be_a_list_and_hold_choices_within_choices() -> None:
    fill = {"choice": ["reflect", "constant"]}
    crop = {"name": "pad_crop", "padding": {"integer": [2, 4]}, "fill": fill}
    space = {"recipe.augmentation": {"choice": [[], [{"name": "horizontal_flip"}, crop]]}}
    assert counted(space) == 1 + 3 * 2
    grid = parsed(space, sampler="grid", trials=None)
    assert draws(grid)[-1]["recipe.augmentation"][1] == {
        "name": "pad_crop",
        "padding": 4,
        "fill": "constant",
    }


def test_a_grid_counts_only_what_is_active_together() -> None:
    space = {
        NAME: {"choice": ["sgd", "adamw", "muon"]},
        MOMENTUM: {"choice": [0.8, 0.9, 0.95], "when": {NAME: ["sgd", "muon"]}},
        "recipe.epochs": {"integer": [1, 5]},
    }
    assert counted(space) == (3 + 3 + 1) * 5
    points = draws(parsed(space, sampler="grid", trials=None))
    assert len({str(point) for point in points}) == len(points) == 35


@pytest.mark.parametrize(
    ("conditions", "size"), [({}, 10**18), ({"when": {"recipe.epochs": 3}}, (10**9 - 1) + 10**9)]
)
def test_a_grid_too_large_is_counted_without_being_listed(
    conditions: dict[str, Any], size: int
) -> None:
    space = {
        "recipe.seed": {"integer": [1, 10**9], **conditions},
        "recipe.epochs": {"integer": [1, 10**4]},
        "recipe.batch_size": {"integer": [1, 10**4]},
    }
    assert "more than 10000" in refusal(space, sampler="grid", trials=None)
    one = {path: space[path] for path in ("recipe.seed", "recipe.epochs")}
    if conditions:
        assert parsed(one, asha=None).tree.size == 10**9 + 10**4 - 1


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({MOMENTUM: {"uniform": [0, 0.9], "when": {NAME: "adamw"}}, NAME: SGD_OR_ADAMW},
         f"{MOMENTUM}: unknown field in recipe.optimizer"),
        ({MOMENTUM: {"uniform": [0, 0.9], "when": {NAME: "adm"}}, NAME: SGD_OR_ADAMW},
         f"{MOMENTUM}.when.{NAME}='adm': is never drawn; space.{NAME} gives 'sgd', 'adamw'"),
        ({MOMENTUM: {"uniform": [0, 0.9], "when": {NAME: []}}}, "names no value"),
        ({MOMENTUM: {"uniform": [0, 0.9], "when": {}}}, "at least 1 item"),
        ({MOMENTUM: {"uniform": [0, 0.9], "when": {NAME: "adm"}}}, "did you mean 'adam'"),
        ({MOMENTUM: {"uniform": [0, 0.9], "when": {"recipe.optimizer.nam": "x"}}},
         "did you mean 'name'"),
        ({MOMENTUM: {"uniform": [0, 0.9], "when": {MOMENTUM: 0.5}}}, "is never drawn twice"),
        ({MOMENTUM: {"choice": [0, 0.9], "when": {MOMENTUM: 0.9}}},
         f"depends on itself: {MOMENTUM} needs {MOMENTUM}"),
        ({MOMENTUM: {"choice": [0, 0.9], "when": {DROPOUT: 0.1}},
          DROPOUT: {"choice": [0.1, 0.2], "when": {MOMENTUM: 0.9}}},
         f"depends on itself: {MOMENTUM} needs {DROPOUT} needs {MOMENTUM}"),
        ({MOMENTUM: {"choice": [0, 0.9], "when": {LR: 0.1}}, LR: {"uniform": [0.1, 1]}},
         "a real number is never drawn twice"),
        ({MOMENTUM: {"choice": [0, 0.9], "when": {"recipe.epochs": 4}},
          "recipe.epochs": {"integer": [3, 7], "step": 2}},
         "when.recipe.epochs=4: is never drawn; space.recipe.epochs gives 3 to 7"),
        ({MOMENTUM: {"choice": [0, 0.9], "when": {"recipe.schedule.final": 0.0}},
          "recipe.schedule.name": {"choice": ["linear", "cosine"]}},
         "depends on recipe.schedule.name, which is searched"),
        ({MOMENTUM: {"choice": [0, 0.9], "when": {LR: 0.1}}, NAME: SGD_OR_ADAMW},
         f"depends on {NAME}, which is searched"),
        ({"recipe.epochs": {"choice": [2, 3], "when": {LR: 0.1}}, "recipe.optimizer": NESTED},
         "varies inside an option"),
        ({DROPOUT: {"uniform": [0, 0.5], "when": {"recipe.model.name": "simple_cnn"}}},
         "nothing is searched"),
        ({"recipe.batch_size": {"choice": [50, 60], "when": {"recipe.epochs": 2, MOMENTUM: 0.9}},
          MOMENTUM: {"choice": [0.8, 0.9], "when": {"recipe.epochs": 3}},
          "recipe.epochs": {"choice": [2, 3]}},
         "space.recipe.batch_size.when: can never hold"),
        (chosen({"name": "sgd", "lr": {"unifrom": [0, 1]}}),
         "space.recipe.optimizer.choice.0.lr.unifrom: unknown field"),
        (chosen({"name": "sgd", "lrr": {"uniform": [0.1, 1]}}),
         "space.recipe.optimizer.choice.0.lrr: unknown field in recipe.optimizer; did you mean"),
        (chosen({"name": "sgd", "lr": {"uniform": [0, 1]}}),
         "space.recipe.optimizer.choice.0.lr=0.0: should be greater than 0"),
        (chosen({"name": "sgd", "lr": {"uniform": [0.1, 1], "when": {NAME: "sgd"}}}),
         "choice.0.lr.when: it is searched when its option is chosen"),
        (chosen({"nam": "sgd"}), "space.recipe.optimizer.choice.0.nam: unknown field"),
        (chosen("sgd"), "space.recipe.optimizer.choice.0"),
        ({"recipe": {"choice": [{"name": "a"}, 1]}}, "space.recipe: all trials share it"),
        ({"name": {"choice": ["a", "b"]}}, "space.name: all trials share it"),
        ({"store": {"choice": ["a", "b"]}}, "space.store: all trials share it"),
    ],
)  # fmt: skip
def test_a_wrong_condition_or_option_is_one_sentence_at_its_place(
    space: dict[str, Any], sentence: str
) -> None:
    message = refusal(space, asha=None)
    assert sentence in message
    assert len(message.splitlines()) == 1
    assert message.startswith("space")


def test_both_ends_are_tried_beside_every_choice_that_they_may_meet() -> None:
    space = {
        "recipe.epochs": {"choice": [5, 2, 9]},
        "recipe.schedule.name": {"choice": ["linear", "cosine"]},
        "recipe.warmup_epochs": {
            "uniform": [0.0, 2.0],
            "when": {"recipe.epochs": [2, 9], "recipe.schedule.name": "cosine"},
        },
    }
    assert "warmup_epochs=2.0 must be less than epochs=2" in refusal(space)
    space["recipe.warmup_epochs"]["when"] = {"recipe.epochs": [5, 9]}
    parsed(space)


def test_too_many_parameters_within_options_are_refused() -> None:
    rates = [{"choice": [0.1, 0.2 + index]} for index in range(100)]
    decay = {"choice": [0.0, 0.1]}
    options = [{"name": "adam", "lr": rate, "beta1": decay, "beta2": decay} for rate in rates]
    assert "301 parameters" in refusal({"recipe.optimizer": {"choice": options}})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("job: {recipe:\n {epocs: 3}}", r"3: job\.recipe\.epocs: unknown field"),
        ("sampler:\n nosuch", "2: sampler='nosuch': should be"),
        ("space:\n recipe.optimizer.lrr: {uniform: [0.1, 1]}", r"3: space\..*did you mean 'lr'"),
        ("space:\n recipe.epochs: {choice:\n  [3,\n  '4']}", "5: space.recipe.epochs.choice.1='4'"),
        (
            "space:\n recipe.optimizer:\n  choice:\n  - {name: sgd}\n"
            "  - name: adam\n    beta3: 0.1",
            r"7: space\.recipe\.optimizer\.choice\.1\.beta3: unknown field",
        ),
        ("space:\n recipe.epochs:\n  choice: [3, 4]\n  when: {a.b: 1}", "5: .*when.a.b: unknown"),
        ("space: {}", "2: space={}"),
        ("a: b", "2: a: unknown field"),
    ],
)
def test_a_problem_of_a_file_names_its_line(text: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    space = "" if "space" in text else "\nspace: {recipe.optimizer.lr: {uniform: [0.1, 1]}}"
    path.write_text(f"description: d\n{text}\ntrials: 9{space}\n")
    with pytest.raises(ConfigError, match=rf"mine\.yaml:{line}"):
        Space.load(path)


def test_a_base_job_may_be_a_recipe_by_name() -> None:
    space = parsed({LR: {"loguniform": [0.001, 0.01]}}, job="lenet5")
    assert space.job.recipe.model.name == "lenet5"
    assert Space.parse(space.model_dump(mode="json")) == space
