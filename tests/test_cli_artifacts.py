"""`artifacts ls` and `verify` as people call them: chosen, sorted, and what still serves."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.runs import Run, Sweep
from cifar_dist.store import open_store
from tests.checkpoints import commit, flip
from tests.commands import Program, document

A, B, S = "a-00000000", "b-00000000", "s-00000000"


@pytest.fixture
def kept(folder: Path, tmp_path: Path) -> Path:
    """Fill the default store: a finished run, one that is not and is larger, a sweep won by a."""
    store = open_store(str(folder / "artifacts"))
    for name, steps in ((A, (1, 2)), (B, (3, 4, 5))):
        run = Run(store, f"runs/{name}")
        run.create({"job": {}})
        attempt = run.claim_attempt()
        first, *_ = [commit(attempt, tmp_path, step) for step in steps]
        run.pin("best", first)
        run.pin("shown", first)
    Run(store, f"runs/{A}").finish({})
    sweep = Sweep(store, f"sweeps/{S}")
    sweep.create({"space": {}})
    sweep.finish({"winner_run": f"runs/{A}"})
    for path in (folder / "artifacts" / "runs" / A).rglob("*.*"):
        os.utime(path, (2e9, 2e9))
    return folder / "artifacts"


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("", [f"runs/{A}", f"runs/{B}", f"sweeps/{S}"]),
        ("--kind sweeps", [f"sweeps/{S}"]),
        ("--kind runs --sort size", [f"runs/{B}", f"runs/{A}"]),
        ("--kind runs --sort time", [f"runs/{A}", f"runs/{B}"]),
        ("--state unfinished", [f"runs/{B}"]),
        ("--name a --kind runs", [f"runs/{A}"]),
        ("--name x", []),
    ],
)
def test_runs_are_chosen_and_sorted(
    kept: Path, program: Program, flags: str, found: list[str]
) -> None:
    rows = document("artifacts", program("artifacts", "ls", *flags.split(), "--json").out)
    assert [row["key"] for row in rows["artifacts"]] == found


def test_a_listing_says_when_and_how_much(kept: Path, program: Program) -> None:
    (row,) = document("artifacts", program("artifacts", "ls", "--name", "a", "--json").out)[
        "artifacts"
    ]
    sizes = [path.stat().st_size for path in (kept / "runs" / A).rglob("*") if path.is_file()]
    assert (row["modified"], row["bytes"]) == ("2033-05-18T03:33:20Z", sum(sizes))
    text = program("artifacts", "ls", "--name", "a").out
    assert "2033-05-18 03:33" in text and " kB" in text
    assert "2033-05-18 03:33" in program("artifacts", "ls", A).out


def serving(kept: Path, program: Program, name: str) -> dict[str, Any]:
    """Give what is said of each name of a run, and where it is."""
    ended = program("artifacts", "verify", name, "--json")
    rows = document("artifacts", ended.out)["serving"]
    assert {row["run"] for row in rows} <= {f"runs/{name}"}
    return {row["name"]: (row["verdict"], (row["key"] or "")[-2:]) for row in rows}


def test_a_verification_says_what_still_serves(kept: Path, program: Program) -> None:
    top = kept / "runs" / B / "attempts" / "000001"
    whole = {"latest": ("intact", "05"), "best": ("intact", "03"), "shown": ("intact", "03")}
    assert serving(kept, program, B) == whole
    flip(top / "step-000000000005" / "state.pt")
    (top / "step-000000000004" / "state.pt").unlink()
    flip(top / "step-000000000003" / "MANIFEST.json")
    bad = {"latest": ("damaged", ""), "best": ("damaged", "03"), "shown": ("damaged", "03")}
    assert serving(kept, program, B) == bad


def test_a_verification_of_a_run_that_can_go_on_says_from_where(
    kept: Path, program: Program
) -> None:
    flip(kept / "runs" / B / "attempts" / "000001" / "step-000000000005" / "state.pt")
    ended = program("artifacts", "verify", B)
    assert ended.code == 5
    assert f"runs/{B}: resume would use step 4 of attempt 1" in ended.out
    assert f"runs/{B}: best (step 3 of attempt 1) is intact" in ended.out


def test_a_pin_of_what_is_gone_is_missing(kept: Path, program: Program) -> None:
    for path in (kept / "runs" / B / "attempts" / "000001" / "step-000000000003").iterdir():
        path.unlink()
    found = serving(kept, program, B)
    assert found["best"] == ("missing", "03") and found["latest"] == ("intact", "05")
    ended = program("artifacts", "verify", B)
    assert ended.code == 5
    assert "best (step 3 of attempt 1) is missing; restore it" in ended.out


def test_a_run_that_cannot_be_resumed_is_not_whole(
    kept: Path, program: Program, tmp_path: Path
) -> None:
    run = Run(open_store(str(kept)), "runs/c-00000000")
    run.create({"job": {}})
    sent = commit(run.claim_attempt(), tmp_path, 9)
    run.claim_attempt()
    shutil.rmtree(kept / sent.folder)
    ended = program("artifacts", "verify", "c-00000000")
    assert ended.code == 5 and "it cannot be resumed" in ended.out
    assert "are damaged or missing, first runs/c-00000000 (1 in all); restore" in ended.err


@pytest.mark.parametrize("name", ["run.json", "pins/shown/000001.json", "attempts/000001.json"])
def test_a_damaged_document_is_a_row_of_the_table(kept: Path, program: Program, name: str) -> None:
    flip(kept / "runs" / B / name)
    ended = program("artifacts", "verify", B, "--json")
    rows = document("artifacts", ended.out)["artifacts"]
    bad = [row["key"] for row in rows if row["verdict"] != "intact"]
    assert ended.code == 5 and bad == [f"runs/{B}/{name}"]
    assert f"first {bad[0]} (1 in all)" in ended.err


def test_a_sweeps_verification_tells_of_trials_with_damage(
    kept: Path, program: Program, tmp_path: Path
) -> None:
    sweep = Sweep(open_store(str(kept)), "sweeps/t-00000000")
    sweep.create({"space": {}})
    for number in range(3):
        run = sweep.trial(number)
        run.create({"job": {}})
        attempt = run.claim_attempt()
        commit(attempt, tmp_path, 10 + 2 * number)
        commit(attempt, tmp_path, 11 + 2 * number)
    sweep.finish({"winner_run": sweep.trial(0).prefix})
    flip(kept / sweep.trial(2).checkpoints()[0].folder / "state.pt")
    ended = program("artifacts", "verify", "t-00000000", "--json")
    rows = document("artifacts", ended.out)["serving"]
    assert [(row["run"][-2:], row["key"][-2:]) for row in rows] == [("00", "11"), ("02", "14")]
    flip(kept / sweep.trial(1).key("run.json"))
    flip(kept / sweep.key("result.json"))
    ended = program("artifacts", "verify", "t-00000000", "--json")
    rows = document("artifacts", ended.out)["serving"]
    assert ended.code == 5 and "(3 in all)" in ended.err
    assert [(row["run"][-2:], row["key"][-2:]) for row in rows] == [("01", "13"), ("02", "14")]
