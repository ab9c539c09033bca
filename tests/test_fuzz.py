"""A thousand files gone wrong are each taken or refused in one short message, never crashed on."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import Program, listed
from tests.memory import growth_bytes
from tests.mutations import TOKENS, mutated, originals

_ROUNDS, _CASES = 20, 50
_HANG_SECONDS = 20
_LARGEST_BYTES = 512 * 2**20
_PATHS = [
    "name", "store", "tensorboard", "test", "recipe", "recipe.epochs", "recipe.augmentation",
    "recipe.augmentation.0.name", "recipe.optimizer", "recipe.optimizer.lr", "recipe.model.name",
    "recipe.seed", "placement.workers", "placement", "recipe.schedule.name", "recipe..x", "recipe.",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _never_hangs() -> Iterator[None]:
    def hung(*_: object) -> None:
        raise TimeoutError("hung")

    before = signal.signal(signal.SIGALRM, hung)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def refused_or_taken(program: Program, *line: str) -> bool:
    """Call the program with data that does not exist; tell whether that is all it minds."""
    signal.alarm(_HANG_SECONDS)
    ended = program(*line, "--data", "./nosuch")
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert ended.err.startswith("cifar-dist: ")
    assert len(ended.err.splitlines()) <= 21
    assert "".join(ended.err.splitlines()).isprintable()
    assert "bug of ours" not in ended.err and "Traceback" not in ended.err, ended.err
    return "data './nosuch' is neither" in ended.err


@pytest.mark.parametrize("seed", range(_ROUNDS))
def test_a_mutated_file_is_taken_or_refused(seed: int, program: Program, folder: Path) -> None:
    draw, files = random.Random(seed), originals()

    def tried() -> None:
        for _ in range(_CASES):
            command, text = draw.choice(files)
            (folder / "mutated.yaml").write_bytes(mutated(text, draw))
            refused_or_taken(program, command, "mutated.yaml")
            assert listed(folder) == ["mutated.yaml"]

    assert growth_bytes(tried) < _LARGEST_BYTES


@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_flag_is_taken_or_refused(seed: int, program: Program, folder: Path) -> None:
    draw = random.Random(seed)
    for _ in range(_CASES):
        path = draw.choice([*_PATHS, draw.choice(TOKENS)])
        refused_or_taken(program, "train", "--set", f"{path}={draw.choice(TOKENS)}")
    assert listed(folder) == []


def test_most_ways_of_going_wrong_are_met_and_some_files_are_still_right(
    program: Program, folder: Path
) -> None:
    draw, files = random.Random(0), originals()
    taken = 0
    for _ in range(_CASES):
        command, text = draw.choice(files)
        (folder / "mutated.yaml").write_bytes(mutated(text, draw))
        taken += refused_or_taken(program, command, "mutated.yaml")
    assert 0 < taken < _CASES / 2
