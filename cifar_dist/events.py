"""TensorBoard event files: one per finished epoch, written once; the x-axis counts epochs."""

import json
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from cifar_dist.config import Job
from cifar_dist.documents import EpochRecord

_BINS = 64  # TensorBoard draws about half as many
_COPIES = 2  # of the weights in memory; older epochs that wait for storage go without


Files = Callable[[int, EpochRecord, nn.Module], tuple[str, Callable[[], bytes]]]


@dataclass(frozen=True)
class _Epoch:
    record: EpochRecord
    is_first: bool
    """Whether an attempt begins with it."""
    settings: Mapping[str, Any]
    parameters: Mapping[str, NDArray[np.float32]]
    wall_seconds: float


class EventFiles:
    """The event files of one attempt; those of a run, read by name, tell its whole course.

    An epoch that a killed attempt told of and did not commit is told again by the next attempt,
    whose first file makes TensorBoard forget what it overtakes.
    """

    def __init__(self, settings: Mapping[str, Any], *, histograms: bool) -> None:
        self._settings = settings
        self._histograms = histograms
        self._began: int | None = None
        self._copied: deque[dict[str, NDArray[np.float32]]] = deque()

    def file(
        self, attempt: int, record: EpochRecord, model: nn.Module
    ) -> tuple[str, Callable[[], bytes]]:
        """Give an epoch's file: its name below the run, and its bytes as another thread's work."""
        now = time.time()
        is_first = self._began is None
        self._began = self._began or int(now)
        parameters = dict(_copies(model)) if self._histograms else {}
        self._copied.append(parameters)
        while len(self._copied) > _COPIES:
            self._copied.popleft().clear()
        epoch = _Epoch(record, is_first, self._settings, parameters, now)
        # TensorBoard reads a folder's files in the order of their names.
        name = f"events.out.tfevents.{self._began:010d}.{attempt:06d}-{record.epoch:06d}"
        return f"tensorboard/{name}", lambda: _encoded(epoch)


def event_files(job: Job, settings: Mapping[str, Any]) -> list[Files]:
    """Give what a job wants to be told; `settings`, what sets a trial apart, go to HParams."""
    if job.tensorboard == "off":
        return []
    return [EventFiles(settings, histograms=job.tensorboard == "histograms").file]


def _copies(model: nn.Module) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for name, parameter in model.named_parameters():
        yield name, parameter.detach().cpu().float().numpy().copy()


def _scalars(record: EpochRecord) -> dict[str, float]:
    values = {
        "loss/train": record.train_loss,
        "loss/validation": record.validation_loss,
        "accuracy/train": record.train_accuracy,
        "accuracy/validation": record.validation_accuracy,
        "lr": record.lr,
        "images_per_second": record.images_per_second,
    }
    return {tag: value for tag, value in values.items() if value is not None}


def _encoded(epoch: _Epoch) -> bytes:
    # Imports boto3 and protobuf in 0.2 s, which no step waits for on this thread.
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    from tensorboardX.record_writer import RecordWriter
    from tensorboardX.summary import histogram, hparams, scalar

    step, summaries = epoch.record.epoch, []
    events = [Event(file_version="brain.Event:2")]
    if epoch.is_first:
        events.append(Event(step=step, session_log=SessionLog(status=SessionLog.START)))
        if epoch.settings:
            summaries.append(hparams(_plain(epoch.settings), {})[1])
    summaries += [scalar(tag, value) for tag, value in _scalars(epoch.record).items()]
    summaries += [
        histogram(f"parameters/{name}", values, bins=_BINS)
        for name, values in list(epoch.parameters.items())
        if np.isfinite(values).all()  # an infinite range has no bins
    ]
    events += [Event(step=step, summary=summary) for summary in summaries]
    with tempfile.TemporaryDirectory(prefix="cifar-dist-") as folder:
        path = Path(folder) / "events"
        writer = RecordWriter(str(path))
        for event in events:
            event.wall_time = epoch.wall_seconds
            writer.write(event.SerializeToString())
        writer.close()
        return path.read_bytes()


def _plain(settings: Mapping[str, Any]) -> dict[str, str | float | bool]:
    plain = (str, int, float, bool)
    return {k: v if isinstance(v, plain) else json.dumps(v) for k, v in settings.items()}
