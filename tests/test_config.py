"""Jobs: every problem at once, patches by dotted path, and a stored job that stays what it is."""

import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from cifar_dist.config import (
    Job,
    assigned,
    components,
    dump_yaml,
    job_schema,
    parse_job,
    parse_yaml,
    patched,
)
from cifar_dist.errors import ConfigError

DEFAULT = parse_job({})
NAMES = [(path, name) for path, registry in components().items() for name in registry.names]


def refusal(data: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_job(data)
    return str(caught.value).splitlines()


def patch_refusal(**overrides: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        patched(DEFAULT, {key.replace("__", "."): value for key, value in overrides.items()})
    return str(caught.value).splitlines()


def naming(path: str, name: str) -> dict[str, Any]:
    component = {"name": name}
    is_list = path == "recipe.augmentation"
    return {"recipe": {path.removeprefix("recipe."): [component] if is_list else component}}


def test_every_problem_is_told_at_once_with_the_nearest_name() -> None:
    recipe = {
        "epoch": 3,
        "batch_size": 0,
        "optimizer": {"name": "sdg"},
        "model": {"name": "lenet5", "dropuot": 0.1},
        "augmentation": [{"name": "cutout"}, {"name": "pad_crop", "padding": 99}, 3],
    }
    assert sorted(refusal({"recipe": recipe, "plaecment": {}})) == [
        "plaecment: unknown field; did you mean 'placement'?",
        "recipe.augmentation.1.padding=99: should be less than or equal to 16",
        "recipe.augmentation.2=3: should be an object",
        "recipe.batch_size=0: should be greater than or equal to 1",
        "recipe.epoch: unknown field in recipe; did you mean 'epochs'?",
        "recipe.model.dropuot: unknown field in recipe.model; did you mean 'dropout'?",
        "recipe.optimizer.name='sdg': unknown optimizer; did you mean 'sgd'?",
    ]


@pytest.mark.parametrize(
    ("recipe", "field"),
    [
        ({"epochs": True}, "recipe.epochs=True"),
        ({"epochs": "3"}, "recipe.epochs='3'"),
        ({"epochs": 3.0}, "recipe.epochs=3.0"),
        ({"validation_fraction": math.nan}, "recipe.validation_fraction=nan"),
        ({"optimizer": "sgd"}, "recipe.optimizer='sgd'"),
        ({"optimizer": {"lr": 1}}, "recipe.optimizer.name: required"),
        ({"optimizer": {"name": 5}}, "recipe.optimizer.name=5"),
        ({"model": {"name": "lenet5", "dropout": math.nan}}, "recipe.model.dropout=nan"),
        ({"model": {"name": "lenet5", "dropout": object()}}, "recipe.model.dropout="),
        ({"warmup_epochs": 10}, "recipe: warmup_epochs=10.0 must be less than epochs=10"),
        ({"data": "\udcff"}, "Invalid JSON"),
        (None, "recipe=None"),
    ],
)
def test_a_value_that_is_not_what_it_must_be_is_one_sentence(recipe: object, field: str) -> None:
    (problem,) = refusal({"recipe": recipe})
    assert problem.startswith(field)


@pytest.mark.parametrize("data", [[], "job", 3, True])
def test_a_job_is_a_mapping(data: object) -> None:
    fields = ", ".join(Job.model_fields)
    assert refusal(data) == [f"a job is a mapping of {fields}; got {data!r}"]


@pytest.mark.parametrize("name", ["A", "-a", "a_b", "a" * 42, "", "a\n"])
def test_a_name_is_plain(name: str) -> None:
    assert refusal({"name": name})[0].startswith("name=")


def test_an_empty_text_is_the_default_job() -> None:
    assert parse_job(parse_yaml("", "job.yaml")) == DEFAULT
    assert DEFAULT.title == "speednet"


@pytest.mark.parametrize(("path", "name"), NAMES)
def test_every_component_is_valid_by_its_name_alone(path: str, name: str) -> None:
    job = parse_job(naming(path, name))
    assert name in json.dumps(job.model_dump(mode="json"))


@pytest.mark.parametrize(("path", "name"), NAMES)
def test_a_stored_job_says_every_default_and_reads_back_the_same(path: str, name: str) -> None:
    job = parse_job(naming(path, name))
    stored = job.model_dump(mode="json")
    assert parse_job(json.loads(json.dumps(stored))) == job
    assert parse_job(parse_yaml(dump_yaml(stored), "stored")).model_dump(mode="json") == stored
    assert patched(job, {}) == job


def test_a_job_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        DEFAULT.recipe.epochs = 3


def test_dotted_patches_reach_fields_options_and_list_entries() -> None:
    overrides = {
        "name": "mine",
        "recipe.epochs": 3,
        "recipe.optimizer.lr": 0.5,
        "recipe.augmentation.1.padding": 3,
        "placement.workers": 2,
    }
    job = patched(DEFAULT, overrides)
    assert (job.name, job.recipe.epochs, job.placement.workers) == ("mine", 3, 2)
    assert job.recipe.optimizer.options["lr"] == 0.5
    assert job.recipe.augmentation[1].options["padding"] == 3
    assert DEFAULT.recipe.epochs == 10


def test_a_new_name_drops_the_options_beside_it_and_the_same_name_keeps_them() -> None:
    tuned = patched(DEFAULT, {"recipe.optimizer.lr": 0.5})
    assert patched(tuned, {"recipe.optimizer.name": "muon"}) == tuned
    changed = patched(tuned, {"recipe.optimizer.name": "sgd"}).recipe.optimizer
    assert changed == patched(DEFAULT, {"recipe.optimizer": {"name": "sgd"}}).recipe.optimizer


def test_a_patch_applies_sections_then_names_then_options_in_whatever_order_given() -> None:
    overrides = {
        "recipe.optimizer.momentum": 0.3,
        "recipe.optimizer.name": "sgd",
        "recipe.optimizer": {"name": "adam"},
        "recipe.augmentation.0.size": 4,
        "recipe.augmentation.0.name": "cutout",
    }
    for order in (overrides, dict(reversed(overrides.items()))):
        recipe = patched(DEFAULT, order).recipe
        assert (recipe.optimizer.name, recipe.optimizer.options["momentum"]) == ("sgd", 0.3)
        assert recipe.augmentation[0].options["size"] == 4


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("recipe.epoch", "recipe.epoch: unknown field in recipe; did you mean 'epochs'?"),
        ("epochs", "epochs: unknown field; valid: name, placement, recipe, s3, store"),
        ("optimizer.lr", "optimizer.lr: unknown path at 'optimizer'; valid: name, placement"),
        ("recipe.epochs.x", "recipe.epochs.x: 'recipe.epochs' has no fields"),
        ("recipe.model.name.x", "recipe.model.name.x: 'recipe.model.name' has no fields"),
        ("recipe.optimizer.rl", "recipe.optimizer.rl: unknown field in recipe.optimizer; valid"),
        ("recipe.augmentation.2", "recipe.augmentation.2: the list has 2 entries, counted from"),
        ("recipe.augmentation.2.p", "recipe.augmentation.2.p: unknown path at '2'; valid: 0, 1"),
        ("recipe.augmentation.-1", "recipe.augmentation.-1: the list has 2 entries"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_the_way(path: str, problem: str) -> None:
    (line,) = patch_refusal(**{path: 1})
    assert line.startswith(problem)


def test_all_wrong_paths_are_told_at_once() -> None:
    assert len(patch_refusal(recipe__epoch=1, recipe__modle__name="x", stroe=1)) == 3


def test_an_assignment_is_a_path_and_a_yaml_value() -> None:
    assert assigned("recipe.epochs=20") == ("recipe.epochs", 20)
    assert assigned("recipe.model.widths=[8, 8, 8]") == ("recipe.model.widths", [8, 8, 8])
    assert assigned("store=s3://a/b?c=d") == ("store", "s3://a/b?c=d")
    assert assigned("name=") == ("name", None)


@pytest.mark.parametrize("text", ["recipe.epochs", "=3", "a={", "a=&b 1", "a=\udcff"])
def test_a_malformed_assignment_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        assigned(text)


def test_the_schema_of_a_job_is_closed_and_knows_every_component() -> None:
    schema = job_schema()
    recipe = schema["$defs"]["Recipe"]["properties"]
    assert schema["additionalProperties"] is False
    for path, registry in components().items():
        field = recipe[path.removeprefix("recipe.")]
        alternatives = field.get("items", field)["oneOf"]
        assert [option["title"] for option in alternatives] == registry.names


def test_a_run_is_named_after_its_model_unless_it_has_a_name() -> None:
    assert patched(DEFAULT, {"recipe.model.name": "resnet18_cam"}).title == "resnet18-cam"
    assert Job(name="mine").title == "mine"
