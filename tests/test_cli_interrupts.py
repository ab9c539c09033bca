"""Signals: the first asks for a committed end, and its kind tells the exit code."""

import os
import signal

import pytest

from cifar_dist.cli import interrupts
from cifar_dist.cli.interrupts import exit_code, stop_on_interrupt
from cifar_dist.errors import InterruptedRunError, StoreError


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    interrupts._terminated.clear()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_an_interrupted_run_ends_with_the_code_of_the_signal(number: int, code: int) -> None:
    with stop_on_interrupt() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.is_set()
    assert exit_code(InterruptedRunError("run it again")) == code
    assert exit_code(StoreError("bring it back")) == 4


def test_a_second_signal_ends_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), stop_on_interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_the_handlers_of_before_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_interrupt():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
