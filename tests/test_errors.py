"""Errors cross processes whole, and the drawn tree is the tree."""

import pickle
import re
from collections.abc import Iterator

import pytest

from cifar_dist import errors
from cifar_dist.errors import CifarDistError

EXISTING = [value for value in vars(errors).values() if isinstance(value, type)]
_LINE = re.compile(r"([├└│─ ]*)(\w+) +(\d+)  ")

every_error = pytest.mark.parametrize("kind", EXISTING)


def drawn() -> Iterator[tuple[str, str, int]]:
    """Give each drawn class with its parent and its exit code."""
    above: list[str] = ["Exception"]
    for line in (errors.__doc__ or "").splitlines():
        if found := _LINE.match(line):
            depth = len(found[1]) // 3 + 1
            above[depth:] = [found[2]]
            yield found[2], above[depth - 1], int(found[3])


def test_the_drawn_tree_is_the_classes_that_exist() -> None:
    existing = [(kind.__name__, kind.__base__.__name__, kind.exit_code) for kind in EXISTING]
    assert sorted(drawn()) == sorted(existing)


@every_error
def test_every_error_survives_the_trip_between_processes(kind: type[CifarDistError]) -> None:
    back = pickle.loads(pickle.dumps(kind("What, why and a remedy.")))
    assert type(back) is kind
    assert str(back) == "What, why and a remedy."


@every_error
def test_every_error_says_in_its_docstring_what_it_means(kind: type[CifarDistError]) -> None:
    assert (kind.__doc__ or "").endswith(".")
    assert issubclass(kind, CifarDistError)
