"""The program as a test calls it: in this process for speed, or as a process of its own."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from cifar_dist import consent
from cifar_dist.cli import main
from cifar_dist.documents import DOCUMENTS
from cifar_dist.logs import ROOT

TINY = (
    "--data synthetic --model lenet5 --workers 0 --batch-size 100 "
    "--set recipe.precision=fp32 --set placement.gpus_per_worker=0"
)
"""Flags of a run that takes a moment."""


class Finished(NamedTuple):
    """How a call of the program ended."""

    code: int
    out: str
    err: str


Program = Callable[..., Finished]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    path = tmp_path / "cwd"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def program(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Program]:
    """Give the program as a function of its arguments, called in an empty folder."""
    logger = logging.getLogger(ROOT)
    before = logger.level, logger.propagate, logger.handlers
    threads = torch.get_num_threads()
    monkeypatch.setenv("GOMP_SPINCOUNT", "10000")
    monkeypatch.setenv(consent.VARIABLE, "")  # a test's flag is forgotten after it
    # Tiny nets gain nothing from threads, and on a busy machine each step waits for them.
    monkeypatch.setattr("cifar_dist.machine.owned_cpus", lambda: 1)

    def call(*arguments: str) -> Finished:
        logger.handlers = []  # stderr is another one in each test
        monkeypatch.setattr(sys, "argv", ["cifar-dist", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Finished(int(ended.value.code or 0), *capsys.readouterr())

    yield call
    torch.set_num_threads(threads)
    logger.setLevel(before[0])
    logger.propagate, logger.handlers = before[1:]


@pytest.fixture
def one_cpu() -> Iterator[None]:
    """Leave one CPU to the processes that are started; sums depend on the count of threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    yield
    os.sched_setaffinity(0, before)


def started(
    *arguments: str, cwd: Path, stdout: int = subprocess.PIPE, **environment: str | None
) -> subprocess.Popen[str]:
    """Start the program as a process of its own; a variable that is None is taken away."""
    return python("-m", "cifar_dist", *arguments, cwd=cwd, stdout=stdout, **environment)


def python(
    *arguments: str, cwd: Path, stdout: int = subprocess.PIPE, **environment: str | None
) -> subprocess.Popen[str]:
    """Start Python, which finds this package wherever it is started."""
    changed = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **environment}
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={name: value for name, value in changed.items() if value is not None},
    )


def finished(process: subprocess.Popen[str]) -> Finished:
    """Wait for a process; it is killed if it takes far longer than it should."""
    try:
        out, err = process.communicate(timeout=600)
    finally:
        process.kill()
    return Finished(process.returncode, out or "", err)


def listed(folder: Path) -> list[str]:
    """List everything below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def document(kind: str, text: str) -> dict[str, Any]:
    """Read the one JSON object of a command's output and check it against its document."""
    DOCUMENTS[kind].model_validate_json(text)
    found: dict[str, Any] = json.loads(text)
    return found
