"""A job's S3 settings: over the environment, complete for other processes, without credentials."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.api.run import address
from cifar_dist.config import S3, Job, parse_job, patched
from cifar_dist.errors import ConfigError
from cifar_dist.store import open_store, reopened

pytestmark = pytest.mark.usefixtures("s3_environment")

WORKER = """
import json, sys
from cifar_dist.config import parse_job
from cifar_dist.store import open_store

job = parse_job(json.load(sys.stdin))
open_store(job.store, job.s3).write("from/worker", b"here")
"""


def job_with(**s3: Any) -> Job:
    return patched(parse_job({}), {f"s3.{name}": value for name, value in s3.items()})


def test_a_process_with_credentials_alone_reaches_the_store_that_the_job_names() -> None:
    store = open_store(f"s3://bucket/{uuid.uuid4().hex}")
    job = patched(parse_job({}), store.address)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    keys = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    subprocess.run(
        [sys.executable, "-c", WORKER],
        input=json.dumps(job.model_dump(mode="json")),
        env={**kept, **keys, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_CONFIG_FILE": ""},
        text=True,
        check=True,
    )
    assert store.read("from/worker", 9) == b"here"


def test_an_address_holds_no_credentials_and_is_complete(simulated_s3: str) -> None:
    store = open_store("s3://bucket/x")
    assert store.address == {
        "store": "s3://bucket/x",
        "s3": {
            "endpoint": simulated_s3,
            "region": "us-east-1",
            "path_style": True,
            "checksums": "when_required",
            "ca_bundle": None,
            "single_writer": False,
            "deadline_seconds": 300.0,
        },
    }
    assert open_store("s3://bucket/x", store.s3).s3 == store.s3


def test_the_address_of_a_folder_leaves_the_settings_of_data_in_s3_as_they_are(
    tmp_path: Path,
) -> None:
    given = S3(endpoint="http://host:9000")
    store = open_store(str(tmp_path), given)
    assert store.s3 == given
    assert patched(job_with(region="here"), store.address).s3.region == "here"


def test_what_the_job_says_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    given = S3(
        endpoint="https://host",
        region="here",
        path_style=False,
        checksums="when_supported",
        ca_bundle=str(Path(__file__)),
        single_writer=False,
        deadline_seconds=7.5,
    )
    monkeypatch.setenv("CIFAR_DIST_STORE_SINGLE_WRITER", "1")
    monkeypatch.setenv("CIFAR_DIST_STORE_DEADLINE_SECONDS", "9")
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    assert open_store("s3://bucket", given).s3 == given


def test_what_the_job_leaves_open_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://other:9000")
    monkeypatch.setenv("AWS_REGION", "there")
    monkeypatch.setenv("AWS_CA_BUNDLE", __file__)
    monkeypatch.setenv("CIFAR_DIST_STORE_SINGLE_WRITER", "1")
    monkeypatch.setenv("CIFAR_DIST_STORE_DEADLINE_SECONDS", "9")
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "WHEN_SUPPORTED")
    assert open_store("s3://bucket").s3 == S3(
        endpoint="https://other:9000",
        region="there",
        path_style=True,
        checksums="when_supported",
        ca_bundle=__file__,
        single_writer=True,
        deadline_seconds=9,
    )


@pytest.mark.parametrize("region", [None, "eu-central-1"])
def test_amazons_own_endpoint_is_used_as_such_by_every_process(
    monkeypatch: pytest.MonkeyPatch, region: str | None
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_REGION")
    first = open_store("s3://bucket/x", S3(region=region))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere:1")
    monkeypatch.setenv("AWS_REGION", "elsewhere")
    second = open_store("s3://bucket/x", first.s3)
    assert first.s3 == second.s3
    urls = [signed_url(store) for store in (first, second)]
    assert urls[0] == urls[1]
    assert urls[0].startswith("https://bucket.s3.")


def signed_url(store: Any) -> str:
    client = store._bucket.client
    url = client.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "key"})
    return str(url).partition("?")[0]


def test_a_ca_that_lies_elsewhere_on_a_machine_is_found_by_its_own_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = S3(endpoint="https://host", ca_bundle="/nowhere/ca.pem")
    with pytest.raises(ConfigError, match=r"s3.ca_bundle='/nowhere/ca.pem' does not exist on this"):
        open_store("s3://bucket", given)
    monkeypatch.setenv("AWS_CA_BUNDLE", __file__)
    assert open_store("s3://bucket", given).s3.ca_bundle == __file__


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "host:9000",
        "ftp://host",
        "http://",
        "http://key:secret@host",
        "http://host:99999",
        "http://host/a?secret=b",
        "http://host#secret",
        "http://ho st",
        "http://[::bad",
        "http://host\n",
        "http://" + "x" * 2000,
    ],
)
def test_an_endpoint_is_an_address_without_keys(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"^s3.endpoint: must be http://host:port") as caught:
        job_with(endpoint=endpoint)
    assert "secret" not in str(caught.value).partition("must")[0]
    assert "key:" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["http://[::1]:9000", "https://host", "http://a_b:1/v1/s3"])
def test_any_plain_address_is_an_endpoint(endpoint: str) -> None:
    assert job_with(endpoint=endpoint).s3.endpoint == endpoint


@pytest.mark.parametrize("text", ["sometimes", "when required"])
def test_a_wrong_checksum_rule_of_the_environment_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", text)
    with pytest.raises(ConfigError, match="AWS_REQUEST_CHECKSUM_CALCULATION"):
        open_store("s3://bucket")


def test_what_a_stored_job_says_of_writing_holds_unless_the_environment_differs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored = S3(deadline_seconds=3600, single_writer=True, endpoint="http://elsewhere:1")
    again = reopened(open_store("s3://bucket/again"), stored)
    assert (again.s3.deadline_seconds, again.s3.single_writer) == (3600, True)
    assert again.s3.endpoint == os.environ["AWS_ENDPOINT_URL"]
    monkeypatch.setenv("CIFAR_DIST_STORE_DEADLINE_SECONDS", "60")
    assert reopened(open_store("s3://bucket/again"), stored).s3.deadline_seconds == 60


def test_a_job_in_a_folder_tells_its_workers_how_to_reach_images_in_s3(tmp_path: Path) -> None:
    job = patched(parse_job({}), {"recipe.data": "s3://bucket/images"})
    s3 = address(open_store(str(tmp_path)), job)["s3"]
    assert s3["endpoint"] == os.environ["AWS_ENDPOINT_URL"]
