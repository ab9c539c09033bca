"""A wrong input is one short sentence and an exit code, at once, and nothing is created."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import TINY, Finished, Program, document, finished, listed, python, started
from tests.trees import TREE, write_tree
from tests.wrong_environments import DEAD, UNAVAILABLE, Environment
from tests.wrong_environments import REFUSED as SETTINGS
from tests.wrong_jobs import JOBS
from tests.wrong_lines import REFUSED, SECRET
from tests.wrong_spaces import HEADS, SPACES


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a dataset cache that does not exist yet."""
    path = tmp_path / "cache"
    monkeypatch.setenv("CIFAR_DIST_CACHE", str(path))
    return path


def check_refusal(ended: Finished, sentence: str, code: int = 2) -> None:
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith("cifar-dist: ")
    assert len(ended.err.splitlines()) <= 3, ended.err
    assert re.search(sentence, ended.err), ended.err
    assert "Traceback" not in ended.err
    assert "bug of ours" not in ended.err
    assert SECRET not in ended.err


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize(("line", "sentence"), REFUSED, ids=[line[:60] for line, _ in REFUSED])
def test_a_wrong_command_line_creates_nothing(
    line: str, sentence: str, program: Program, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("a file")
    before = listed(tmp_path)
    ended = program(*line.format(here=folder, file=tmp_path / "file").split())
    check_refusal(ended, sentence)
    assert listed(tmp_path) == before


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize("option", ["", " ", "A b", "a\nb", "a\x1b[2J", "a\u202eb"])
def test_a_strange_text_is_repeated_without_its_control_characters(
    option: str, program: Program, folder: Path
) -> None:
    for flag in ("--name", "--store", "--data"):
        if (flag, option) == ("--store", "A b"):
            continue  # a folder may have a space in its name
        ended = program("train", flag, option, "--set", "recipe.epochs=0")
        assert (ended.code, ended.out) == (2, "")
        assert "".join(c for c in ended.err if c != "\n").isprintable()
    assert listed(folder) == []


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize("kind", JOBS)
def test_a_wrong_job_file_is_named_with_its_field_or_line(
    kind: str, program: Program, folder: Path
) -> None:
    content, sentence = JOBS[kind]
    (folder / "job.yaml").write_bytes(content)
    check_refusal(program("train", "job.yaml"), sentence)
    assert listed(folder) == ["job.yaml"]


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize("kind", SPACES)
def test_a_wrong_search_space_is_named_with_its_path(
    kind: str, program: Program, folder: Path
) -> None:
    searched, sentence = SPACES[kind]
    trials = "" if "trials:" in searched else "trials: 4\n"
    (folder / "my.yaml").write_text(f"description: d\n{trials}space: {{{searched}}}\n")
    check_refusal(program("tune", "my.yaml"), sentence)
    assert listed(folder) == ["my.yaml"]


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize("kind", HEADS)
def test_a_wrong_head_of_a_search_space_is_named(kind: str, program: Program, folder: Path) -> None:
    head, searched, sentence = HEADS[kind]
    (folder / "my.yaml").write_text(f"description: d\n{head}\nspace: {{{searched}}}\n")
    check_refusal(program("tune", "my.yaml"), sentence)
    assert listed(folder) == ["my.yaml"]


@pytest.mark.parametrize("text", ["", "[1]", "# nothing", "description: d\ntrials: 4", "a: [*x]"])
def test_a_file_that_is_no_space_says_what_one_is(
    text: str, program: Program, folder: Path
) -> None:
    (folder / "my.yaml").write_text(text)
    check_refusal(program("tune", "my.yaml"), "my.yaml")
    assert listed(folder) == ["my.yaml"]


@pytest.mark.usefixtures("empty_cache")
def test_an_empty_word_is_not_this_folder(program: Program, folder: Path) -> None:
    for line in (["data", "prepare"], ["data", "stats"], ["train"], ["artifacts", "get"]):
        check_refusal(program(*line, ""), "empty; give a value or leave it out")
    assert listed(folder) == []


@pytest.mark.parametrize("flags", [["{}.yaml"], ["--{}"], ["--epochs", "{}"], ["--lr-find",
                         "--output", "{}.jpg"]])  # fmt: skip
def test_an_endless_word_is_repeated_in_part(flags: list[str], program: Program) -> None:
    ended = program("train", *(flag.format("a" * 5000) for flag in flags))
    check_refusal(ended, "aaa … aaa|aaa…")
    assert len(ended.err) < 700
    assert ended.err.endswith(("give the path of a YAML file\n", "--help`)\n", "beside it\n"))


def test_a_pipe_is_never_waited_for(program: Program, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    check_refusal(program("train", "pipe"), "pipe: is not a regular file")
    check_refusal(program("tune", "pipe"), "pipe: is not a regular file|neither a file")
    check_refusal(program("train", "--data", "pipe"), "neither a known source")


def test_many_problems_are_told_in_twenty_lines(program: Program, folder: Path) -> None:
    (folder / "job.yaml").write_text("\n".join(f"key{i}: 1" for i in range(3000)))
    ended = program("train", "job.yaml")
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 21
    assert ended.err.endswith("… and 2980 more like these\n")


@pytest.mark.parametrize("command", ["train --workers 0", "tune quickstart"])
def test_gpus_that_are_missing_are_told_before_a_run_exists(
    command: str, program: Program, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    flags = ["--data", "synthetic", "--set", "placement.gpus_per_worker=1"]
    check_refusal(program(*command.split(), *flags), "no GPU can be used here")
    assert listed(empty_cache.parent) == ["cwd"]


@pytest.mark.usefixtures("empty_cache")
def test_a_file_that_is_no_archive_of_images_is_refused(program: Program, folder: Path) -> None:
    (folder / "words.tar").write_text("no archive\n" * 99)
    check_refusal(program("train", "--data", "words.tar"), "words.tar is not a whole tar archive")
    lone = {path: content for path, content in TREE.items() if "/cat/" not in path}
    write_tree(folder / "nine", lone)
    check_refusal(program("data", "prepare", "nine"), "images of 9 classes, not 10")
    assert {path.partition("/")[0] for path in listed(folder)} == {"nine", "words.tar"}


def test_nothing_heavy_is_imported_and_no_ray_is_started_to_refuse(folder: Path) -> None:
    # Weights that are there are loaded before the images that they are to be tried on.
    late = "evaluate speednet --data nosuch"
    calls = [line for line, _ in REFUSED if "{" not in line and line != late]
    code = f"""
import json, sys
from cifar_dist.cli import main
for line in {calls!r}:
    sys.argv = ["cifar-dist", *line.split()]
    try:
        main()
    except SystemExit as ended:
        assert ended.code == 2, line
print(json.dumps([name for name in ("torch", "ray", "boto3", "matplotlib") if name in sys.modules]))
"""
    ended = finished(python("-c", code, cwd=folder))
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == []
    assert listed(folder) == []


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize(
    ("environment", "line", "sentence"),
    SETTINGS,
    ids=[f"{name}-{i}" for i, (case, _, _) in enumerate(SETTINGS) for name in case],
)
def test_a_wrong_variable_is_refused_by_its_name(
    environment: Environment,
    line: str,
    sentence: str,
    program: Program,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("../file").write_text("no settings")
    before = listed(Path(".."))
    settle({**DEAD, **environment}, monkeypatch)
    check_refusal(program(*line.split()), sentence)
    assert listed(Path("..")) == before


@pytest.mark.parametrize(("environment", "sentence"), UNAVAILABLE)
def test_storage_that_cannot_be_reached_is_exit_4(
    environment: Environment,
    sentence: str,
    program: Program,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settle({**DEAD, **environment}, monkeypatch)
    check_refusal(program("artifacts", "ls", "--store", "s3://bucket/x"), sentence, code=4)
    assert listed(folder) == []


def settle(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set variables, or take away those that are None; `{file}` is one that is no settings."""
    for name, value in environment.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value.replace("{file}", str(Path("../file").absolute())))


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("CIFAR_DIST_STORE", "gs://bucket", "'gs:' is not a kind of store"),
        ("CIFAR_DIST_STORE", f"s3://k:{SECRET}@b", "holds credentials"),
    ],
)
def test_a_wrong_variable_is_refused_by_a_real_process(
    variable: str, value: str, sentence: str, folder: Path
) -> None:
    check_refusal(finished(started("train", cwd=folder, **{variable: value})), sentence)
    assert listed(folder) == []


def test_odd_surroundings_do_not_stop_a_run(folder: Path, empty_cache: Path) -> None:
    odd: dict[str, str | None] = {
        "CUDA_VISIBLE_DEVICES": "7",
        "HOME": None,
        "LANG": "C",
        "LC_ALL": "C",
        "OMP_NUM_THREADS": "abc",
        "PYTHONUTF8": "0",
        "TMPDIR": str(folder / "nosuch"),
        "TZ": "Nowhere/Odd",
        "CIFAR_DIST_CACHE": str(empty_cache),
    }
    line = f"{sys.executable} -m cifar_dist train {TINY} --epochs 1 --json"
    script = f"ulimit -n 64; exec {line}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **odd}
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert document("train", ended.stdout)["state"] == "finished"
    assert "Traceback" not in ended.stderr


def test_words_that_are_no_text_are_refused_by_a_real_process(folder: Path) -> None:
    word = os.fsdecode(b"\xff\xfe")
    for flags in (("--name", word), ("--store", word), ("--set", f"{word}=1"), (word,)):
        ended = finished(started("train", *flags, "--data", "nosuch", cwd=folder))
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.isprintable() or "\n" in ended.err
        assert "Traceback" not in ended.err
    assert listed(folder) == []
