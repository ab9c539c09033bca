"""Storage that is away for a while is waited for; one that stays away is an error."""

import random
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.errors import StoreError
from cifar_dist.runs import Attempt, BackgroundCommitter, Run
from cifar_dist.store import open_store
from cifar_dist.store.s3 import S3Store
from tests.broken_storage import NAME, SERVERS, SIMULATED, count_intact, impatient, meanwhile
from tests.fault_proxy import FaultProxy
from tests.s3_servers import Server, Started, Versitygw
from tests.soak import rounds
from tests.writers import commit, content, is_exact

pytestmark = pytest.mark.soak
DEADLINE = "CIFAR_DIST_STORE_DEADLINE_SECONDS"


class Known:
    """A snapshot of known bytes."""

    def __init__(self, step: int) -> None:
        self._step = step

    def write(self, folder: Path) -> None:
        """Write its files."""
        for name, data in content(self._step).items():
            (folder / name).write_bytes(data)


@SERVERS
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("kind", ["down", "stalled"])
def test_an_outage_is_waited_out(
    proxy: FaultProxy,
    broken_run: Run,
    tmp_path: Path,
    kind: str,
    figures: dict[str, Any],
) -> None:
    attempt = broken_run.claim_attempt()
    for step in (1, 2, 3):
        commit(attempt, tmp_path, step)
    setattr(proxy, kind, True)

    def come_back() -> None:
        time.sleep(rounds(2, 40))
        setattr(proxy, kind, False)

    with meanwhile(come_back):
        for step in range(4, 11):
            commit(attempt, tmp_path, step)
    intact = count_intact(broken_run, tmp_path)
    figures.update(proxy.counts, intact=intact)
    assert intact == 10
    assert proxy.counts[kind] > 0


@SIMULATED
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("kind", ["down", "stalled"])
def test_a_storage_that_stays_away_is_an_error_and_what_is_local_stays(
    proxy: FaultProxy,
    broken_run: Run,
    tmp_path: Path,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    number = broken_run.claim_attempt().number
    run = impatient(broken_run, rounds(1, 10))
    committer = BackgroundCommitter(run, Attempt(run.store, run.prefix, number))
    setattr(proxy, kind, True)
    committer.submit(Known(3), step=3, epoch=3, metrics={})
    with pytest.raises(StoreError, match=f"at {proxy.endpoint} failed for .* {DEADLINE}") as caught:
        committer.wait()
    assert caught.value.exit_code == 4
    (kept,) = (tmp_path / "temporary").iterdir()
    assert is_exact(kept, 3) and str(kept) in str(caught.value)
    setattr(proxy, kind, False)
    broken_run.claim_attempt().commit(kept, step=3, epoch=3, metrics={})
    assert [manifest.step for manifest in broken_run.checkpoints()] == [3]


def test_an_upload_that_a_restarted_server_only_says_is_complete_is_made_again(
    versitygw: Versitygw, tmp_path: Path
) -> None:
    store, large = open_store(versitygw.new_uri()), content(2)["state.pt"]
    assert isinstance(store, S3Store)
    (tmp_path / "large").write_bytes(large)
    dying = [[large[: 8 << 20], large[8 << 20 :]]]

    def die(**_: object) -> None:
        if dying:
            versitygw.kill()
            versitygw.half_complete(dying.pop())
            versitygw.start()

    store._bucket.client.meta.events.register("before-call.s3.CompleteMultipartUpload", die)
    sent = store.upload("large", tmp_path / "large")
    assert not dying
    assert store.digest("large") == sent


def test_a_server_that_crashes_again_and_again_loses_nothing(
    real: Server, tmp_path: Path, figures: dict[str, Any]
) -> None:
    if not isinstance(real, Started):
        pytest.skip("only a server that these tests started is killed")
    run, chance = Run(open_store(real.new_uri()), NAME), random.Random(13)
    crashes, least, over = rounds(1, 6), rounds(6, 40), threading.Event()

    def crash() -> None:
        for _ in range(crashes):
            time.sleep(chance.uniform(0, 2))
            real.kill()
            time.sleep(chance.uniform(0, 1))
            real.start()
        over.set()

    attempt, step, slowest = run.claim_attempt(), 0, 0.0
    with meanwhile(crash):
        while step < least or not over.is_set():
            step, start = step + 1, time.monotonic()
            commit(attempt, tmp_path, step)
            slowest = max(slowest, time.monotonic() - start)
    intact = count_intact(run, tmp_path)
    figures.update(commits=step, intact=intact, crashes=crashes, slowest_seconds=round(slowest, 1))
    assert intact == step
    run.store.delete([entry.key for entry in run.store.entries()])
