"""The S3 servers that storage is broken on: a simulated one, and versitygw, which can be killed."""

import hashlib
import http.client
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.stores import GIVEN

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
PROGRAM = shutil.which("versitygw") or shutil.which(
    "versitygw", path=str(_CACHE / "cifar-dist" / "versitygw-v1.8.0")
)
"""Where `deploy/versitygw` leaves it."""


class Server:
    """One S3 server with a bucket; the SDK's environment must already hold its keys."""

    def __init__(self, endpoint: str, bucket: str = "bucket", *, simulated: bool = False) -> None:
        self.endpoint = endpoint
        self.simulated = simulated
        self._bucket = bucket

    def new_uri(self) -> str:
        """Give the URI of a store that nobody used yet."""
        return f"s3://{self._bucket}/{uuid.uuid4().hex}"


class Versitygw(Server):
    """A real server over a folder, as a process of its own that may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        (folder / "bucket").mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        super().__init__(f"http://127.0.0.1:{self._port}")
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        keys = {"ROOT_ACCESS_KEY_ID": "test", "ROOT_SECRET_ACCESS_KEY": "test-secret"}
        address = f"127.0.0.1:{self._port}"
        self._process = subprocess.Popen(
            [str(PROGRAM), "--port", address, "--quiet", "posix", str(self._folder)],
            env={**os.environ, **keys},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not _answers(self.endpoint):
            assert self._process.poll() is None, "versitygw ended at once"
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it in the midst of whatever it is doing."""
        self._process.kill()
        self._process.wait()

    def half_complete(self, parts: list[bytes]) -> None:
        """Leave its one open upload as a kill does that comes between two steps of completing."""
        (upload,) = self._folder.glob("bucket/.sgwtmp/multipart/*/*")
        digests = b"".join(hashlib.md5(part).digest() for part in parts)
        tag = f"{hashlib.md5(digests).hexdigest()}-{len(parts)}"
        upload.rename(upload.with_name(f"{upload.name}.{tag}.inprogress"))


def _answers(endpoint: str) -> bool:
    with closing(http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=5)) as link:
        try:
            link.request("GET", "/")
            link.getresponse().read()
        except OSError:
            return False
    return True


@pytest.fixture
def moto(simulated_s3: str, s3_environment: None) -> Server:
    """Give the simulated server."""
    return Server(simulated_s3, simulated=True)


@pytest.fixture(scope="session")
def _versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Versitygw]:
    if not PROGRAM:
        pytest.skip("versitygw is not here; deploy/versitygw builds it")
    server = Versitygw(tmp_path_factory.mktemp("versitygw"))
    yield server
    server.kill()


@pytest.fixture
def versitygw(
    _versitygw: Versitygw, s3_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Versitygw:
    """Give a real server that may be killed."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", _versitygw.endpoint)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    return _versitygw


@pytest.fixture(params=["moto", "real"])
def server(request: pytest.FixtureRequest) -> Server:
    """Give each server in turn; the real one is the one given by name, if any."""
    if request.param == "real" and GIVEN:
        return Server(os.environ["AWS_ENDPOINT_URL"], urlsplit(GIVEN).netloc)
    found: Server = request.getfixturevalue("moto" if request.param == "moto" else "versitygw")
    return found
