"""What a sweep would try: shown by `tune --dry-run`, which runs and creates nothing."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cifar_dist.documents import PreviewDocument
    from cifar_dist.search import Space

_SHOWN = 10  # trials


def preview(space: "Space") -> "PreviewDocument":
    """Give the first trials of a sweep and how many there would be."""
    from cifar_dist.documents import PreviewDocument, ProposedTrial

    size = space.tree.size
    proposed = space.preview(_SHOWN, space.job.recipe.seed)
    return PreviewDocument(
        name=space.job.title,
        description=space.description,
        sampler=space.sampler,
        job=space.job.model_dump(mode="json"),
        count=space.count,
        grid_size=int(size) if math.isfinite(size) else None,
        trials=[ProposedTrial(trial=n, parameters=changes) for n, changes in enumerate(proposed)],
    )


def preview_table(document: "PreviewDocument") -> str:
    """Show it to people."""
    from cifar_dist.report.tables import preview_table

    return preview_table(document)
