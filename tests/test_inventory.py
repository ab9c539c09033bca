"""What a store holds is listed, judged and copied by what its manifests record."""

import json
from pathlib import Path

import pytest

from cifar_dist.errors import ConfigError, RefusedError
from cifar_dist.runs import Run, Sweep, artifacts, fetch, list_runs, locate, serving, verify
from cifar_dist.store import Store, open_store
from tests.checkpoints import flip

RUN, SWEEP = "a-00000000", "s-00000000"


def fill(run: Run, folder: Path) -> None:
    """Write a finished run of two epochs, the first of which is the best."""
    attempt = run.claim_attempt()
    folder.mkdir(exist_ok=True)
    for step in (1, 2):
        (folder / "state.pt").write_bytes(f"state {step}".encode())
        manifest = attempt.commit(folder, step=step, epoch=step, metrics={})
        if step == 1:
            run.pin("best", manifest)
    run.write_report(folder)
    run.finish({"schema": "cifar-dist/train/1"})


@pytest.fixture
def filled(tmp_path: Path) -> Store:
    store = open_store(str(tmp_path / "store"))
    run, sweep = Run(store, f"runs/{RUN}"), Sweep(store, f"sweeps/{SWEEP}")
    run.create({"job": {"name": "a"}})
    fill(run, tmp_path / "saved")
    sweep.create({"space": {}})
    fill(sweep.trial(0), tmp_path / "saved")
    return store


def test_runs_and_sweeps_are_listed_with_their_state(filled: Store) -> None:
    assert [(row.id, row.kind, row.state) for row in list_runs(filled)] == [
        (RUN, "runs", "finished"),
        (SWEEP, "sweeps", "unfinished"),
    ]


def test_an_unknown_id_names_the_nearest(filled: Store) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{RUN}'"):
        locate(filled, "a-00000001")
    with pytest.raises(ConfigError, match="there is no run or sweep"):
        locate(filled, "../a")


def test_artifacts_carry_the_recorded_hash(filled: Store) -> None:
    rows = {row.key: row for row in artifacts(filled, RUN)}
    state = rows[f"runs/{RUN}/attempts/000001/step-000000000001/state.pt"]
    assert state.bytes == 7 and state.sha256 == filled.digest(state.key).sha256
    assert rows[f"runs/{RUN}/run.json"].sha256 is None


def test_every_promised_file_gets_a_verdict(filled: Store, tmp_path: Path) -> None:
    top = tmp_path / "store" / "runs" / RUN / "attempts" / "000001"
    (top / "step-000000000001" / "state.pt").write_bytes(b"state X")
    (top / "step-000000000002" / "state.pt").unlink()
    verdicts = [
        row.verdict for row in verify(filled, RUN) if "/step-" in row.key or "report/" in row.key
    ]
    assert verdicts == ["damaged", "missing", "intact"]
    (top / "step-000000000001" / "MANIFEST.json").write_bytes(b"{}")
    assert verify(filled, RUN)[0].key.endswith("MANIFEST.json")
    assert {row.verdict for row in verify(filled, SWEEP)} == {"intact"}


SEALED = ["attempts/000001.json", "pins/best/000001.json", "result.json", "run.json"]


@pytest.mark.parametrize("name", SEALED)
def test_every_document_that_carries_its_hash_gets_a_verdict(
    filled: Store, tmp_path: Path, name: str
) -> None:
    filled.write(f"runs/{RUN}/notes.json", b"{}")
    rows = [row for row in verify(filled, RUN) if row.key.endswith(".json")]
    assert [row.key for row in rows] == [f"runs/{RUN}/{each}" for each in SEALED]
    flip(tmp_path / "store/runs" / RUN / name)
    rows = verify(filled, RUN)
    assert [row.key for row in rows if row.verdict != "intact"] == [f"runs/{RUN}/{name}"]
    told = {each.name: each.verdict for each in serving(filled, RUN, rows)}
    assert told == {"latest": "intact", "best": "damaged" if "pins" in name else "intact"}


@pytest.mark.parametrize(("which", "state"), [("best", b"state 1"), ("latest", b"state 2")])
def test_a_run_is_fetched_with_documents_and_report(
    filled: Store, tmp_path: Path, which: str, state: bytes
) -> None:
    rows = fetch(filled, RUN, tmp_path / "copy", which)
    assert [row.key for row in rows] == [
        "MANIFEST.json", "report/state.pt", "result.json", "run.json", "state.pt",
    ]  # fmt: skip
    assert (tmp_path / "copy" / "state.pt").read_bytes() == state
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "saved", "store"]


def test_a_sweeps_winner_is_fetched_once_there_is_one(filled: Store, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no winner"):
        fetch(filled, SWEEP, tmp_path / "copy")
    sweep = Sweep(filled, f"sweeps/{SWEEP}")
    sweep.finish({"winner_run": sweep.trial(0).prefix})
    fetch(filled, SWEEP, tmp_path / "copy")
    assert (tmp_path / "copy" / "sweep.json").exists()
    assert (tmp_path / "copy" / "state.pt").read_bytes() == b"state 1"


def test_a_winner_that_was_retrained_is_fetched_with_its_own_documents(
    filled: Store, tmp_path: Path
) -> None:
    Sweep(filled, f"sweeps/{SWEEP}").finish({"winner_run": f"runs/{RUN}"})
    rows = fetch(filled, SWEEP, tmp_path / "copy")
    names = ["winner/result.json", "winner/run.json"]
    assert [row.key for row in rows if row.key.startswith("winner/")] == names
    assert json.loads((tmp_path / "copy" / "winner" / "run.json").read_text())["job"]


def test_fetching_twice_is_fine_and_nothing_else_is_overwritten(
    filled: Store, tmp_path: Path
) -> None:
    fetch(filled, RUN, tmp_path / "copy")
    fetch(filled, RUN, tmp_path / "copy")
    (tmp_path / "copy" / "run.json").write_text("mine")
    with pytest.raises(RefusedError, match="not overwritten"):
        fetch(filled, RUN, tmp_path / "copy")
    assert (tmp_path / "copy" / "run.json").read_text() == "mine"


def test_a_pin_that_is_not_there_is_named(filled: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no pin 'final'; nothing is pinned"):
        fetch(filled, RUN, tmp_path / "copy", "final")
    run = Run(filled, f"runs/{RUN}")
    run.pin("shown", run.checkpoints()[0])
    with pytest.raises(ConfigError, match="no pin 'shwon'; did you mean 'shown'"):
        fetch(filled, RUN, tmp_path / "copy", "shwon")
