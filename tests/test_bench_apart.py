"""A reference apart answers from its own process, which ends when nobody asks it any more."""

import os
from collections.abc import Callable

import pytest
import torch

from tests.bench.apart import Apart
from tests.bench.rounds import Absent


def process(sign: int) -> Callable[[int], tuple[int, int, int]]:
    def answer(number: int) -> tuple[int, int, int]:
        return os.getpid(), sign * number, torch.get_num_threads()

    return answer


def nothing() -> Callable[[], float]:
    raise Absent("there is no reference.")


def test_it_is_built_once_in_another_process_with_as_many_threads() -> None:
    asked = Apart(process, -1)
    first, second = asked(3), asked(4)
    assert first[0] == second[0] != os.getpid()
    assert (first[1], second[1]) == (-3, -4)
    assert first[2] == torch.get_num_threads()


def test_its_process_ends_with_it() -> None:
    asked = Apart(process, 1)
    number = asked(0)[0]
    del asked
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_what_is_absent_there_is_absent_here() -> None:
    with pytest.raises(Absent, match="there is no reference"):
        Apart(nothing)()
