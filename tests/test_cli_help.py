"""What the program says about itself: help, flags, examples, exit codes and completion."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from cifar_dist import errors
from cifar_dist.cli.app import app
from cifar_dist.errors import CifarDistError, RunError
from tests.commands import Program, document, finished, listed, python

COMMON = "--json --debug"
LONG = f"--metrics-port --log-format {COMMON}"
PLACE = "--on --namespace --ray --allow-insecure"
FLAGS = {
    "train": "--model --epochs --batch-size --lr --data --seed --workers --store --name --set "
    f"--fresh --resume --lr-find --output --allow-insecure {LONG}",
    "resume": f"--store --workers --concurrency --max-hours --max-cost --allow-insecure {LONG}",
    "tune": "--trials --max-seconds --max-hours --max-cost --concurrency --epochs --data --seed "
    "--workers --final-epochs --refit --store --name --set --fresh --resume --extend --confirm "
    f"--seeds --dry-run --allow-insecure {LONG}",
    "submit ls": f"{PLACE} {COMMON}",
    "submit status": f"{PLACE} {COMMON}",
    "submit logs": f"--follow --tail {PLACE} {COMMON}",
    "submit stop": f"{PLACE} {COMMON}",
    "platform deploy": f"--on --namespace --release --values {COMMON}",
    "platform dashboard": f"--port --on --namespace --release {COMMON}",
    "platform fetch": f"--output --on --namespace --release {COMMON}",
    "data prepare": f"--from --download {COMMON}",
    "data push": COMMON,
    "data stats": f"--validation-fraction --seed {COMMON}",
    "data show": f"--output {COMMON}",
    "data figures": f"--output --validation-fraction --seed {COMMON}",
    "models list": COMMON,
    "models show": f"--figures {COMMON}",
    "artifacts ls": f"--kind --state --name --sort --store {COMMON}",
    "artifacts best": f"--store {COMMON}",
    "artifacts get": f"--output --checkpoint --force --store {COMMON}",
    "artifacts verify": f"--store {COMMON}",
    "artifacts compare": f"--output --store {COMMON}",
    "artifacts gc": f"--keep --keep-trials --older-than --dry-run --store {COMMON}",
    "artifacts pin": f"--step --checkpoint --store {COMMON}",
    "artifacts unpin": f"--store {COMMON}",
    "artifacts export": f"--format --output --store {COMMON}",
    "evaluate": f"--split --data --tta --store {COMMON}",
    "explain": f"--split --index --layer --class --method --output --store {COMMON}",
    "predict": f"--model --top --cam --store {COMMON}",
    "report get": f"--output --store {COMMON}",
    "report index": f"--output {COMMON}",
    "plan": "--train --trials --model --epochs --data --seed --workers --concurrency --gigabits "
    f"--store --set {COMMON}",
    "submit tune": "--trials --max-seconds --max-hours --max-cost --concurrency --epochs --data "
    "--seed --workers --final-epochs --refit --store --name --set --extend --confirm --seeds "
    "--fresh --on --namespace "
    f"--release --values --ray --follow --dry-run --allow-insecure {COMMON}",
    "submit train": "--model --epochs --batch-size --lr --data --seed --workers --store --name "
    "--set --fresh --on --namespace --release --values --ray --follow --dry-run "
    f"--allow-insecure {COMMON}",
    "doctor": f"--store --data --workers {COMMON}",
    "schema": COMMON,
}


@pytest.mark.parametrize("command", FLAGS)
def test_a_command_explains_each_of_its_flags_and_no_other(command: str, program: Program) -> None:
    ended = program(*command.split(), "--help")
    listed = re.findall(r"^ +(?:-h, )?(--[a-z-]+)", ended.out, re.MULTILINE)
    assert ended.code == 0
    assert sorted(listed) == sorted([*FLAGS[command].split(), "--help"])


def test_without_a_command_the_program_lists_them(program: Program) -> None:
    ended = program()
    assert (ended.code, ended.out) == (2, "")
    assert "artifacts" in ended.err
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", program("--version").out)


def test_the_help_names_every_exit_code_and_variable(program: Program) -> None:
    ended = program("--help")
    codes = re.findall(r"^    (\d+)  ", ended.out, re.MULTILINE)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    known = {kind.exit_code for kind in kinds if issubclass(kind, CifarDistError)}
    assert {int(code) for code in codes} == {0, *known}
    for name in ("CIFAR_DIST_STORE", "CIFAR_DIST_CACHE", "RAY_ADDRESS", "AWS_ENDPOINT_URL"):
        assert name in ended.out


def examples(command: str, program: Program) -> list[list[str]]:
    """Read the example command lines of a command's help."""
    _, _, tail = program(*command.split(), "--help").out.partition("Examples:\n")
    lines = [line.strip() for line in tail.partition("\n\n")[0].splitlines()]
    return [shlex.split(line.removeprefix("cifar-dist ")) for line in lines if line]


@pytest.mark.parametrize("command", ["", *FLAGS])
def test_each_example_is_understood(command: str, program: Program) -> None:
    lines = examples(command, program)
    assert lines
    for line in lines:
        assert " ".join(line).startswith(command)
        found: Any = typer.main.get_command(app)
        while hasattr(found, "commands"):
            found = found.commands[line.pop(0)]
        with found.make_context(command, line):
            pass


@pytest.mark.parametrize("command", ["train", "tune"])
def test_each_example_of_work_reaches_it(
    command: str, program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def works(*_: object, **__: object) -> None:
        raise RunError("at work")

    for name in ("api.run.run_job", "api.sweep.run_sweep", "cli.train.find_lr"):
        monkeypatch.setattr(f"cifar_dist.{name}", works)
    (folder / "job.yaml").write_text("recipe: {epochs: 3}")
    (folder / "my_space.yaml").write_text(
        "description: d\ntrials: 2\nspace: {recipe.optimizer.lr: {uniform: [0.1, 0.2]}}"
    )
    for line in examples(command, program):
        ended = program(*line)
        assert (ended.code, ended.err) == (3, "cifar-dist: at work\n") or "--dry-run" in line


def test_a_shipped_recipe_is_trained_by_its_name(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def works(job: Any, *_: object, **__: object) -> None:
        asked.append(job)
        raise RunError("at work")

    monkeypatch.setattr("cifar_dist.api.run.run_job", works)
    assert program("train", "resnet18_cam", "--epochs", "3").code == 3
    assert (asked[0].title, asked[0].recipe.epochs) == ("resnet18-cam", 3)


@pytest.mark.parametrize("space", ["quickstart", "scheduler", "full"])
def test_a_dry_run_shows_trials_and_creates_nothing(
    space: str, program: Program, folder: Path
) -> None:
    ended = program("tune", space, "--dry-run", "--json")
    shown = document("preview", ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert shown["name"] == space
    assert shown["trials"][0] == {"trial": 0, "parameters": {}}
    assert len(shown["trials"]) == min(10, shown["count"])
    assert shown["grid_size"] == (shown["count"] - 1 if space == "scheduler" else None)
    text = program("tune", space, "--dry-run").out
    assert f"{shown['count']} trials" in text
    assert listed(folder) == []


def test_a_dry_run_takes_the_sweeps_flags(program: Program) -> None:
    flags = "--trials 4 --max-seconds 60 --concurrency 2 --workers 1 --seed 7 --name mine"
    ended = program("tune", "dropout", *flags.split(), "--dry-run", "--json")
    shown = document("preview", ended.out)
    assert (shown["name"], shown["count"], len(shown["trials"])) == ("mine", 4, 4)
    assert shown["job"]["placement"]["concurrency"] == 2
    assert shown["job"]["recipe"]["seed"] == 7


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("train --model resnet", {"resnet18_cam", "resnet18_imagenet"}),
        ("train speed", {"speednet", "speednet_wide"}),
        ("train mine", {"mine.yaml"}),
        ("tune quick", {"quickstart"}),
        ("artifacts get tiny", {"tiny-00000000"}),
        ("resume tiny", {"tiny-00000000"}),
        ("artifacts get --store s3://bucket tiny", set()),
        ("models show le", {"lenet5"}),
        ("schema tu", {"tune"}),
        ("arti", {"artifacts"}),
    ],
)
def test_tab_offers_what_is_known_offline(words: str, offered: set[str], folder: Path) -> None:
    (folder / "mine.yaml").touch()
    (folder / "artifacts" / "runs" / "tiny-00000000").mkdir(parents=True)
    (folder / "artifacts" / "runs" / "tiny-00000000" / "run.json").touch()
    code = """
import sys
from cifar_dist.cli.app import app
try:
    app(prog_name="cifar-dist")
finally:
    assert not {"torch", "ray", "boto3"} & set(sys.modules)
"""
    environment = {
        "_CIFAR_DIST_COMPLETE": "complete_bash",
        "COMP_WORDS": f"cifar-dist {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    ended = finished(python("-c", code, cwd=folder, **environment))
    assert set(ended.out.split()) == offered, ended.err


def test_a_rate_is_looked_for_and_written_beside_nothing_else(
    program: Program, folder: Path
) -> None:
    line = ["train", "--data", "synthetic", "--model", "lenet5", "--lr-find", "--output", "lr.png"]
    ended = program(*line, "--json", "--set", "recipe.precision=fp32")
    found = document("lr-range", ended.out)
    assert ended.code == 0
    assert listed(folder) == ["lr.json", "lr.png"]
    assert json.loads((folder / "lr.json").read_text()) == found
    assert program(*line).code == 5
