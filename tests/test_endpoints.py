"""Where requests may go: encrypted, to this machine or inside a cluster, and nowhere else."""

import gc
import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cifar_dist import consent
from cifar_dist.config import parse_job
from cifar_dist.config.endpoints import endpoint_fault
from cifar_dist.dataset import archive
from cifar_dist.errors import ConfigError, DataError
from cifar_dist.store import open_store
from tests.commands import Program, listed

SECRET = "wJalrXUtnFEMI"
REDIRECTS = (301, 307, 308)

GOOD = [
    "https://s3.example.org", "https://203.0.113.7:9000", "https://s3.example.org./a",
    "http://127.0.0.1:9000", "http://127.8.9.1", "http://[::1]:9000", "http://localhost:7070",
    "http://s3.localhost", "http://store:7070", "http://cifar-dist_store:7070/v1/s3",
    "http://store.ml.svc:7070", "http://store.ml.svc.cluster.local", "http://store.ml.svc.",
    "http://10.0.0.5:9000", "http://172.16.0.1", "http://172.31.255.255", "http://192.168.1.9:80",
    "http://[fd12:3456::1]:9000", "http://[fc00::1]", "http://[::ffff:10.0.0.5]",
    "http://host.docker.internal:9000",
]  # fmt: skip
PUBLIC = [
    "http://s3.example.org", "http://s3.amazonaws.com", "http://8.8.8.8", "http://203.0.113.7:9000",
    "http://172.32.0.1", "http://11.0.0.1", "http://0.0.0.0:9000", "http://[2001:db8::1]",
    "http://[::]:9000", "http://store.ml:7070", "http://svc.example.org",
    "http://store.svc.example.org", "http://store.ml.svc.cluster.local.example.org",
    "http://localhost.example.org", "http://10.0.0.5.example.org", "http://[::ffff:8.8.8.8]",
]  # fmt: skip
METADATA = [
    "http://169.254.169.254", "https://169.254.169.254/latest/meta-data", "http://169.254.170.2",
    "http://[fe80::1]", "https://[febf::1]", "http://[::ffff:169.254.169.254]",
    "http://[::ffff:a9fe:a9fe]", "http://[::169.254.169.254]", "http://[64:ff9b::a9fe:a9fe]",
    "http://[2002:a9fe:a9fe::]", "http://[fd00:ec2::254]", "http://[fd20:ce::254]",
    "http://100.100.100.200", "https://168.63.129.16", "http://192.0.0.192", "http://metadata",
    "http://Metadata.Google.Internal", "https://metadata.google.internal.",
    "http://metadata.azure.internal", "http://instance-data", "http://instance-data.ec2.internal",
]  # fmt: skip
DISGUISED = [
    "http://2852039166", "http://0xA9FEA9FE", "http://0xa9.0xfe.0xa9.0xfe", "http://0251.0376.43518",
    "http://169.254.43518", "http://127.1", "http://0", "http://010.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("endpoint", GOOD)
def test_encrypted_local_and_cluster_addresses_are_taken(endpoint: str) -> None:
    assert endpoint_fault(endpoint) is None


@pytest.mark.parametrize("endpoint", PUBLIC)
def test_an_unencrypted_address_outside_is_refused_with_what_http_takes(endpoint: str) -> None:
    fault = endpoint_fault(endpoint)
    assert fault is not None and "must be https" in fault and "NAME.NAMESPACE.svc" in fault


@pytest.mark.parametrize("endpoint", METADATA)
def test_who_hands_out_this_machines_credentials_is_never_asked(endpoint: str) -> None:
    assert "metadata" in str(endpoint_fault(endpoint))


@pytest.mark.parametrize("endpoint", DISGUISED)
def test_an_address_is_not_disguised_as_another_number(endpoint: str) -> None:
    assert "four decimal numbers" in str(endpoint_fault(endpoint))


@pytest.mark.parametrize(
    "endpoint",
    [
        f"http://key:{SECRET}@127.0.0.1", f"https://{SECRET}@h", f"https://h?k={SECRET}",
        f"https://h#{SECRET}", f"http://127.0.0.1\\@{SECRET}", f"http://127.0.0.1 {SECRET}",
    ],
)  # fmt: skip
def test_keys_in_an_endpoint_are_refused_and_never_repeated(
    endpoint: str, program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    ended = program("artifacts", "ls", "--store", "s3://bucket/x")
    flag = program("train", "--set", f"s3.endpoint={endpoint!r}", "--data", "nosuch")
    for refused in (ended, flag):
        assert refused.code == 2 and "Traceback" not in refused.err
        assert SECRET not in refused.err + refused.out
    assert listed(folder) == []


@pytest.mark.parametrize("endpoint", [PUBLIC[0], METADATA[0], DISGUISED[0]])
def test_a_wrong_endpoint_of_the_environment_is_named_before_anything_is_sent(
    endpoint: str, program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    began = time.monotonic()
    ended = program("artifacts", "ls", "--store", "s3://bucket/x")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert "store=s3://bucket/x: AWS_ENDPOINT_URL must" in ended.err
    assert time.monotonic() - began < 30 and listed(folder) == []


def test_a_stored_job_with_http_to_outside_is_read_and_only_its_server_refused(
    monkeypatch: pytest.MonkeyPatch, s3_environment: None
) -> None:
    monkeypatch.delenv(consent.VARIABLE, raising=False)
    s3 = parse_job({"s3": {"endpoint": PUBLIC[0]}}).s3
    with pytest.raises(ConfigError, match=r"s3.endpoint must be https.*CIFAR_DIST_ALLOW_INSECURE"):
        open_store("s3://bucket/x", s3)
    monkeypatch.setenv(consent.VARIABLE, "1")
    assert open_store("s3://bucket/x", s3).s3.endpoint == PUBLIC[0]
    with pytest.raises(ConfigError, match="metadata"):
        parse_job({"s3": {"endpoint": METADATA[0]}})


class Asked(list[str]):
    """The paths that a server was asked for, and where it listens."""

    endpoint: str


@contextmanager
def server(status: int = 200, headers: dict[str, str] | None = None) -> Iterator[Asked]:
    """Serve one answer to everything, on this machine."""
    asked = Asked()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            plain = {"Content-Length": "0", "Connection": "close"}
            for name, value in {**plain, **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_HEAD = do_PUT = do_POST = answer  # noqa: N815 - the library's names

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        asked.endpoint = f"http://127.0.0.1:{httpd.server_port}"
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield asked
        httpd.shutdown()


# The SDK leaves the socket of an answer that it looks for a region in to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("status", REDIRECTS)
def test_the_s3_client_follows_no_server_elsewhere(
    status: int, program: Program, s3_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR_DIST_STORE_DEADLINE_SECONDS", "0")
    with server() as other:
        region = {"Location": f"{other.endpoint}/stolen", "x-amz-bucket-region": "eu-west-1"}
        with server(status, region) as first:
            monkeypatch.setenv("AWS_ENDPOINT_URL", first.endpoint)
            ended = program("artifacts", "ls", "--store", "s3://bucket/x")
    assert ended.code == 4 and len(ended.err.splitlines()) == 1, ended.err
    assert first and not other
    gc.collect()


@pytest.mark.parametrize("status", REDIRECTS)
def test_the_official_archive_is_fetched_from_its_own_server_alone(status: int) -> None:
    with (
        server() as other,
        server(status, {"Location": f"{other.endpoint}/x"}) as first,
        pytest.raises(DataError, match="leads to another server; use --from"),
    ):
        archive._opened(f"{first.endpoint}/a")
    assert first == ["/a"] and not other


def test_a_server_may_send_us_on_to_itself() -> None:
    with server(302, {"Location": "/b"}) as first, pytest.raises(OSError, match="redirect"):
        archive._opened(f"{first.endpoint}/a")  # for ever, which it is told
    assert first[:2] == ["/a", "/b"]


def test_what_the_examples_deploy_is_an_address_that_is_taken(
    s3_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for endpoint in ("http://127.0.0.1:7070", "http://store.cifar-dist.svc:7070"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        assert open_store("s3://bucket/x").s3.endpoint == endpoint
