"""Full disks, closed streams, missing folders and few files: one sentence and the right code."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cifar_dist.data import Dataset
from cifar_dist.store import open_store
from tests.commands import TINY, Finished
from tests.kept_runs import keep_run
from tests.soak import long_only
from tests.trees import picture

ROOT = Path(__file__).parents[1]
RUN = "a-00000000"
LEFT_BYTES = 200_000  # on the full disk: room for a claim, not for a checkpoint
SCRIPT = """
mount -t tmpfs -o size=8m none "$1" && mount -t tmpfs -o ro none "$2" &&
head -c $((8*1024*1024 - {left})) /dev/zero > "$1/filler" &&
exec "$0" -m tests.surroundings "$1" "$2"
"""

Call = Callable[..., Finished]


def isolated(script: str, *arguments: str) -> list[str]:
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", script, *arguments]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_data: Dataset) -> Path:
    """Give a folder with a store that holds a run, and an image."""
    folder = tmp_path_factory.mktemp("surroundings")
    keep_run(open_store(str(folder / "store")), RUN)
    (folder / "cat.png").write_bytes(picture())
    (folder / "small").mkdir()
    (folder / "read-only").mkdir()
    return folder


@pytest.fixture(scope="module")
def can_mount(place: Path) -> bool:
    """Tell whether this machine lets us."""
    command = isolated('mount -t tmpfs none "$0"', str(place / "small"))
    found = shutil.which("unshare")
    return bool(found) and not subprocess.run(command, check=False, capture_output=True).returncode


@pytest.fixture(scope="module")
def call(place: Path, can_mount: bool) -> Iterator[Call]:
    """Give the program in surroundings, all of them with the letters of the C locale."""
    folders = [str(place / "small"), str(place / "read-only")]
    command = [sys.executable, "-m", "tests.surroundings", *folders]
    if can_mount:
        command = isolated(SCRIPT.format(left=LEFT_BYTES), sys.executable, *folders)
    letters = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **letters, "OMP_NUM_THREADS": "1"},
    )

    def ask(surrounding: str, line: str) -> Finished:
        words = line.format(here=place, run=RUN).split()
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps([surrounding, words]) + "\n")
        process.stdin.flush()
        return Finished(*json.loads(process.stdout.readline()))

    yield ask
    process.communicate()


COMMANDS = {
    "help": "--help",
    "train": f"train {TINY} --epochs 1",
    "tune": "tune quickstart --dry-run --data synthetic",
    "list": "artifacts ls --store {here}/store",
    "list here": "artifacts ls",
    "get": "artifacts get {run} --store {here}/store --output copy",
    "prepare": "data prepare synthetic",
    "prepare here": "CIFAR_DIST_CACHE=cache data prepare synthetic",
    "card": "data stats synthetic",
    "predict": "predict {here}/cat.png",
    "report": "report get {run} --store {here}/store --output page",
    "models": "models list",
    "schema": "schema job",
}
FULL, GONE, READ_ONLY = "No space left on device", "current folder was deleted", "Read-only file"

# What each says that does not end well; all others end with 0 and say nothing wrong.
REFUSED: dict[tuple[str, str], tuple[int, str]] = {
    **{("full stdout", name): (4, FULL) for name in COMMANDS},
    ("plain", "store"): (2, "/dev/full.*it is not a folder"),
    ("deleted folder", "prepare here"): (2, "cache cannot be written: No such file"),
    ("read-only folder", "prepare here"): (2, f"cache cannot be written: {READ_ONLY}"),
    ("full disk", "prepare here"): (2, "cache cannot be written: the disk takes no more"),
    ("deleted folder", "train"): (2, GONE),
    ("deleted folder", "list here"): (2, GONE),
    ("deleted folder", "get"): (4, "copy|No such file"),
    ("deleted folder", "report"): (4, "page|No such file"),
    ("read-only folder", "train"): (4, READ_ONLY),
    ("read-only folder", "get"): (4, READ_ONLY),
    ("read-only folder", "report"): (4, READ_ONLY),
    ("full disk", "train"): (4, FULL),
    ("full disk", "get"): (4, FULL),
}
SURROUNDINGS = (
    "plain", "full stdout", "closed stdout", "deleted folder", "read-only folder", "full disk",
    "no home", "few files",
)  # fmt: skip
MOUNTED = {"read-only folder", "full disk"}
BENIGN = {"plain", "no home", "few files"}
SHORT = {"list", "predict", "prepare", "store"}  # of what the benign ones are tried on


QUIET = {"help", "models", "schema", "card", "list", "tune"}  # write nothing


def is_long(surrounding: str, command: str) -> bool:
    """Tell what trains to its end and draws a report, or is much like another case."""
    if surrounding in BENIGN:
        return command not in SHORT
    if surrounding in MOUNTED:
        return command in QUIET
    return command == "train" and surrounding.endswith("stdout")


LONG = [long_only, pytest.mark.soak]
CASES = [
    pytest.param(*case, marks=LONG if is_long(*case) else [], id=" - ".join(case))
    for case in [
        *((place, command) for place in SURROUNDINGS for command in COMMANDS),
        ("plain", "store"),
    ]
]


@pytest.mark.parametrize(("surrounding", "command"), CASES)
def test_a_command_in_hostile_surroundings_is_one_sentence_and_a_code(
    surrounding: str, command: str, call: Call, can_mount: bool
) -> None:
    if surrounding in MOUNTED and not can_mount:
        pytest.skip("mounting is not allowed here")
    code, sentence = REFUSED.get((surrounding, command), (0, ""))
    ended = call(surrounding, COMMANDS.get(command, f"train {TINY} --store /dev/full"))
    assert ended.code == code, ended
    said = [line for line in ended.err.splitlines() if line.startswith("cifar-dist: ")]
    assert len(said) == (1 if code else 0), ended.err
    assert "Traceback" not in ended.err and "bug of ours" not in ended.err
    if code:
        assert re.search(sentence, said[0]), ended.err
        assert ended.err.endswith(f"{said[0]}\n")
