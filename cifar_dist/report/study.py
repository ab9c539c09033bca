"""What follows from a sweep's numbers beyond them; worked out once for its page and figures."""

from dataclasses import dataclass

from cifar_dist.documents import TuneDocument
from cifar_dist.report.axes import Axis, axes
from cifar_dist.report.guarded import guarded
from cifar_dist.report.importance import Importance, importance
from cifar_dist.report.rungs import RungRow, rungs
from cifar_dist.report.savings import Savings, savings
from cifar_dist.report.slots import Lanes, lanes


@dataclass(frozen=True)
class Study:
    """A sweep, understood."""

    axes: list[Axis]
    importance: Importance
    rungs: list[RungRow]
    savings: Savings
    lanes: Lanes


def study(document: TuneDocument) -> Study:
    """Work everything out; the forests of the importance take most of its seconds."""
    columns = guarded("the columns of parameters", axes, document) or []
    unknown = Importance([], 0, silence="It could not be worked out; the log says why.")
    return Study(
        axes=columns,
        importance=guarded("importance", importance, document, columns) or unknown,
        rungs=rungs(document),
        savings=savings(document),
        lanes=lanes(document),
    )
