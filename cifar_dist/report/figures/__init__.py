"""The figures of a model's report: a module of this package draws some, and is named in FIGURES."""

from types import ModuleType

from cifar_dist.documents import TrainDocument, TuneDocument
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.figures import calibration, confusion, data, films, galleries, model
from cifar_dist.report.figures.drawing import drawn
from cifar_dist.report.pictures import Picture

WINNER_FIGURES: tuple[ModuleType, ...] = (confusion, calibration, galleries)
"""Those that a sweep's winner has, too."""
FIGURES: tuple[ModuleType, ...] = (*WINNER_FIGURES, films, data, model)
"""Each has `pictures(document, evidence)`, which yields none where its evidence is missing."""


def run_pictures(document: TrainDocument, evidence: Evidence) -> dict[str, Picture]:
    """Draw every figure of a run, by name."""
    return drawn(FIGURES, document, evidence)


def winner_pictures(document: TuneDocument, evidence: Evidence) -> dict[str, Picture]:
    """Draw the figures of a sweep's winner, by name."""
    return drawn(WINNER_FIGURES, document, evidence)
