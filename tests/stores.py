"""The stores that the contract is tested on: a folder, a simulated S3 server and a given one."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from cifar_dist.store import Store, open_store

GIVEN = os.environ.get("CIFAR_DIST_TEST_S3", "")  # s3://bucket, with its AWS_* beside it
KINDS = ["file", "moto", pytest.param("given", marks=pytest.mark.skipif(not GIVEN, reason="none"))]


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
    monkeypatch.setenv("AWS_ENDPOINT_URL", simulated_s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
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
    if request.param == "moto":
        request.getfixturevalue("s3_environment")
    bucket = GIVEN if request.param == "given" else "s3://bucket"
    store = open_store(f"{bucket}/{uuid.uuid4().hex}")
    yield store
    store.delete([entry.key for entry in store.entries()])
