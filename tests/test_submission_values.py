"""The chart's values: one model, and the two files of the chart that follow from it."""

import json
from typing import Any

import pytest
from jsonschema import Draft7Validator
from pydantic import BaseModel

from cifar_dist import __version__
from cifar_dist.config import load_yaml, parse_yaml, shipped_chart
from cifar_dist.errors import ConfigError
from cifar_dist.submission.chart import full_name
from cifar_dist.submission.pods import WorkerGroup
from cifar_dist.submission.schema import values_schema
from cifar_dist.submission.values import Values, complete, default_values

CHART = shipped_chart()
DIGEST = "sha256:" + "0" * 64
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("mode", {"mode": "jobs"}),
    ("job.submissionMode", {"job": {"submissionMode": "SidecarMode"}}),
    ("job.name", {"job": {"name": "a" * 48}}),
    ("job.name", {"job": {"name": "Dropout"}}),
    ("job.ttlSeconds", {"job": {"ttlSeconds": -1}}),
    ("image.tag", {"image": {"tag": "latest"}}),
    ("image.digest", {"image": {"digest": "md5:00"}}),
    ("ray.version", {"ray": {"version": ""}}),
    ("ray.version", {"ray": {"version": None}}),
    ("store.accessKey", {"store": {"accessKey": "AKIA"}}),
    ("store.uri", {"store": {"uri": "http://bucket"}}),
    ("store.endpoint", {"store": {"endpoint": "http://s3.example.org"}}),
    ("store.endpoint", {"store": {"endpoint": "https://key:secret@s3.example.org"}}),
    ("workerGroups.cpu.shm", {"workerGroups": {"cpu": {"shm": "2GB"}}}),
    (
        "workerGroups.cpu.resources.limits",
        {"workerGroups": {"cpu": {"resources": {"limits": {"memory": "8Gib"}}}}},
    ),
    ("workerGroups", {"workerGroups": {"GPU": {"enabled": True}}}),
    ("metrics.port", {"metrics": {"port": 70_000}}),
    ("queue.type", {"queue": {"type": "slurm"}}),
    ("monitoring.podMonitor.enabled", {"monitoring": {"podMonitor": {"enabled": "maybe"}}}),
    ("nothing", {"nothing": 1}),
]


def laid(values: dict[str, Any], below: dict[str, Any] | None = None) -> dict[str, Any]:
    """Lay values over the chart's as helm does."""
    merged = dict(default_values() if below is None else below)
    for key, value in values.items():
        under = merged.get(key)
        merged[key] = laid(value, under or {}) if isinstance(value, dict) else value
        if value is None:
            del merged[key]
    return merged


def test_the_schema_of_the_chart_is_that_of_the_model() -> None:
    written = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    assert written == values_schema(), "run `make schema`"


def test_the_values_of_the_chart_are_the_defaults_of_the_model() -> None:
    assert load_yaml(CHART / "values.yaml") == default_values()


def test_every_value_of_the_chart_says_what_it_is() -> None:
    lines = (CHART / "values.yaml").read_text("utf-8").splitlines()
    said = [line.strip() for line in lines if line.strip().startswith("# --")]

    def count(model: BaseModel) -> int:
        fields = {name: getattr(model, name) for name in type(model).model_fields}
        groups = [group for group in fields.get("worker_groups", {}).values()]
        inner = [value for value in fields.values() if isinstance(value, BaseModel)]
        own = len(fields.keys() - {"global_"}) + len(groups)
        return own + sum(map(count, inner + groups))

    assert len(said) == count(Values())
    assert all(len(line) > len("# -- a") for line in said)


def test_the_schema_is_draft_07_closed_and_points_only_into_itself() -> None:
    schema = values_schema()
    Draft7Validator.check_schema(schema)
    text = json.dumps(schema)
    assert text.count('"$ref"') == text.count('"$ref": "#/definitions/')
    for section in (schema, *schema["definitions"].values()):
        assert section["additionalProperties"] is False


def test_the_defaults_and_what_helm_adds_pass_the_schema() -> None:
    assert not list(Draft7Validator(values_schema()).iter_errors(default_values() | {"global": {}}))


@pytest.mark.parametrize(
    ("key", "values"), WRONG, ids=[f"{k}-{i}" for i, (k, _) in enumerate(WRONG)]
)
def test_a_wrong_value_is_refused_by_model_and_schema_with_its_key(
    key: str, values: dict[str, Any]
) -> None:
    found = list(Draft7Validator(values_schema()).iter_errors(laid(values)))
    section, _, name = key.rpartition(".")
    paths = {".".join(map(str, error.absolute_path)) for error in found}
    assert any(path.startswith(key) for path in paths) or (
        section in paths and any(name in error.message for error in found)
    )
    if key != "ray.version" or values["ray"]["version"] is not None:  # the model has its default
        with pytest.raises(ConfigError, match=key.replace(".", r"\.")):
            complete(values)


def test_the_chart_has_the_version_of_the_package() -> None:
    chart = load_yaml(CHART / "Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_a_long_release_is_named_here_as_the_chart_names_it() -> None:
    # As helm rendered it: 35 letters and four of the digest.
    assert full_name("release-with-a-very-long-name-indeed-yes", {}) == (
        "release-with-a-very-long-name-indee-9fe5"
    )


def test_layers_merge_as_helm_merges_them() -> None:
    gpu = "nvidia.com/gpu"
    values = complete(
        {"workerGroups": {"gpu": {"enabled": True}}, "image": {"digest": DIGEST}},
        {"workerGroups": {"gpu": {"resources": {"limits": {gpu: None}}}, "big": {"shm": "4Gi"}}},
    )
    group = values.worker_groups["gpu"]
    assert (group.enabled, gpu in group.resources.limits, gpu in group.resources.requests) == (
        True,
        False,
        True,
    )
    assert (set(values.worker_groups), values.image.digest) == ({"big", "cpu", "gpu"}, DIGEST)


def test_the_chart_completes_a_new_group_as_the_model_does() -> None:
    text = (CHART / "templates" / "_helpers.tpl").read_text("utf-8")
    given = text.partition("$defaults := `")[2].partition("`")[0]
    assert parse_yaml(given, "the group's defaults") == WorkerGroup().model_dump(mode="json")
