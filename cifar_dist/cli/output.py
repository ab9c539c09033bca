"""What a command prints: one document on stdout, progress on stderr."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cifar_dist import logs
from cifar_dist.errors import ConfigError, RefusedError
from cifar_dist.problems import escaped, printable

if TYPE_CHECKING:
    from cifar_dist.documents import Document, EpochRecord, TrialRow
    from cifar_dist.standing import Standing

D = TypeVar("D", bound="Document")


def emit(document: D, text: Callable[[D], str], json: bool) -> None:
    """Print a document: as one JSON object, or as the text made from it."""
    if json:
        print(escaped(document.model_dump_json(indent=2)))
    else:
        print(printable(text(document)))


def say(message: str, trial: int | None = None) -> None:
    """Print one line for people on stderr, so that stdout stays a result."""
    _show(logs.line(" ".join(message.splitlines()), trial=trial))


def _show(text: str) -> None:
    with suppress(OSError):  # a reader that has gone must not end what is being followed
        sys.stderr.write(text)
        sys.stderr.flush()


def _draws() -> bool:
    return sys.stderr.isatty() and not logs.is_json()


def check_free(path: Path, flag: str = "--output") -> None:
    """Raise RefusedError if a file to be written exists, ConfigError without its folder."""
    from cifar_dist.store.disk import reported

    with reported(str(path)):
        if path.exists() or path.is_symlink():
            raise RefusedError(f"{path} exists; remove it or choose another {flag}")
    if not path.parent.is_dir():
        raise ConfigError(f"{flag} {path}: there is no folder {path.parent}; make it first")


class SweepProgress:
    """Progress of a sweep: one line per trial and, on a terminal, one of all that stays current."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._before: int | None = None
        """Trials that had ended before this attempt."""
        self._is_terminal = _draws()

    def located(self, dashboard: str | None) -> None:
        """Say where the cluster's dashboard is."""
        if dashboard:
            say(f"dashboard: {dashboard}")

    def follow(self, standing: "Standing") -> None:
        """Show nothing of it: the trials that end say enough."""

    def observe(self, rows: "Sequence[TrialRow]", running: int, total: int) -> None:
        """Show the trials that ended, newest last, and how many are running of how many."""
        self.close()
        row = rows[-1]
        came_to = f"{row.validation_accuracy:.2%}" if row.validation_accuracy else row.reason
        told = f"trial {row.trial:>3} {row.state:<8} epochs {row.epochs:>3}  {came_to}"
        say(told, trial=row.trial)
        counts = Counter(row.state for row in rows)
        best = max((row.validation_accuracy or 0.0 for row in rows), default=0.0)
        spent = time.monotonic() - self._started
        if self._before is None:
            self._before = len(rows) - 1
        left = spent / (len(rows) - self._before) * (total - len(rows))
        states = ", ".join(f"{count} {state}" for state, count in counts.most_common())
        line = (
            f"{len(rows)} of {total} trials: {states}, {running} running · best {best:.2%} "
            f"· {left:.0f} s left"
        )
        if self._is_terminal:
            _show(line)

    def close(self) -> None:
        """Remove the line."""
        if self._is_terminal:
            _show("\r\x1b[K")


class TrainingProgress:
    """Progress of a run: a bar with an estimate on a terminal, one plain line per epoch."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._printed = 0
        self._started: tuple[float, int] | None = None
        self._is_terminal = _draws()

    def observe(self, step: int, total: int, history: "Sequence[EpochRecord]") -> None:
        """Show where training stands; epochs already printed are not printed again."""
        from cifar_dist.documents import best_epoch
        from cifar_dist.report.tables import epoch_line

        self._clear()
        best = best_epoch(history)
        for record in history[self._printed :]:
            say(epoch_line(record, self._epochs, best))
        self._printed = max(self._printed, len(history))
        if self._is_terminal and step < total:
            self._draw(step, total)

    def close(self) -> None:
        """Remove the bar."""
        self._clear()

    def _draw(self, step: int, total: int) -> None:
        now = time.monotonic()
        if self._started is None:
            self._started = (now, step)
        since, first = self._started
        rate = (step - first) / max(now - since, 1e-9)
        left = f"{(total - step) / rate:.0f} s left" if rate > 0 else "starting"
        filled = round(30 * step / total)
        bar = "█" * filled + "░" * (30 - filled)
        _show(f"\r{bar} step {step:,} of {total:,} · {left}")

    def _clear(self) -> None:
        if self._is_terminal:
            _show("\r\x1b[K")
