"""The stores that the contract is tested on: a folder and a simulated server, or real servers."""

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from cifar_dist.store import Store, open_store

ASKED = os.environ.get("CIFAR_DIST_TEST_S3", "").split()
"""Real servers, if any: 'versitygw', 'radosgw', or an s3://bucket with its AWS_* beside it."""
GIVEN = next((name for name in ASKED if name.startswith("s3://")), "")
REAL = ["given" if name == GIVEN else name for name in ASKED]
KINDS = REAL or ["file", "moto"]


@pytest.fixture(scope="session")
def simulated_s3() -> Iterator[str]:
    """Serve S3 in this process; gives its endpoint, with a bucket named 'bucket'."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
    client.create_bucket(Bucket="bucket")
    yield endpoint
    client.close()
    server.stop()


@pytest.fixture
def s3_environment(simulated_s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the SDK at the simulated server, and at nothing else of this machine."""
    point(monkeypatch, simulated_s3, "test", "test")


def point(monkeypatch: pytest.MonkeyPatch, endpoint: str, key: str, secret: str) -> None:
    """Point the SDK at one server, and at nothing else of this machine."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Give an empty store of each kind."""
    if request.param == "file":
        yield open_store(str(tmp_path / "store"))
        return
    store = open_store(request.getfixturevalue(request.param).new_uri())
    yield store
    store.delete([entry.key for entry in store.entries()])
