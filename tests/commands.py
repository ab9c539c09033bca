"""The program as a test calls it: in this process for speed, or as a process of its own."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cifar_dist.cli import main
from cifar_dist.logs import ROOT

TINY = (
    "--data synthetic --model lenet5 --epochs 1 --workers 0 --batch-size 100 "
    "--set recipe.precision=fp32 --set placement.gpus_per_worker=0"
).split()
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
    monkeypatch.setenv("GOMP_SPINCOUNT", "10000")

    def call(*arguments: str) -> Finished:
        logger.handlers = []  # stderr is another one in each test
        monkeypatch.setattr(sys, "argv", ["cifar-dist", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Finished(int(ended.value.code or 0), *capsys.readouterr())

    yield call
    logger.setLevel(before[0])
    logger.propagate, logger.handlers = before[1:]


def started(*arguments: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Start the program as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "cifar_dist", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **environment},
    )


def finished(process: subprocess.Popen[str]) -> Finished:
    """Wait for a process; it is killed if it takes far longer than it should."""
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    return Finished(process.returncode, out, err)
