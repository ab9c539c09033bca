"""Python's own followers: bars for a notebook or a terminal, or silence."""

import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cifar_dist.api.follower import Follower
    from cifar_dist.config import Job
    from cifar_dist.documents import EpochRecord, TrialRow
    from cifar_dist.search import Space
    from cifar_dist.standing import Standing


def follower(progress: bool | None) -> "Follower":
    """Choose who follows; None shows bars where someone is looking."""
    is_watched = "ipykernel" in sys.modules or sys.stderr.isatty()
    return _Bars(is_shown=is_watched if progress is None else progress)


class _Bars:
    def __init__(self, *, is_shown: bool) -> None:
        self._is_shown = is_shown

    def note(self, message: str) -> None:
        if self._is_shown:
            from tqdm.auto import tqdm

            tqdm.write(message, file=sys.stderr)

    @contextmanager
    def stopping(self) -> Iterator[threading.Event]:
        stop = threading.Event()
        if threading.current_thread() is not threading.main_thread():
            yield stop  # signals belong to the main thread
            return

        def handle(number: int, frame: FrameType | None) -> None:
            if stop.is_set():
                raise KeyboardInterrupt
            stop.set()
            self.note("stopping: committing what there is; interrupt again to end at once")

        before = signal.signal(signal.SIGINT, handle)
        try:
            yield stop
        finally:
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def run(self, name: str, job: "Job") -> Iterator["_RunBar"]:
        with self._bar("step") as bar:
            yield _RunBar(bar, job.recipe.epochs)

    @contextmanager
    def sweep(self, name: str, space: "Space") -> Iterator["_SweepBar"]:
        with self._bar("trial") as bar:
            yield _SweepBar(bar)

    def _bar(self, unit: str) -> Any:
        from tqdm.auto import tqdm

        return tqdm(unit=unit, disable=not self._is_shown, dynamic_ncols=True)


class _RunBar:
    def __init__(self, bar: Any, epochs: int) -> None:
        self._bar, self._epochs = bar, epochs

    def observe(self, step: int, total: int, history: "Sequence[EpochRecord]") -> None:
        self._bar.total = total
        self._bar.set_description(f"epoch {min(len(history) + 1, self._epochs)}/{self._epochs}")
        if history and history[-1].validation_accuracy is not None:
            self._bar.set_postfix_str(f"validation {history[-1].validation_accuracy:.2%}")
        self._bar.update(step - self._bar.n)


class _SweepBar:
    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def located(self, dashboard: str | None) -> None:
        pass

    def follow(self, standing: "Standing") -> None:
        pass

    def observe(self, rows: "Sequence[TrialRow]", running: int, total: int) -> None:
        self._bar.total = total
        counts = Counter(row.state for row in rows)
        best = max((row.validation_accuracy or 0.0 for row in rows), default=0.0)
        states = ", ".join(f"{count} {state}" for state, count in counts.most_common())
        self._bar.set_postfix_str(f"{states}, {running} running, best {best:.2%}")
        self._bar.update(len(rows) - self._bar.n)
