"""The program as a process: what it imports, signals, pipes, homes and a real sweep."""

import json
import os
import signal
from pathlib import Path

import pytest

from cifar_dist.checkpoint import WEIGHTS
from cifar_dist.documents import TuneDocument
from tests.commands import TINY, Program, document, finished, listed, python, started

EPOCHS = 5
COMMANDS = ("train", "tune", "data stats", "models list", "artifacts ls", "schema")


def test_help_loads_nothing_heavy(folder: Path) -> None:
    code = f"""
import json, sys
from cifar_dist.cli import main
for command in {COMMANDS!r}:
    sys.argv = ["cifar-dist", *command.split(), "--help"]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, command
print(json.dumps(list(sys.modules)), file=sys.stderr)
"""
    ended = finished(python("-c", code, cwd=folder))
    loaded = set(json.loads(ended.err))
    assert not loaded & {"torch", "ray", "boto3", "numpy", "matplotlib"}
    # The commands' own parsing needs pydantic; the package and the list of commands do not.
    code = "import cifar_dist.cli.app, sys; print('pydantic' in sys.modules)"
    assert finished(python("-c", code, cwd=folder)).out == "False\n"


@pytest.mark.usefixtures("one_cpu")
def test_ctrl_c_commits_and_resuming_gives_bit_identical_weights(
    program: Program, folder: Path
) -> None:
    line = f"train {TINY} --epochs {EPOCHS} --json".split()
    process = started(*line, "--store", "cut", cwd=folder)
    assert process.stderr is not None
    while "epoch 1/" not in (said := process.stderr.readline()):
        assert said, "it ended before its first epoch"
    process.send_signal(signal.SIGINT)
    cut = finished(process)
    result = document("train", cut.out)
    assert (cut.code, result["state"]) == (130, "interrupted")
    assert f"cifar-dist resume {result['run']}" in cut.err
    assert list((folder / "cut").rglob("MANIFEST.json"))
    resumed = program("resume", result["run"], "--store", "cut", "--json")
    whole = program(*line, "--store", "whole")
    losses = [
        [record["train_loss"] for record in document("train", ended.out)["history"]]
        for ended in (resumed, whole)
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == EPOCHS
    assert best_weights(program, "cut") == best_weights(program, "whole")


def best_weights(program: Program, store: str) -> str:
    """Give the SHA-256 of the best weights of a store's one run."""
    (run,) = document("artifacts", program("artifacts", "ls", "--store", store, "--json").out)[
        "artifacts"
    ]
    name = run["key"].partition("/")[2]
    ended = program("artifacts", "best", name, "--store", store, "--json")
    rows = document("artifacts", ended.out)["artifacts"]
    return next(str(row["sha256"]) for row in rows if row["key"].endswith(WEIGHTS))


def test_a_reader_that_leaves_early_is_no_error(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = finished(started("schema", "train", cwd=folder, stdout=writing))
    os.close(writing)
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_behind_stdout_is_exit_4(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = finished(started("schema", "job", cwd=folder, stdout=full.fileno()))
    assert ended.code == 4
    assert ended.err.startswith("cifar-dist: No space left on device")


def test_neither_a_home_nor_a_writable_folder_is_needed(folder: Path, tmp_path: Path) -> None:
    folder.chmod(0o555)
    line = f"train {TINY} --epochs 1 --store {tmp_path / 'store'} --json"
    ended = finished(started(*line.split(), cwd=folder, HOME=None))
    folder.chmod(0o755)
    assert ended.code == 0, ended.err
    assert document("train", ended.out)["state"] == "finished"
    assert listed(folder) == []


@pytest.mark.cluster
def test_a_sweep_prints_one_document_and_asked_again_the_same(
    program: Program, folder: Path
) -> None:
    line = ["tune", "--data", "synthetic", "--trials", "2", "--epochs", "1", "--json"]
    first = finished(started(*line, cwd=folder))
    assert first.code == 0, first.err
    TuneDocument.model_validate_json(first.out)
    again = program(*line)
    assert (again.code, json.loads(again.out)) == (0, json.loads(first.out))
    name = json.loads(first.out)["sweep"]
    resumed = program("resume", name, "--json")
    assert (resumed.code, json.loads(resumed.out)) == (0, json.loads(first.out))
