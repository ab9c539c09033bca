"""What the examination says of a store: sound ones, and broken ones with cause and remedy."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server
from threading import Thread
from typing import Any

import pytest

from cifar_dist.doctor import CHECKS, Setup, examine
from cifar_dist.documents import CheckRow
from cifar_dist.store import open_store
from tests.commands import finished, python
from tests.s3_servers import Server
from tests.test_storage_full import can_mount, in_a_small_disk

STORE = tuple(check for check in CHECKS if check.name.startswith("store_"))
S3_ALONE = {"store_credentials", "store_clock", "store_multipart", "store_checksums"}


def rows_of(uri: str, last: str = STORE[-1].name) -> dict[str, CheckRow]:
    """Examine a store alone, up to one check."""
    checks = STORE[: [check.name for check in STORE].index(last) + 1]
    return {row.name: row for row in examine(Setup(uri, "synthetic"), checks).checks}


def examined(process: "subprocess.Popen[str]") -> tuple[int, dict[str, Any]]:
    """Give the exit code of `doctor --json` and its rows by name."""
    ended = finished(process)
    return ended.code, {row["name"]: row for row in json.loads(ended.out)["checks"]}


@contextmanager
def answering(skew: timedelta) -> Iterator[str]:
    """Serve what refuses everything, with a date that is off; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(403)
            self.send_header("Date", format_datetime(datetime.now(UTC) + skew, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_does_all_that_is_asked_and_nothing_is_left(server: Server) -> None:
    uri = server.new_uri()
    rows = rows_of(uri)
    assert {name for name, row in rows.items() if row.verdict != "ok"} == (
        {"store_checksums"} if server.simulated else set()
    ), rows
    assert rows["store_checksums"].verdict == ("warning" if server.simulated else "ok")
    assert server.endpoint in rows["store_address"].found
    assert list(open_store(uri).entries()) == []


def test_a_folder_is_left_as_it_was(tmp_path: Path) -> None:
    store = tmp_path / "store"
    open_store(str(store)).write("runs/a/run.json", b"{}")
    before = sorted(tmp_path.rglob("*"))
    rows = rows_of(str(store))
    assert {row.verdict for row in rows.values()} == {"ok"}
    assert {name for name, row in rows.items() if row.found == "a folder needs none"} == S3_ALONE
    assert sorted(tmp_path.rglob("*")) == before


def test_a_missing_bucket_is_named_with_its_remedy(server: Server) -> None:
    rows = rows_of("s3://no-such-bucket-here/x", "store_put")
    row = rows["store_list"]
    assert (row.verdict, row.exit_code) == ("failed", 4)
    assert "there is no such bucket" in row.found
    assert row.remedy and "create it" in row.remedy
    assert rows["store_put"].found == "store_list failed"


def test_probes_of_a_killed_examination_are_told(tmp_path: Path) -> None:
    open_store(str(tmp_path)).write("doctor/killed/object", b"probe")
    row = rows_of(str(tmp_path), "store_list")["store_list"]
    assert row.found == "it can be listed; 1 older probes are below doctor/"


@pytest.mark.parametrize(
    ("variable", "cause"),
    [
        ("AWS_SECRET_ACCESS_KEY", "the secret key is wrong"),
        ("AWS_ACCESS_KEY_ID", "does not know the access key"),
    ],
)
def test_a_wrong_key_is_named_with_its_remedy(
    variable: str, cause: str, versitygw: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "canary-wrong-key")
    rows = rows_of(versitygw.new_uri(), "store_list")
    assert (rows["store_list"].verdict, rows["store_list"].exit_code) == ("failed", 4)
    assert cause in rows["store_list"].found
    assert variable in (rows["store_list"].remedy or "")
    assert "canary" not in str(rows)


@pytest.mark.parametrize(
    ("minutes", "verdict", "way"),
    [
        (30, "failed", "behind"),
        (-30, "failed", "ahead of"),
        (5, "warning", "behind"),
        (0, "ok", ""),
    ],
)
def test_a_clock_is_compared_with_the_servers(
    minutes: int, verdict: str, way: str, s3_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(timedelta(minutes=minutes)) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        row = rows_of("s3://bucket/x", "store_clock")["store_clock"]
    assert row.verdict == verdict
    assert way in row.found
    assert "clock" in (row.remedy or "clock")


@pytest.mark.skipif(not shutil.which("faketime"), reason="faketime is not installed")
@pytest.mark.parametrize("offset", ["-30m", "+30m"])
def test_a_clock_half_an_hour_off_is_told_as_that(
    offset: str, versitygw: Server, folder: Path
) -> None:
    line = ["doctor", "--data", "synthetic", "--store", versitygw.new_uri(), "--json"]
    code = f"import os; os.execvp('faketime', ['faketime', '-f', '{offset}', {sys.executable!r}, "
    code += f"'-m', 'cifar_dist', *{line!r}])"
    ended, rows = examined(python("-c", code, cwd=folder))
    assert (ended, rows["store_clock"]["verdict"]) == (4, "failed")
    assert "this machine's clock is " in rows["store_clock"]["found"]
    assert "set the clock right" in rows["store_clock"]["remedy"]
    assert rows["store_list"]["verdict"] == "skipped"


def test_a_full_disk_is_named_with_its_remedy(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if not can_mount(small):
        pytest.skip("mounting is not allowed here")
    work = "import os, sys; open(sys.argv[1] + '/rest', 'wb').write(bytes(8 << 20))"
    fill = f"import contextlib\nwith contextlib.suppress(OSError):\n    {work}\n"
    run = "sys.argv[1:] = ['doctor', '--json', '--data', 'synthetic', '--store', sys.argv[1]]\n"
    code = f"{fill}{run}from cifar_dist.cli import main\nmain()\n"
    command = in_a_small_disk(small, [sys.executable, "-c", code, str(small)])
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True
    ) as process:
        ended, rows = examined(process)
    assert ended == 4
    assert (rows["store_disk"]["verdict"], rows["store_put"]["verdict"]) == ("failed", "failed")
    assert "no room for a checkpoint" in rows["store_disk"]["found"]
    assert "No space left" in rows["store_put"]["found"]
    assert "make room" in rows["store_disk"]["remedy"]


def test_a_silent_server_ends_the_examination_soon(
    s3_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = [
        replace(check, seconds=0.2) if check.name == "store_clock" else check for check in STORE
    ]
    with closing(create_server(("127.0.0.1", 0))) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        document = examine(Setup("s3://bucket/x", "synthetic"), tuple(hasty))
    rows = {row.name: row for row in document.checks}
    assert (rows["store_clock"].verdict, document.exit_code) == ("failed", 4)
    assert {rows[name].found for name in rows if rows[name].verdict == "skipped"} == {
        "store_clock failed"
    }


def test_missing_credentials_are_named(
    s3_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    row = rows_of("s3://bucket/x", "store_credentials")["store_credentials"]
    assert row.verdict == "failed"
    assert "no credentials" in row.found and "AWS_ACCESS_KEY_ID" in (row.remedy or "")


@pytest.mark.parametrize(
    ("hours", "verdict", "said"),
    [(-1, "failed", "ended at"), (0.5, "warning", "end in 29 min"), (5, "ok", "end in 299 min")],
)
def test_the_end_of_a_session_is_told(
    hours: float, verdict: str, said: str, moto: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = datetime.now(UTC) + timedelta(hours=hours)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "canary-session")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", ends.isoformat())
    row = rows_of(moto.new_uri(), "store_credentials")["store_credentials"]
    assert row.verdict == verdict
    assert said in row.found
    assert "canary" not in str(row)


def test_the_promise_of_a_single_writer_is_told(
    moto: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR_DIST_STORE_SINGLE_WRITER", "1")
    row = rows_of(moto.new_uri(), "store_overwriting")["store_overwriting"]
    assert row.verdict == "warning"
    assert "CIFAR_DIST_STORE_SINGLE_WRITER=1" in row.found


def test_a_server_that_overwrites_is_found_out(
    moto: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cifar_dist.store import s3

    plain = s3.S3Store._put

    def careless(store: s3.S3Store, key: str, data: bytes) -> None:
        store._condition = {}
        plain(store, key, data)

    monkeypatch.setattr(s3.S3Store, "_put", careless)
    uri = moto.new_uri()
    row = rows_of(uri, "store_overwriting")["store_overwriting"]
    assert (row.verdict, row.exit_code) == ("failed", 4)
    assert "overwrite" in row.found
    assert list(open_store(uri).entries()) == []
