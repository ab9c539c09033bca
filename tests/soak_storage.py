"""An S3 server that a command reaches through a proxy, which can be taken out of its way."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fault_proxy import FaultProxy
from tests.s3_servers import PROGRAM, Server


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> Server:
    """Give a real server, or where none was built a simulated one."""
    server: Server = request.getfixturevalue("versitygw" if PROGRAM.exists() else "moto")
    return server


@contextmanager
def reached(server: Server) -> Iterator[tuple[FaultProxy, dict[str, str]]]:
    """Give a proxy before a server, and the environment that leads a command and its Ray to it.

    The Ray is the command's own: only there workers have the same environment.
    """
    with FaultProxy(server.endpoint) as proxy:
        yield proxy, {"AWS_ENDPOINT_URL": proxy.endpoint, "RAY_ADDRESS": ""}


def take_away(proxy: FaultProxy, seconds: float) -> None:
    """Let nobody through for a while."""
    proxy.down = True
    time.sleep(seconds)
    proxy.down = False
