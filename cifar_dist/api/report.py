"""The figures of a report, for notebooks."""

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cifar_dist.report.pictures import MEDIA

if TYPE_CHECKING:
    from cifar_dist.documents import TrainDocument, TuneDocument


@dataclass(frozen=True)
class Figure:
    """A picture; a notebook shows it."""

    file: str
    data: bytes = field(repr=False)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        del include, exclude  # there is one form
        media = MEDIA[self.file.rpartition(".")[2]]
        return {media: base64.b64encode(self.data).decode()}


def figures(result: "TrainDocument | TuneDocument") -> dict[str, Figure]:
    """Read the figures of a finished run's or sweep's report, by name and verified.

    Among them are curves, confusion, correct_cam and, of a run, film_0 to film_9. Raises
    CifarDistError.
    """
    from cifar_dist.config import S3
    from cifar_dist.documents import TrainDocument
    from cifar_dist.runs import fetch_report
    from cifar_dist.store import open_store
    from cifar_dist.store.disk import scratch

    name = result.run if isinstance(result, TrainDocument) else result.sweep
    store = open_store(result.store, S3.model_validate(result.job.get("s3") or {}))
    with scratch() as place:
        folder = place / "report"
        fetch_report(store, name, folder)
        found = sorted(path for path in folder.iterdir() if path.suffix.removeprefix(".") in MEDIA)
        return {path.stem: Figure(path.name, path.read_bytes()) for path in found}
