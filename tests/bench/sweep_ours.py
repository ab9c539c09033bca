"""Our side of a comparison of sweeps: a child that tells how each trial ended."""

import time
from collections.abc import Sequence
from threading import Event
from typing import Any

from cifar_dist.documents import TrialRow
from cifar_dist.search import Space
from cifar_dist.standing import Standing
from tests.bench.ray_child import beside_others, tell


class _Told:
    """Follows a sweep and tells of its newest trial."""

    def located(self, dashboard: str | None) -> None:
        """Nobody looks at it."""

    def follow(self, standing: Standing) -> None:
        """Its trials say enough."""

    def observe(self, rows: Sequence[TrialRow], running: int, total: int) -> None:
        """Tell it at once."""
        row = rows[-1]
        tell(
            trial=row.trial,
            epochs=row.epochs,
            state=row.state,
            start_seconds=row.start_seconds,
            ended_at=time.time(),
        )


def sweep(given: dict[str, Any]) -> None:
    """Search a space as `tune` does: ASHA, warm workers, every epoch committed to a folder."""
    import cifar_dist.cluster.tune as door  # settles what Ray reads, before it is imported
    from cifar_dist.session import recipe_data
    from cifar_dist.store import open_store
    from cifar_dist.sweep import find_sweep, sweep_document

    beside_others()
    space = Space.parse(given["space"]).changed({"store": f"{given['folder']}/store"}, None)
    store, facts = open_store(space.job.store), recipe_data(space.job).facts()
    found = find_sweep(store, space, "bench", facts, again=False)
    found.create(sweep_document(space, facts))
    trials = door.sweep_trials(space, found, _Told(), Event())
    tell(rows=[row.model_dump(mode="json", exclude={"history"}) for row in trials.rows])
