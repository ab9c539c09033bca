"""What was asked for becomes the head's command: the same flags, one name, the user's file."""

import base64
import io
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.cli.tune import asked_space
from cifar_dist.config import load_job, parse_job, patched, recipe_path
from cifar_dist.errors import ConfigError
from cifar_dist.submission.asked import Asked, command, train_asked, tune_asked
from tests.commands import Program, python

SPACE = """description: rates
job: {recipe: {model: {name: lenet5}}}
trials: 3
space: {recipe.optimizer.lr: {loguniform: [0.01, 0.1]}}
"""
WHERE = {"store": "s3://research/team", "recipe.data": "s3://research/team"}


def of_space(name: str, /, *flags: str, **overrides: Any) -> Asked:
    """Ask for a sweep."""
    changes = {path.replace("__", "."): value for path, value in overrides.items()}
    return tune_asked(name, asked_space(name, changes, None), changes, flags)


def of_job(name: str | None = None, /, **overrides: Any) -> Asked:
    """Ask for a run."""
    changes = {path.replace("__", "."): value for path, value in overrides.items()}
    job = load_job(recipe_path(name)) if name else parse_job(None)
    return train_asked(name, patched(job, changes), changes)


def test_a_shipped_space_travels_by_its_name() -> None:
    run = command(of_space("dropout", "--trials", "5", recipe__epochs=3), WHERE, port=9400)
    assert shlex.split(run.line) == [
        "cifar-dist", "tune", "dropout", "--data", WHERE["recipe.data"], "--epochs", "3",
        "--store", WHERE["store"], "--trials", "5", "--resume", "--metrics-port", "9400",
    ]  # fmt: skip
    assert run.environment == {}
    assert run.name.startswith("dropout-") and len(run.name) == len("dropout-") + 8


def test_a_file_travels_as_text_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "My_Rates.yaml"
    path.write_text(SPACE)
    run = command(of_space(str(path)), WHERE)
    assert run.line.startswith("printenv CIFAR_DIST_SPACE | cifar-dist tune - --name my-rates ")
    assert run.environment == {"CIFAR_DIST_SPACE": SPACE}
    job = tmp_path / "job.yaml"
    job.write_text("recipe: {epochs: 3}\n")
    run = command(of_job(str(job)), WHERE)
    assert run.line.startswith("printenv CIFAR_DIST_JOB | cifar-dist train - ")
    assert run.environment == {"CIFAR_DIST_JOB": "recipe: {epochs: 3}\n"}


def test_a_text_that_ray_would_fill_in_travels_as_base64(tmp_path: Path) -> None:
    text = "name: mine # $HOME ${HOME}\n"
    (tmp_path / "job.yaml").write_text(text)
    run = command(of_job(str(tmp_path / "job.yaml")), WHERE).encoded()
    assert run.line.startswith("printenv CIFAR_DIST_JOB | base64 -d | cifar-dist train - ")
    sent = run.environment["CIFAR_DIST_JOB"]
    assert "$" not in sent and base64.b64decode(sent).decode() == text
    shipped = command(of_space("dropout"), WHERE)
    assert shipped.encoded() == shipped


def test_a_file_that_cannot_travel_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(SPACE + "#" * 96_000)
    with pytest.raises(ConfigError, match="96000 bytes"):
        of_space(str(path))


def test_the_same_again_has_the_same_name_and_anything_else_another() -> None:
    asked = of_job(recipe__epochs=3)
    name = command(asked, WHERE).name
    assert command(of_job(recipe__epochs=3), {**WHERE, "placement.workers": 2}).name == name
    others = [
        command(of_job(recipe__epochs=4), WHERE).name,
        command(asked, {**WHERE, "store": "s3://research/other"}).name,
        command(asked, {**WHERE, "recipe.data": "s3://research/other"}).name,
    ]
    assert len({name, *others}) == 4
    sweeps = [command(of_space("dropout", *flags), WHERE).name for flags in ((), ("--refit",))]
    assert sweeps[0] != sweeps[1]


def test_another_run_of_the_same_has_a_number_and_a_name_to_resume_by() -> None:
    first, third = (command(of_job(), WHERE, number) for number in (1, 3))
    assert third.name == f"{first.name}-3"
    assert "--name" not in first.line and "--name speednet-3" in third.line
    assert (first.title, third.title) == ("speednet", "speednet-3")
    assert "--resume" in third.line and "--fresh" not in third.line


@pytest.mark.parametrize("title", ["a" * 41, "a" * 33 + "-b", "0-days", "a"])
def test_a_name_is_one_that_kubernetes_takes(title: str) -> None:
    for number in (1, 999):
        name = command(of_job(name=title), WHERE, number).name
        assert len(name) <= 47 and name[0].isalpha() and "--" not in name


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("recipe.optimizer", {"name": "adamw", "lr": 1e-05}),
        ("recipe.schedule.name", "cosine"),
        ("tensorboard", "off"),
        ("placement.cpus_per_worker", 2.5),
        ("placement.deterministic", True),
        ("recipe.gradient_clip_norm", None),
        ("recipe.seed", 7),
    ],
)
def test_a_field_arrives_as_it_was_asked(path: str, value: Any) -> None:
    from cifar_dist.config import assigned

    words = shlex.split(command(of_job(**{path: value}), WHERE).line)
    if path == "recipe.seed":
        assert words[words.index("--seed") + 1] == "7"
    else:
        given = [assigned(words[n + 1]) for n, word in enumerate(words) if word == "--set"]
        assert (path, value) in given


@pytest.mark.parametrize(
    ("changes", "usual", "expected"),
    [
        ({}, ("s3://p/x", "s3://p/d"), ("s3://p/x", "s3://p/d")),
        ({"store": "s3://mine"}, ("s3://p/x", "s3://p/d"), ("s3://mine", "s3://p/d")),
        ({"recipe.data": "s3://mine/d"}, ("s3://p/x", ""), ("s3://p/x", "s3://mine/d")),
        ({"recipe.data": "synthetic"}, ("s3://p/x", "s3://p/d"), ("s3://p/x", "synthetic")),
    ],
)
def test_what_was_asked_comes_before_the_platforms(
    changes: dict[str, str], usual: tuple[str, str], expected: tuple[str, str]
) -> None:
    assert tuple(of_job(**changes).located(*usual).values()) == expected


@pytest.mark.parametrize(
    ("changes", "usual", "said"),
    [
        ({}, ("", "s3://p/d"), "store=artifacts: .*--store"),
        ({"store": "/mnt/x"}, ("s3://p/x", "s3://p/d"), "store=/mnt/x: pods"),
        ({}, ("s3://p/x", ""), "recipe.data=sample: .*data push sample"),
        ({"recipe.data": "sample"}, ("s3://p/x", "s3://p/d"), "recipe.data=sample: "),
        ({"recipe.data": "/data/c.tar"}, ("s3://p/x", "s3://p/d"), "recipe.data=/data/c.tar: "),
    ],
)
def test_what_pods_cannot_reach_is_refused_with_its_remedy(
    changes: dict[str, str], usual: tuple[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        of_job(**changes).located(*usual)


def test_a_job_is_read_from_stdin_with_its_lines(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def given(text: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))

    given(SPACE.encode())
    ended = program("tune", "-", "--dry-run", "--name", "mine")
    assert (ended.code, ended.err) == (0, "") and "3 trials" in ended.out
    given(b"recipe:\n  epochs: 0\n")
    ended = program("train", "-")
    assert (ended.code, ended.out) == (2, "") and ended.err.startswith("cifar-dist: stdin:2: ")
    given(b"a" * 300_000)
    assert "stdin: larger than" in program("tune", "-").err
    given(b"\xff")
    assert "stdin: is not UTF-8" in program("tune", "-").err
    monkeypatch.setattr(sys, "stdin", None)
    assert "stdin: cannot be read" in program("train", "-").err


def test_nothing_heavy_is_loaded_to_ask(tmp_path: Path) -> None:
    code = """
import sys
sys.argv = ["cifar-dist", "submit", "tune", "--dry-run"]
from cifar_dist.cli import main
try:
    main()
finally:
    assert not {"torch", "ray", "boto3", "matplotlib"} & set(sys.modules)
"""
    process = python("-c", code, cwd=tmp_path)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2 and "AssertionError" not in said
