"""The figures of a sweep's report: a module of this package draws some, and is named in FIGURES."""

from types import ModuleType

from cifar_dist.documents import TuneDocument
from cifar_dist.report.figures.drawing import drawn
from cifar_dist.report.pictures import Picture
from cifar_dist.report.study import Study
from cifar_dist.report.sweep_figures import (
    confirmation,
    importance,
    parallel,
    parameters,
    rungs,
    slots,
)

FIGURES: tuple[ModuleType, ...] = (
    parallel,
    parameters,
    importance,
    rungs,
    slots,
    confirmation,
)
"""Each has `pictures(document, study)`, which yields none where there is nothing to draw."""


def sweep_pictures(document: TuneDocument, study: Study) -> dict[str, Picture]:
    """Draw every figure of a sweep, by name."""
    return drawn(FIGURES, document, study)
