"""Lines of JSON for machines, and the file that gets what stderr gets."""

import copy
import io
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cifar_dist import logs
from cifar_dist.cli import streams
from cifar_dist.cli.output import SweepProgress, say
from cifar_dist.logs import ROOT, about, configure
from tests.commands import Program

SECRET = "sekrit-0123456789abcdef"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    logger, stderr, hook = logging.getLogger(ROOT), sys.stderr, threading.excepthook
    before, root = (logger.handlers[:], logger.level, logger.propagate), logging.getLogger()
    of_root, logger.handlers = root.handlers[:], []
    yield
    threading.excepthook, root.handlers = hook, of_root
    logging.captureWarnings(False)
    logger.handlers, logger.level, logger.propagate = before
    sys.stderr = stderr
    logs._manner.is_json = False


def told(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_record_and_a_line_for_people_are_objects_of_the_same_shape(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(as_json=True)
    with about("tiny-00000000"):
        logging.getLogger(f"{ROOT}.session").warning("it has %d", 3)
        logging.getLogger(f"{ROOT}.relay").warning("slow", extra={"trial": 7})
        say("trial ends", trial=8)
    say("after\nit")
    lines = told(capsys.readouterr().err)
    assert [list(line)[:4] for line in lines] == [["time", "level", "logger", "message"]] * 4
    assert [line["message"] for line in lines] == ["it has 3", "slow", "trial ends", "after it"]
    assert [line.get("trial") for line in lines] == [None, 7, 8, None]
    assert [line.get("run") for line in lines] == ["tiny-00000000"] * 3 + [None]
    assert lines[0]["logger"] == "cifar_dist.session"
    assert lines[0]["time"].endswith("Z")


def test_what_others_would_write_as_text_is_json_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    configure(as_json=True)
    configure(as_json=True)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old", stacklevel=1)
    logging.getLogger("botocore.hooks").warning("slow")
    thread = threading.Thread(target=int, args=(SECRET,), name="metrics")
    thread.start()
    thread.join()
    out = capsys.readouterr().err
    assert [line["logger"] for line in told(out)] == [
        "py.warnings", "botocore.hooks", "cifar_dist.logs",
    ]  # fmt: skip
    assert "thread metrics failed" in out
    assert "ValueError" in out
    assert SECRET not in out


def test_no_line_tells_a_secret_or_breaks_out_of_its_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    configure(as_json=True)
    say(f"uses {SECRET}")
    try:
        int(f"{SECRET}\x1b[2J\u2028")
    except ValueError:
        logging.getLogger(ROOT).exception("with\n%s \x1b[31m", SECRET)
    out = capsys.readouterr().err
    lines = told(out)
    assert len(lines) == 2
    assert SECRET not in out
    assert "\x1b" not in out
    assert "ValueError" in lines[1]["message"]


@pytest.mark.parametrize("way", ["flag", "joined", "variable"])
def test_the_format_is_asked_for_by_flag_or_variable(
    way: str, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {"flag": ["--log-format", "json"], "joined": ["--log-format=json"], "variable": []}
    if way == "variable":
        monkeypatch.setenv(streams.FORMAT_VARIABLE, "json")
    ended = program("train", "nothing.yaml", *words[way])
    (line,) = told(ended.err)
    assert (ended.code, line["level"]) == (2, "ERROR")
    assert "nothing.yaml" in line["message"]


def test_a_format_that_there_is_not_is_refused(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = program("tune", "--dry-run", "--log-format", "xml")
    assert (ended.code, ended.out) == (2, "")
    assert "must be text or json" in ended.err
    monkeypatch.setenv(streams.FORMAT_VARIABLE, "yaml")
    assert program("models", "list").code == 2


def test_in_json_nothing_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Screen())
    configure(as_json=True)
    progress = SweepProgress()
    progress.located("http://127.0.0.1:8265")
    progress.close()
    assert len(told(sys.stderr.getvalue())) == 1  # type: ignore[attr-defined]


def copied(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(streams.FILE_VARIABLE, str(path))
    streams.open_streams()


def test_what_stderr_gets_the_file_gets_line_by_line_without_bars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    copied(path, monkeypatch)
    sys.stderr.write("one\n\r████ 3 of 4")
    assert path.read_text() == "before\none\n"
    sys.stderr.write("\r\x1b[Ktwo\nthr")
    sys.stderr.writelines(["ee", "\n"])
    assert path.read_text() == "before\none\ntwo\nthree\n"
    assert capsys.readouterr().err == "one\n\r████ 3 of 4\r\x1b[Ktwo\nthree\n"


@pytest.mark.parametrize("name", ["no/such/folder", "", "\0"])
def test_a_file_that_cannot_be_written_changes_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sys.stderr
    monkeypatch.setattr(os.environ, "get", lambda *_: name and f"{tmp_path}/{name}")
    streams.open_streams()
    assert sys.stderr is before


def test_a_copied_stream_can_be_taken_apart_by_others(tmp_path: Path) -> None:
    stream = io.StringIO()
    assert copy.copy(streams.Copied(stream, 2))._stream is stream
    with pytest.raises(AttributeError):
        streams.Copied.__new__(streams.Copied).isatty()


def test_a_pipe_that_nobody_reads_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    copied(path, monkeypatch)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    copied(path, monkeypatch)
    for number in range(2_000):
        sys.stderr.write(f"{number:0100}\n")
    read = os.read(reader, 1 << 20)
    sys.stderr.write("goes on\n")
    assert os.read(reader, 1 << 20).endswith(b"goes on\n")
    os.close(reader)
    sys.stderr.write("nobody reads\n")
    assert read.startswith(b"0" * 100 + b"\n")
    assert len(capsys.readouterr().err.splitlines()) == 2_002


def test_errors_of_the_program_reach_the_file(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    monkeypatch.setenv(streams.FILE_VARIABLE, str(path))
    ended = program("train", "nothing.yaml")
    assert path.read_text() == ended.err != ""
    assert path.stat().st_mode & 0o077 == 0
