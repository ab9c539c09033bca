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


def test_a_second_call_changes_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    configure(logging.ERROR)
    logging.getLogger(ROOT).warning("not shown")
    assert capsys.readouterr().err == ""
