"""Cleaning up: of runs and sweeps only what nobody needs goes, and a dry run says it exactly."""

import tempfile
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from cifar_dist.documents import GcDocument, TrialState
from cifar_dist.errors import ConfigError, StoreError
from cifar_dist.runs import Attempt, Goal, Manifest, Run, Sweep, verify
from cifar_dist.runs.cleaning import Policy, clean
from cifar_dist.runs.inventory import KINDS
from cifar_dist.store import Store, open_store
from tests.checkpoints import commit, flip
from tests.commands import Program, document
from tests.result_documents import sweep_document, trial

AT_ONCE = Policy(keep=2, young=timedelta(hours=-1))
RUN, SWEEP = "a-00000000", "s-00000000"


@pytest.fixture
def disk(tmp_path: Path) -> Store:
    """Give an empty store in a folder: what a store of any kind does is tested elsewhere."""
    return open_store(str(tmp_path / "store"))


def begun(store: Store, steps: int = 5, name: str = RUN) -> tuple[Run, list[Manifest]]:
    """Make an unfinished run with checkpoints of two files each, the first of which is the best."""
    run = Run(store, f"runs/{name}")
    run.create({"job": {}})
    attempt = run.claim_attempt()
    sent = [commit_one(run, attempt, step) for step in range(1, steps + 1)]
    run.pin("best", sent[0])
    return run, sent


def commit_one(run: Run, attempt: Attempt, step: int) -> Manifest:
    with tempfile.TemporaryDirectory() as folder:
        return commit(attempt, Path(folder), step)


def searched(store: Store, trials: int) -> Sweep:
    """Make the trials of a sweep, with two checkpoints each."""
    sweep = Sweep(store, f"sweeps/{SWEEP}")
    for number in range(trials):
        run = sweep.trial(number)
        run.create({"job": {}})
        attempt = run.claim_attempt()
        run.pin("best", commit_one(run, attempt, 1))
        commit_one(run, attempt, 2)
    return sweep


def finished(sweep: Sweep, *states: TrialState) -> Sweep:
    rows = [trial(number, state, 4 - number) for number, state in enumerate(states)]
    sweep.create({"space": {}})
    result = sweep_document(trials=rows, best=0, winner_run=sweep.trial(0).prefix)
    sweep.finish(result.model_dump(mode="json"))
    return sweep


def keys(store: Store) -> list[str]:
    return [entry.key for entry in store.entries()]


def cleaned(store: Store, policy: Policy = AT_ONCE, *names: str) -> GcDocument:
    """Clean up after a dry run, which must tell the same and change nothing."""
    before = keys(store)
    told = clean(store, names, policy, dry_run=True)
    assert keys(store) == before
    done = clean(store, names, policy, dry_run=False)
    assert (told.rows, told.objects, told.bytes) == (done.rows, done.objects, done.bytes)
    assert len(before) - len(keys(store)) == done.objects
    return done


def test_of_a_run_the_newest_the_best_and_the_pinned_stay(store: Store) -> None:
    run, sent = begun(store)
    run.pin("shown", sent[1])
    size = sum(entry.bytes for entry in store.entries(sent[2].folder))
    (row,) = cleaned(store).rows
    assert (row.key, row.state, row.objects, row.bytes) == (run.prefix, "unfinished", 3, size)
    assert {kept.key: kept.why for kept in row.kept} == {
        sent[0].folder: ["best"],
        sent[1].folder: ["pin shown"],
        sent[3].folder: ["newest"],
        sent[4].folder: ["newest"],
    }
    assert {row.verdict for row in verify(store, RUN)} == {"intact"}
    assert cleaned(store).objects == 0


def test_what_the_newest_attempt_resumed_from_stays_until_the_run_is_finished(disk: Store) -> None:
    run, _ = begun(disk, 2)
    attempt = run.claim_attempt()
    run.pin("best", [commit_one(run, attempt, step) for step in (3, 4, 5)][2])
    assert [m.step for m in run.checkpoints()] == [5, 4, 3, 2, 1]
    cleaned(disk)
    assert [m.step for m in run.checkpoints()] == [5, 4, 2]
    run.finish({})
    cleaned(disk)
    assert [m.step for m in run.checkpoints()] == [5, 4]


def test_an_unpinned_checkpoint_goes(disk: Store) -> None:
    run, sent = begun(disk)
    run.pin("shown", sent[1])
    run.unpin("shown")
    cleaned(disk)
    assert sent[1] not in run.checkpoints()


def test_by_default_nothing_of_the_last_ten_minutes_goes(disk: Store) -> None:
    begun(disk)
    assert cleaned(disk, Policy(keep=1)).objects == 0


def test_ages_are_by_the_storages_clock(disk: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(disk)
    now = disk.now()
    monkeypatch.setattr(disk, "now", lambda: now + timedelta(minutes=11))
    assert cleaned(disk, Policy(keep=1)).objects == 9


def test_only_what_is_named_is_cleaned(disk: Store) -> None:
    begun(disk)
    begun(disk, name="b-00000000")
    assert [row.key for row in cleaned(disk, AT_ONCE, "b-00000000").rows] == ["runs/b-00000000"]
    assert cleaned(disk).objects == 6
    with pytest.raises(ConfigError, match="did you mean"):
        clean(disk, ["a-00000001"], AT_ONCE, dry_run=True)


def test_what_others_keep_below_the_prefix_is_left_alone(store: Store) -> None:
    begun(store)
    foreign = [f"runs/mine/attempts/000001/step-{1:012d}/MANIFEST.json", f"runs/{RUN}/notes.txt"]
    foreign += [f"runs/b-00000000/attempts/000001/step-{1:012d}/state.pt", "mine/x", "datasets/x"]
    for key in foreign:
        store.write(key, b"mine")
    assert [row.key for row in cleaned(store).rows] == [f"runs/{RUN}"]
    assert set(foreign) <= set(keys(store))


def test_of_a_finished_sweep_the_best_trials_keep_their_checkpoints(disk: Store) -> None:
    sweep = finished(searched(disk, 3), "finished", "pruned", "pruned")
    told = [key for key in keys(disk) if "/step-" not in key]
    (row,) = cleaned(disk, Policy(2, 2, young=AT_ONCE.young)).rows
    assert (row.key, row.state, row.objects) == (sweep.prefix, "finished", 6)
    assert [len(sweep.trial(n).checkpoints()) for n in range(3)] == [2, 2, 0]
    cleaned(disk)
    assert [len(sweep.trial(n).checkpoints()) for n in range(3)] == [2, 0, 0]
    assert [key for key in keys(disk) if "/step-" not in key] == told
    best = sweep.trial(0).best()
    assert best is not None and {r.verdict for r in verify(disk, SWEEP)} == {"intact"}


def test_a_trial_that_somebody_pinned_keeps_that_checkpoint(disk: Store) -> None:
    sweep = finished(searched(disk, 2), "finished", "pruned")
    run = sweep.trial(1)
    run.pin("odd", run.checkpoints()[1])
    cleaned(disk)
    assert [m.step for m in run.checkpoints()] == [1]


@pytest.mark.parametrize("ending", ["unfinished", "extended"])
def test_the_trials_of_an_unfinished_sweep_are_left_alone(disk: Store, ending: str) -> None:
    sweep = searched(disk, 2)
    if ending == "extended":
        finished(sweep, "finished", "pruned").extend(Goal(extension=1, trials=4, added=2))
    else:
        sweep.create({"space": {}})
    (row,) = cleaned(disk).rows
    assert (row.state, row.objects) == ("unfinished", 0)
    assert row.note == "left alone: its trials may go on"


def test_a_trial_that_a_spent_budget_left_unfinished_may_still_go_on(disk: Store) -> None:
    sweep = finished(searched(disk, 2), "finished", "pruned")
    waiting = sweep.trial(2)
    commit_one(waiting, waiting.claim_attempt(), 1)
    commit_one(waiting, waiting.claim_attempt(), 2)
    cleaned(disk, Policy(1, young=AT_ONCE.young))
    assert len(waiting.checkpoints()) == 2


def test_a_pin_that_is_set_while_others_are_cleaned_holds(
    disk: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, sent = begun(disk)
    pins, seen = Run.pins, list[Run]()

    def set_later(self: Run) -> dict[str, str]:
        seen.append(self)
        if len(seen) == 2:  # the first reading judged
            run.pin("shown", sent[1])
        return pins(self)

    monkeypatch.setattr(Run, "pins", set_later)
    (row,) = clean(disk, [], AT_ONCE, dry_run=False).rows
    assert [m.step for m in run.checkpoints()] == [5, 4, 2, 1]
    assert {kept.key: kept.why for kept in row.kept}[sent[1].folder] == ["pin shown"]
    assert row.objects == 3


def test_an_unfinished_runs_attempts_are_listed_once(
    disk: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(disk)
    listed, seen = disk.entries, list[str]()
    monkeypatch.setattr(disk, "entries", lambda prefix: seen.append(prefix) or listed(prefix))
    clean(disk, [], AT_ONCE, dry_run=True)
    assert [prefix for prefix in seen if prefix.endswith("/attempts")] == [f"runs/{RUN}/attempts"]


def test_a_run_whose_documents_are_damaged_is_left_alone(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    run, _ = begun(store)
    begun(store, name="b-00000000")
    flip(tmp_path / "store" / run.key("run.json"))
    flip(tmp_path / "store" / run.key("pins/best/000001.json"))
    rows = cleaned(store).rows
    assert [(row.state, row.objects) for row in rows] == [("damaged", 0), ("unfinished", 6)]


def test_more_objects_than_a_page_and_a_request_hold_are_removed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cifar_dist.store.s3._DELETE_BATCH", 4)
    if (bucket := getattr(store, "_bucket", None)) is not None:
        listing = bucket.client.list_objects_v2
        monkeypatch.setattr(
            bucket.client, "list_objects_v2", lambda **asked: listing(**asked, MaxKeys=5)
        )
    run, _ = begun(store, 9)
    assert cleaned(store).objects == 18
    assert [m.step for m in run.checkpoints()] == [9, 8, 1]


def test_without_the_right_to_delete_it_is_one_sentence_and_exit_4(
    s3_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store("s3://bucket/rights")
    begun(store)
    refused = {"Errors": [{"Key": "x", "Code": "AccessDenied"}]}
    client = store._bucket.client  # type: ignore[attr-defined]
    monkeypatch.setattr(client, "delete_objects", lambda **_: refused)
    with pytest.raises(StoreError, match="ask for the right to delete") as caught:
        clean(store, [], AT_ONCE, dry_run=False)
    assert caught.value.exit_code == 4
    assert clean(store, [], AT_ONCE, dry_run=True).objects == 6


def test_only_our_own_unfinished_uploads_are_aborted(s3_environment: None) -> None:
    store = open_store("s3://bucket")
    client = store._bucket.client  # type: ignore[attr-defined]
    ours = [f"runs/{RUN}/attempts/000001/x", f"sweeps/{SWEEP}/x", "datasets/0/train.npy"]
    ours += ["doctor/0/parts"]
    for key in [*ours, "theirs/large", "runsmore/large"]:
        client.create_multipart_upload(Bucket="bucket", Key=key)
    # The simulated server says of all uploads that they began in 2010.
    ancient = Policy(older_than=timedelta(days=36_500))
    assert clean(store, [], ancient, dry_run=False).unfinished_uploads == 0
    assert clean(store, [], Policy(), dry_run=True).unfinished_uploads == 4
    assert clean(store, [], Policy(), dry_run=False).unfinished_uploads == 4
    left = client.list_multipart_uploads(Bucket="bucket")["Uploads"]
    assert {upload["Key"] for upload in left} == {"theirs/large", "runsmore/large"}
    for upload in left:
        client.abort_multipart_upload(
            Bucket="bucket", Key=upload["Key"], UploadId=upload["UploadId"]
        )


def test_every_kind_of_folder_that_is_uploaded_to_is_looked_through() -> None:
    from cifar_dist.dataset.published import _FOLDER
    from cifar_dist.store.addresses import FOLDERS, PROBES

    assert set(FOLDERS) == {*KINDS, _FOLDER, PROBES}


def test_the_command_tells_what_goes_and_what_stays(program: Program, folder: Path) -> None:
    store = open_store(str(folder / "artifacts"))
    run, _ = begun(store)
    line = ["artifacts", "gc", "--keep", "2"]
    assert document("gc", program(*line, "--json").out)["objects"] == 0  # all are too young
    ended = program(*line, "--dry-run")
    assert ended.code == 0
    assert "newest: step 5, step 4; " in ended.out
    assert "0 objects, 0 B would go, and 0 unfinished uploads older than 24 h" in ended.out
    assert len(run.checkpoints()) == 5


def test_many_runs_are_judged_at_once(disk: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    both, pins = Barrier(2), Run.pins
    for name in (RUN, "b-00000000"):
        begun(disk, 1, name)
    monkeypatch.setattr(Run, "pins", lambda run: both.wait(30) + 1 and pins(run))
    assert len(clean(disk, [], AT_ONCE, dry_run=True).rows) == 2
