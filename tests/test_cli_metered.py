"""What the program follows it also meters, if it is told a port; else nothing is different."""

import http.client
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.api.run import run_job
from cifar_dist.cli.metered import Metered, following
from cifar_dist.cli.terminal import Terminal
from cifar_dist.config import Job, patched
from cifar_dist.documents import EpochRecord
from cifar_dist.metrics import FAMILIES, Board
from tests.commands import Program, finished, python
from tests.scrapes import series
from tests.simulated_sweeps import Simulated


class Read(Board):
    """Keeps what its newest meters say at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.readings: list[dict[str, Any]] = []

    def open(self, *given: Any) -> Any:
        """Read after each step."""
        meters = super().open(*given)
        observe = meters.observe

        def reading(step: int, total: int, history: Sequence[EpochRecord]) -> None:
            observe(step, total, history)
            self.readings.append(meters.read())

        meters.observe = reading  # type: ignore[method-assign]
        return meters


def _sizes(value: Any) -> Any:
    return value if isinstance(value, float) else value.seconds


@pytest.fixture
def port() -> Iterator[int]:
    """Give a port that somebody else has."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        yield taken.getsockname()[1]


def test_a_run_is_metered_from_its_first_step_to_its_end(tiny_job: Job) -> None:
    board = Read()
    job = patched(tiny_job, {"placement.cpu_hour_price": 0.05, "test": False})
    document = run_job(job, Metered(Terminal(), board))
    last = {name: values[0][1] for name, values in board.readings[-1].items()}
    sweeps = {"trials", "trials_planned", "slots", "rung_trials", "best_accuracy_ratio"}
    sweeps |= {"budget_used_ratio", "sweep_cost", "sweep_gpu_seconds"}
    assert set(last) >= FAMILIES.keys() - sweeps - {"build_info"}
    assert (last["epoch"], last["epochs_total"]) == (2, 2)
    assert last["train_loss"] == document.history[-1].train_loss
    assert last["images_total"] == 2 * document.data.train_images
    assert last["cost_total"] == pytest.approx(0.05 / 3600 * last["cpu_seconds_total"])
    totals = [name for name, family in FAMILIES.items() if family.kind == "counter"]
    for before, after in zip(board.readings, board.readings[1:], strict=False):
        for name in set(totals) & before.keys():
            old, new = dict(before[name]), dict(after[name])
            assert old.keys() == new.keys()
            assert all(_sizes(new[labels]) >= _sizes(old[labels]) for labels in old), name
    assert {name for name, _ in series(board)} == {"cifar_dist_build_info"}


def test_a_sweep_is_metered_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    board, sweep = Board(), Simulated(3, [])
    rows = sweep.run()
    with Metered(Terminal(), board).sweep("tiny-00000000", sweep.space) as progress:
        progress.follow(sweep.book.standing)
        progress.located("http://127.0.0.1:8265")
        progress.observe(rows, 0, 3)
        found = {name: labels for name, labels in series(board)}
        assert found["cifar_dist_trials_planned"] == {"run": "tiny-00000000"}
    told = capsys.readouterr().err
    assert "http://127.0.0.1:8265" in told
    assert f"trial {rows[-1].trial:>3}" in told
    assert {name for name, _ in series(board)} == {"cifar_dist_build_info"}


def test_looking_for_a_learning_rate_takes_no_port(program: Program, folder: Path) -> None:
    ended = program("train", "--lr-find", "--metrics-port", "0", "--data", "synthetic")
    assert (ended.code, list(folder.iterdir())) == (2, [])
    assert "leave out --metrics-port" in ended.err


def test_the_metrics_are_served_while_the_work_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with following(0) as follower:
        url = capsys.readouterr().err.split()[-1]
        host, _, port = url.removeprefix("http://").removesuffix("/metrics").partition(":")
        client = http.client.HTTPConnection(host, int(port), timeout=10)
        with follower.run("tiny-00000000", Job()), closing(client):
            client.request("GET", "/metrics")
            text = client.getresponse().read().decode()
    assert 'cifar_dist_epoch{run="tiny-00000000"} 0.0' in text
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


@pytest.mark.parametrize("command", ["train", "tune"])
def test_a_port_in_use_ends_the_program_before_any_work(
    command: str, port: int, program: Program, folder: Path
) -> None:
    ended = program(command, "--metrics-port", str(port), "--data", "synthetic")
    assert (ended.code, list(folder.iterdir())) == (2, [])
    assert "choose another --metrics-port" in ended.err


def test_without_a_port_nothing_of_prometheus_is_loaded(folder: Path) -> None:
    code = """
import sys
from cifar_dist.cli.metered import following
with following(None) as follower:
    pass
assert not {"prometheus_client", "cifar_dist.metrics"} & set(sys.modules)
"""
    assert finished(python("-c", code, cwd=folder)).code == 0
