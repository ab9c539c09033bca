"""Cleaning up beside writers and readers, and after killed writers, breaks nothing of anyone's."""

import os
import random
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.runs import Run
from cifar_dist.runs.cleaning import Policy, clean
from cifar_dist.store import Store, open_store
from tests.broken_storage import NAME, SERVERS, meanwhile
from tests.fault_proxy import Fault, FaultProxy
from tests.s3_servers import Server
from tests.soak import rounds
from tests.writers import Order, Writers, commit, is_exact

pytestmark = pytest.mark.soak
# Nothing stays for being young, so that there is always something to remove.
HASTY = Policy(keep=2, young=timedelta(hours=-1), older_than=timedelta(days=36_500))
KILLED = Policy(older_than=timedelta(hours=-1))
FEWEST = 9  # the step up to which a writer goes on, however slow the machine is


class Reader:
    """Resumes a run again and again, and keeps what came back."""

    def __init__(self, uri: str, folder: Path) -> None:
        self._run, self._folder = Run(open_store(uri), NAME), folder
        self.reads = 0
        self.wrong: list[Path] = []

    def read(self, done: threading.Event) -> None:
        """Go on until it is done."""
        while not done.is_set():
            self.reads += 1
            folder = self._folder / str(self.reads)
            chosen = self._run.latest_intact(folder)
            if chosen is None or not is_exact(folder, chosen.step):
                self.wrong.append(folder)


def raced(run: Run, folder: Path) -> dict[str, int]:
    """Write checkpoints beside readers and one who cleans up; gives how often each came to it."""
    run.create({"job": {}})
    attempt, store, last = run.claim_attempt(), run.store, 1
    run.pin("best", commit(attempt, folder, last))
    readers = [Reader(store.uri, folder / f"reader-{number}") for number in range(3)]
    done, gone = threading.Event(), [0]

    def tidy() -> None:
        beside = open_store(store.uri)
        while not done.is_set():
            gone[0] += clean(beside, [], HASTY, dry_run=False).objects

    works = [lambda reader=reader: reader.read(done) for reader in readers]
    end = time.monotonic() + rounds(2, 30)
    with meanwhile(tidy, *works):
        try:
            while time.monotonic() < end or last < FEWEST or not gone[0]:
                last += 2
                commit(attempt, folder, last)
        finally:
            done.set()
    assert not any(reader.wrong for reader in readers)
    clean(store, [], HASTY, dry_run=False)
    assert [manifest.step for manifest in run.checkpoints()] == [last, last - 2, 1]
    reads = sum(reader.reads for reader in readers)
    return {"reads": reads, "commits": (last + 1) // 2, "removed": gone[0]}


@SERVERS
def test_cleaning_up_beside_a_writer_breaks_no_reader(
    broken_run: Run, proxy: FaultProxy, tmp_path: Path, figures: dict[str, Any]
) -> None:
    proxy.faults.append(Fault("503", 0.1))
    figures.update(raced(broken_run, tmp_path))
    figures.update(proxy.counts)
    assert figures["reads"] >= 3


def test_cleaning_up_a_folder_beside_a_writer_breaks_no_reader(
    tmp_path: Path, figures: dict[str, Any]
) -> None:
    figures.update(raced(Run(open_store(str(tmp_path / "store")), NAME), tmp_path))
    assert figures["reads"] >= 3


@pytest.fixture
def place(server: Server) -> Store:
    return open_store(server.new_uri())


@SERVERS
def test_what_killed_writers_left_is_cleaned_up_under_our_prefix_and_nowhere_else(
    server: Server, place: Store, writers: Writers, tmp_path: Path, figures: dict[str, Any]
) -> None:
    run, beside = Run(place, NAME), open_store(server.new_uri())
    run.create({"job": {}})
    foreign = begin_upload(beside, "runs/b-00000000/large")
    moments = random.Random(21)
    for number in range(rounds(3, 20)):
        folder = tmp_path / str(number)
        folder.mkdir()
        even = list(range(2 * number + 2, 1000, 2))  # only these take more than one request
        process = writers.start(Order(place.uri, NAME, str(folder), even))
        time.sleep(moments.uniform(0.05, 0.3))
        os.kill(process, signal.SIGKILL)
        writers.ended()
    begin_upload(place, f"{NAME}/attempts/000001/step-{1:012d}/state.pt")  # at least one for sure
    chosen = run.latest_intact(tmp_path / "before")
    orphans = place.unfinished(KILLED.older_than)
    told = clean(place, [], KILLED, dry_run=False)
    figures.update(orphans=orphans, removed=told.objects)
    assert told.unfinished_uploads == orphans >= 1
    assert place.unfinished(KILLED.older_than) == 0
    assert run.latest_intact(tmp_path / "after") == chosen
    assert beside.discard_unfinished(KILLED.older_than) == foreign
    place.delete([entry.key for entry in place.entries()])


def begin_upload(store: Store, key: str) -> int:
    """Begin an upload and leave it; gives how many that are."""
    bucket, prefix = store.uri.removeprefix("s3://").split("/", 1)
    client = store._bucket.client  # type: ignore[attr-defined]
    client.create_multipart_upload(Bucket=bucket, Key=f"{prefix}/{key}")
    return 1
