"""A store behind the fault proxy, and what must still be in it in the end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from cifar_dist.runs import Run
from cifar_dist.store import open_store
from tests.fault_proxy import FaultProxy
from tests.s3_servers import Server
from tests.soak import long_only
from tests.writers import is_exact

NAME = "runs/a-00000000"
SIMULATED = pytest.mark.parametrize("server", ["moto"], indirect=True)
SERVERS = pytest.mark.parametrize(
    "server", ["moto", pytest.param("real", marks=long_only)], indirect=True
)


@pytest.fixture
def proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """Give what stands between the SDK and the server; strict where the server is not."""
    with FaultProxy(server.endpoint, strict=server.simulated) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


@pytest.fixture
def broken_run(server: Server, proxy: FaultProxy) -> Iterator[Run]:
    """Give a run in an empty store behind the proxy."""
    store = open_store(server.new_uri())
    yield Run(store, NAME)
    proxy.faults.clear()
    proxy.down = proxy.stalled = False
    store.delete([entry.key for entry in store.entries()])


@pytest.fixture
def hasty(simulated_s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK wait a second for the next byte, so that a test need not wait longer."""
    make = boto3.session.Session.client

    def client(self: boto3.session.Session, *names: Any, **named: Any) -> Any:
        quick = named.pop("config", Config()).merge(Config(read_timeout=1))
        return make(self, *names, config=quick, **named)

    monkeypatch.setattr(boto3.session.Session, "client", client)


def impatient(run: Run, seconds: float) -> Run:
    """Give the same run for a process that soon gives up."""
    settings = run.store.s3.model_copy(update={"deadline_seconds": seconds})
    return Run(open_store(run.store.uri, settings), run.prefix)


def count_intact(run: Run, folder: Path) -> int:
    """Tell how many checkpoints come back bit for bit; all of them are tried."""
    intact = 0
    for manifest in run.checkpoints():
        run.download(manifest, folder / str(manifest.step))
        intact += is_exact(folder / str(manifest.step), manifest.step)
    return intact


@contextmanager
def meanwhile(*works: Callable[[], object]) -> Iterator[None]:
    """Do works in threads while the body runs; they must end soon after it."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()
