"""Pins: people name checkpoints, which then stay until the name is taken away."""

from pathlib import Path

import pytest

from cifar_dist.errors import ConfigError, RefusedError
from cifar_dist.runs import Run, Sweep, fetch, verify
from cifar_dist.runs.cleaning import Policy, clean
from cifar_dist.runs.pins import chosen, listed, pin, unpin
from tests.checkpoints import commit
from tests.commands import Program, document

NAME = "a-00000000"


@pytest.fixture
def kept(run: Run, tmp_path: Path) -> Run:
    """Give a run of four steps, the second of which is the best."""
    run.create({"job": {}})
    attempt = run.claim_attempt()
    run.pin("best", [commit(attempt, tmp_path, step) for step in (1, 2, 3, 4)][1])
    return run


def test_a_checkpoint_is_chosen_by_its_step_or_its_name(kept: Run) -> None:
    given = [chosen(kept, "best"), chosen(kept, "latest"), chosen(kept, "best", 3)]
    assert [manifest.step for manifest in given] == [2, 4, 3]
    with pytest.raises(ConfigError, match="no checkpoint of step 9; there are 4, 3, 2, 1"):
        chosen(kept, "best", 9)
    with pytest.raises(ConfigError, match="give best or latest"):
        chosen(kept, "shown")


def test_a_pinned_checkpoint_outlives_pruning_and_cleaning_up_until_it_is_unpinned(
    kept: Run, tmp_path: Path
) -> None:
    pin(kept, "shown", chosen(kept, "best", 1))
    kept.prune(1)
    clean(kept.store, [], Policy(1, young=Policy().young * -1), dry_run=False)
    assert [manifest.step for manifest in kept.checkpoints()] == [4, 2, 1]
    assert {row.verdict for row in verify(kept.store, NAME)} == {"intact"}
    fetch(kept.store, NAME, tmp_path / "copy", "shown")
    assert (tmp_path / "copy" / "state.pt").read_bytes() == b"state 1" * 100
    unpin(kept, "shown")
    kept.prune(1)
    assert [manifest.step for manifest in kept.checkpoints()] == [4, 2]


def test_somebody_elses_objects_beside_a_pin_do_not_switch_it_off(kept: Run) -> None:
    for name in ("best/notes.txt", "best/old/000009.json", "shown/x.json", "best/9.json"):
        kept.store.write(kept.key(f"pins/{name}"), b"{}")
    best = kept.best()
    assert best is not None and best.step == 2
    kept.pin("best", chosen(kept, "latest"))
    assert kept.store.read(kept.key("pins/best/000002.json"), 999)
    assert listed(kept).pins.keys() == {"best"}
    assert kept.prune(1) == 3


def test_a_pin_moves_and_comes_back(kept: Run) -> None:
    for step in (1, 3, 1):
        pin(kept, "shown", chosen(kept, "best", step))
        assert listed(kept).pins["shown"].endswith(f"step-{step:012d}")
    unpin(kept, "shown")
    assert set(listed(kept).pins) == {"best"}
    with pytest.raises(ConfigError, match="has no pin 'shown'; nothing is pinned"):
        unpin(kept, "shown")


@pytest.mark.parametrize("name", ["", "A", "../x", "a/b", "-a", "a_b", "x" * 42, "a\n", "é"])
def test_a_pins_name_is_plain(kept: Run, name: str) -> None:
    with pytest.raises(ConfigError, match="use up to 41"):
        pin(kept, name, chosen(kept, "best"))
    with pytest.raises(ConfigError, match="use up to 41"):
        unpin(kept, name)


@pytest.mark.parametrize("name", ["best", "latest"])
def test_the_names_that_training_moves_are_not_for_people(kept: Run, name: str) -> None:
    with pytest.raises(ConfigError, match="training moves this name"):
        pin(kept, name, chosen(kept, "latest"))
    with pytest.raises(ConfigError, match="training moves this name"):
        unpin(kept, name)


def test_a_checkpoint_that_went_while_it_was_pinned_is_told(kept: Run) -> None:
    manifest = chosen(kept, "best", 1)
    kept.prune(1)
    with pytest.raises(RefusedError, match="was removed while it was pinned"):
        pin(kept, "shown", manifest)
    assert kept.pinned_key("shown") is None


def test_of_a_sweep_the_winners_checkpoint_is_pinned(kept: Run, program: Program) -> None:
    sweep = Sweep(kept.store, "sweeps/s-00000000")
    sweep.create({"space": {}})
    line = ["artifacts", "pin", "s-00000000", "shown", "--store", kept.store.uri, "--json"]
    assert program(*line).code == 5  # it has no winner yet
    sweep.finish({"winner_run": kept.prefix})
    told = document("pins", program(*line, "--step", "3").out)
    assert told["run"] == kept.prefix
    assert told["pins"]["shown"].endswith("step-000000000003")


def test_the_commands_tell_where_each_name_points(kept: Run, program: Program) -> None:
    where = ["--store", kept.store.uri]
    pinned = program("artifacts", "pin", NAME, "shown", "--checkpoint", "latest", *where)
    assert pinned.code == 0 and "shown  step 4 of attempt 1" in pinned.out
    unpinned = program("artifacts", "unpin", NAME, "shown", *where)
    assert unpinned.code == 0 and "shown" not in unpinned.out
    refused = program("artifacts", "unpin", NAME, "shown", *where)
    assert refused.code == 2 and "has no pin 'shown'" in refused.err
