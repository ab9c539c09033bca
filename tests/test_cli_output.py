"""What people see on stderr while something is followed."""

import io
import sys

import pytest

from cifar_dist.cli.output import SweepProgress, TrainingProgress, say
from tests.tiny import a_record


class _Closed(io.StringIO):
    """A terminal whose reader has gone."""

    def isatty(self) -> bool:
        """Pretend to be one."""
        return True

    def write(self, text: str) -> int:
        """Fail as a pipe does."""
        raise BrokenPipeError


def test_a_reader_that_has_gone_does_not_end_what_is_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", _Closed())
    say("a line")
    progress = TrainingProgress(2)
    progress.observe(1, 4, [a_record(1)])
    progress.close()
    SweepProgress().located("http://127.0.0.1:8265")
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
