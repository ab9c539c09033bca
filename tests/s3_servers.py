"""The S3 servers that storage is tested on: a simulated one, and real ones that may be killed."""

import hashlib
import http.client
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.stores import ASKED, GIVEN, REAL, point

_DEPLOY = Path(__file__).parents[1] / "deploy"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
PROGRAM = _CACHE / "cifar-dist" / "versitygw-v1.8.0" / "versitygw"
"""Where `deploy/versitygw` leaves it."""


class Keys(NamedTuple):
    """What a client proves by who it is."""

    key: str
    secret: str


OWNER = Keys("test", "test-secret")
OTHER = Keys("other", "other-secret")


class Server:
    """One S3 server with a bucket; the SDK's environment must already hold its keys."""

    def __init__(self, endpoint: str, bucket: str = "bucket", *, simulated: bool = False) -> None:
        self.endpoint = endpoint
        self.simulated = simulated
        self.bucket, _, prefix = bucket.partition("/")
        self._root = f"s3://{self.bucket}/{prefix}".rstrip("/")

    def new_uri(self) -> str:
        """Give the URI of a store that nobody used yet."""
        return f"{self._root}/{uuid.uuid4().hex}"


class Started(Server):
    """A real server that a script of deploy/ runs, over a bucket 'cifar'."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        super().__init__(f"http://127.0.0.1:{self._port}", "cifar")
        self.folder = folder
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers; where it is not installed, skip the test."""
        name = type(self).__name__.upper()
        keys = {"PORT": str(self._port), "ACCESS_KEY": OWNER.key, "SECRET_KEY": OWNER.secret}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_DEPLOY / name.lower(), self.folder / "objects"],
                env=os.environ | self._settings() | {f"{name}_{k}": keys[k] for k in keys},
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout
        with self._process.stdout as exports:
            exports.read()
        self._wait()

    def kill(self) -> None:
        """Kill it in the midst of whatever it is doing; `start` brings it back."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End what was started."""
        self._process.terminate()
        self._process.wait()

    def admit(self, user: Keys) -> str:
        """Let a user in who may do nothing; gives its name for a policy."""
        raise NotImplementedError

    def objects(self) -> list[str]:
        """Name all objects of the bucket for a policy."""
        return [f"arn:aws:s3:::{self.bucket}/*"]

    def _settings(self) -> dict[str, str]:
        return {}

    def _wait(self) -> None:
        while not _answers(self.endpoint):
            if (code := self._process.poll()) is not None:
                said = (self.folder / "log").read_text("utf-8").strip()
                assert code == 2, said
                pytest.skip(said)  # which packages to install
            time.sleep(0.05)


class Versitygw(Started):
    """A server over a folder, which a kill does not empty."""

    def admit(self, user: Keys) -> str:
        """Let a user in who may do nothing; gives its name for a policy."""
        names = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "ENDPOINT_URL")
        own = dict(zip(names, (*OWNER, self.endpoint), strict=True))
        command = ("admin", "create-user", "-a", user.key, "-s", user.secret, "-r", "user")
        environment = os.environ | {f"ADMIN_{name}": own[name] for name in own}
        subprocess.run([PROGRAM, *command], env=environment, check=True, capture_output=True)
        return user.key

    def half_complete(self, parts: list[bytes]) -> None:
        """Leave its one open upload as a kill does that comes between two steps of completing."""
        (upload,) = self.folder.glob("objects/cifar/.sgwtmp/multipart/*/*")
        digests = b"".join(hashlib.md5(part).digest() for part in parts)
        tag = f"{hashlib.md5(digests).hexdigest()}-{len(parts)}"
        upload.rename(upload.with_name(f"{upload.name}.{tag}.inprogress"))

    def _settings(self) -> dict[str, str]:
        folders = {name: self.folder / name for name in ("VGW_IAM_DIR", "VGW_VERSIONING_DIR")}
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
        return {name: str(folders[name]) for name in folders} | {"XDG_CACHE_HOME": str(_CACHE)}


class Radosgw(Started):
    """Ceph's gateway before its object store; only the gateway is killed."""

    def start(self) -> None:
        """Start it, or wait until its script has brought it back."""
        if self._gateway.exists():
            self._wait()
        else:
            super().start()

    def kill(self) -> None:
        """Kill the gateway in the midst of whatever it is doing."""
        number = int(self._gateway.read_text("ascii"))
        os.kill(number, signal.SIGKILL)
        while Path(f"/proc/{number}").exists():
            time.sleep(0.01)

    def admit(self, user: Keys) -> str:
        """Let a user in who may do nothing; gives its name for a policy."""
        keys = ("--access-key", user.key, "--secret-key", user.secret)
        subprocess.run(
            ["radosgw-admin", "user", "create", "--uid", user.key, "--display-name", "x", *keys],
            env={**os.environ, "CEPH_CONF": str(self.folder / "objects" / "ceph" / "ceph.conf")},
            check=True,
            capture_output=True,
        )
        return f"arn:aws:iam:::user/{user.key}"

    def objects(self) -> list[str]:
        """Name all objects of the bucket; the right to remove many at once is asked of itself."""
        return [*super().objects(), f"arn:aws:s3:::{self.bucket}"]

    @property
    def _gateway(self) -> Path:
        return self.folder / "objects" / "radosgw.pid"


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
    if not PROGRAM.exists() and "versitygw" not in ASKED:
        pytest.skip("versitygw is not here; deploy/versitygw builds it")
    server = Versitygw(tmp_path_factory.mktemp("versitygw"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _radosgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radosgw]:
    server = Radosgw(tmp_path_factory.mktemp("radosgw"))
    yield server
    server.stop()


@pytest.fixture
def versitygw(_versitygw: Versitygw, monkeypatch: pytest.MonkeyPatch) -> Versitygw:
    """Give a real server that may be killed."""
    point(monkeypatch, _versitygw.endpoint, *OWNER)
    return _versitygw


@pytest.fixture
def radosgw(_radosgw: Radosgw, monkeypatch: pytest.MonkeyPatch) -> Radosgw:
    """Give another one."""
    point(monkeypatch, _radosgw.endpoint, *OWNER)
    return _radosgw


@pytest.fixture
def given() -> Server:
    """Give the server that the environment names."""
    return Server(os.environ.get("AWS_ENDPOINT_URL", ""), GIVEN.removeprefix("s3://"))


@pytest.fixture(params=REAL or ["versitygw"])
def real(request: pytest.FixtureRequest) -> Server:
    """Give each real server that was asked for."""
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def plain(real: Server) -> Server:
    """Give a server that a proxy can stand before."""
    if not real.endpoint.startswith("http://"):
        pytest.skip("no proxy can stand before a server that is reached by https")
    return real


@pytest.fixture(params=["moto", "real"])
def server(request: pytest.FixtureRequest) -> Server:
    """Give the simulated server and a real one."""
    name = [*REAL, "versitygw"][0] if request.param == "real" else "moto"
    server: Server = request.getfixturevalue(name)
    return server
