"""One line per record on stderr, however often logging is set up."""

import logging
from collections.abc import Iterator

import pytest

from cifar_dist.logs import ROOT, configure


@pytest.fixture(autouse=True)
def _fresh_logger() -> Iterator[None]:
    logger = logging.getLogger(ROOT)
    before = logger.handlers[:], logger.level, logger.propagate
    logger.handlers = []
    yield
    logger.handlers, logger.level, logger.propagate = before


def test_a_record_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    configure()
    logging.getLogger(f"{ROOT}.session").info("resumed step=%d", 3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("INFO resumed step=3\n")
    assert captured.err.count("\n") == 1


class Broken:
    """What cannot be written."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("message", ["it has %s", Broken()])
def test_what_a_library_cannot_write_does_not_end_its_call(
    message: object, capsys: pytest.CaptureFixture[str]
) -> None:
    configure()
    logging.getLogger(f"{ROOT}.session").warning(message, Broken())
    told = "it has %s" if isinstance(message, str) else "a record that cannot be shown"
    assert capsys.readouterr().err.endswith(f"WARNING {told}\n")


def test_a_second_call_changes_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    configure(logging.ERROR)
    logging.getLogger(ROOT).warning("not shown")
    assert capsys.readouterr().err == ""
