"""No name, number's text or exception forges a line, moves the cursor or turns the letters."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cifar_dist import logs
from cifar_dist.cli.output import SweepProgress, emit, say
from cifar_dist.documents import ArtifactRow, ArtifactsDocument, TrialRow
from cifar_dist.errors import DataError, RunError
from cifar_dist.problems import escaped, printable
from tests.commands import Program, listed
from tests.trees import TREE, write_tar, write_tree

HOSTILE = [
    "a\nINFO forged", "a\r\nINFO forged", "a\rforged", "\x1b[2Jgone", "\x1b]0;title\x07",
    "\x9b2J", "a\u2028INFO forged", "a\u2029b", "a\x85b", "\u202egnp.exe", "\u2066a\u2069",
    "a\x00b", "\x08\x08\x08forged", "\x7f", "\ufeffa", "\u200bhidden", "\U000e0041tag",
    "\ud800", "a\vb\fc",
]  # fmt: skip
hostile = pytest.mark.parametrize("text", HOSTILE, ids=[ascii(text) for text in HOSTILE])


@pytest.fixture(autouse=True)
def _fresh_logger() -> Iterator[None]:
    logger = logging.getLogger(logs.ROOT)
    before = logger.handlers[:], logger.level, logger.propagate
    logger.handlers = []
    yield
    logger.handlers, logger.level, logger.propagate = before


def check_line(said: str) -> None:
    """Assert that this is one line that only shows letters."""
    assert said.endswith("\n") and said[:-1].isprintable(), ascii(said)


@hostile
def test_a_record_stays_one_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    log = logging.getLogger(f"{logs.ROOT}.session")
    log.info("run=%s metric=%s reason=%s", text, {"loss": text}, RunError(text))
    check_line(capsys.readouterr().err)


@hostile
def test_no_line_of_a_traceback_begins_like_a_record(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure()
    logging.getLogger(logs.ROOT).error("it failed", exc_info=RunError(text))
    first, *others = capsys.readouterr().err.split("\n")[:-1]
    assert first.endswith("ERROR it failed")
    assert all(line.startswith("    ") and line.isprintable() for line in others)


def test_a_record_does_not_go_on_for_ever(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logging.getLogger(logs.ROOT).warning("reason=%s", "x" * 10**6)
    assert len(capsys.readouterr().err) < 2100


@hostile
def test_a_line_for_people_stays_one(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(f"skipped: {text}")
    check_line(capsys.readouterr().err)


@hostile
def test_why_a_trial_failed_stays_one_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    row = TrialRow.model_construct(
        trial=0, state="failed", epochs=1, validation_accuracy=None, reason=text
    )
    SweepProgress().observe([row], running=0, total=1)
    check_line(capsys.readouterr().err)


@hostile
def test_a_document_is_printed_without_what_steers_a_terminal(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = ArtifactRow(key=text.encode("utf-8", "replace").decode(), bytes=1)
    document = ArtifactsDocument(store="here", artifacts=[row])
    emit(document, lambda found: found.artifacts[0].key, json=False)
    assert capsys.readouterr().out.replace("\n", "").isprintable()
    emit(document, str, json=True)
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable()
    assert json.loads(printed)["artifacts"][0]["key"] == row.key


@pytest.mark.parametrize("text", ["", "plain\ntwo lines", "é 飛 🚀 ± – …", '{"a": "\\u202e"}'])
def test_what_only_shows_letters_stays_as_it_is(text: str) -> None:
    assert printable(text) == escaped(text) == text


@pytest.mark.parametrize("write", [write_tree, lambda path, files: write_tar(path, files)])
@pytest.mark.parametrize("name", ["cat\nforged", "cat\x1b[2J", "\u202ecat", "cat\u2028", "\x9bcat"])
def test_a_class_cannot_have_such_a_name(
    name: str, write: Callable[..., Path], tmp_path: Path, program: Program
) -> None:
    files = {path.replace("/cat/", f"/{name}/"): content for path, content in TREE.items()}
    source = write(tmp_path / "a.tar", files)
    ended = program("data", "prepare", str(source))
    assert (ended.code, ended.out) == (DataError.exit_code, "")
    assert "control characters in its name; rename it" in ended.err
    check_line(ended.err)
    assert listed(tmp_path / "cwd") == []
