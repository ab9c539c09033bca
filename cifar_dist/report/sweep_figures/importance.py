"""How much each parameter matters, with how sure that is."""

from collections.abc import Iterator
from typing import Any

from cifar_dist.documents import TuneDocument
from cifar_dist.report.axes import brief
from cifar_dist.report.figures.drawing import BLUE, GRAY, INK, picture
from cifar_dist.report.formats import decimal
from cifar_dist.report.pictures import Picture
from cifar_dist.report.study import Study

_MOST = 20


def pictures(document: TuneDocument, study: Study) -> Iterator[Picture]:
    """Draw a bar for each parameter unless there are too few trials to say."""
    from matplotlib.figure import Figure

    shares = study.importance.shares[:_MOST]
    if not shares:
        return
    figure = Figure(figsize=(9.6, 0.4 * len(shares) + 1.0), layout="constrained")
    axes: Any = figure.subplots()
    places = range(len(shares))
    sure = [share.mean > 2 * share.spread for share in shares]
    axes.barh(
        places,
        [max(share.mean, 0.0) for share in shares],
        xerr=[share.spread for share in shares],
        color=[BLUE if is_sure else GRAY for is_sure in sure],
        error_kw={"ecolor": INK, "capsize": 3, "linewidth": 1.2},
    )
    axes.set_yticks(places, [brief(share.label) for share in shares])
    axes.set_ylim(len(shares) - 0.4, -0.6)
    axes.set_xlim(left=0.0)
    axes.set_xlabel("loss of R² when shuffled (± standard deviation)")
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    parts = [
        f"{share.label} {decimal(share.mean, 2)} ± {decimal(share.spread, 2)}" for share in shares
    ]
    yield picture("importance", f"Importance of the parameters: {', '.join(parts)}.", figure)
