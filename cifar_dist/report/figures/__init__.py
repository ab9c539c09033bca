"""The figures of a run's report: a module of this package draws some, and is named in FIGURES."""

from types import ModuleType

from cifar_dist.documents import TrainDocument
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.figures import calibration, data, films, galleries, model
from cifar_dist.report.figures.drawing import drawn
from cifar_dist.report.pictures import Picture

FIGURES: tuple[ModuleType, ...] = (calibration, galleries, films, data, model)
"""Each has `pictures(document, evidence)`, which yields none where its evidence is missing."""


def run_pictures(document: TrainDocument, evidence: Evidence) -> dict[str, Picture]:
    """Draw every figure of a run, by name."""
    return drawn(FIGURES, document, evidence)
