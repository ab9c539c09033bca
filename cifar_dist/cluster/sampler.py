"""Which trial comes next: asked for on demand, from what is known when a slot is free."""

import time
from typing import Any

from ray.tune.search import Searcher

from cifar_dist.cluster.asha import ReplayedAsha
from cifar_dist.cluster.book import Book
from cifar_dist.search import Space, rungs_of


class Sampler(Searcher):
    """Tune's searcher: at most `limit` trials are open at once, so none waits for a slot.

    Those that an earlier attempt left unfinished come first, under their numbers.
    """

    def __init__(
        self, space: Space, book: Book, limit: int, asha: ReplayedAsha | None = None
    ) -> None:
        super().__init__()
        self._space, self._book, self._limit, self._asha = space, book, limit, asha
        self._rungs = rungs_of(space)

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # Tune writes its searcher down to restore a sweep from it; we restore from the ledger.
        return Searcher, ()

    def save(self, checkpoint_path: str) -> None:
        """Write nothing, for the same reason."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learn nothing here: the book hears the same, and keeps it."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Give a trial's number, what makes it and when its slot was free; None while all run.

        Beside these stand the lengths of the trainings that come before its whole one.
        """
        book = self._book
        if not book.waiting and book.asked >= book.total:
            return str(Searcher.FINISHED)
        if book.open >= self._limit:
            return None
        asked_at = time.time()
        if book.waiting:
            number = book.waiting.popleft()
            overrides = book.tally.overrides[number]
            if self._asha is not None:
                self._asha.adopt(number, trial_id)
        else:
            number = book.asked
            seed = self._space.job.recipe.seed
            overrides = self._space.proposal(number, seed, book.tally.observations)
        book.begin(number, overrides)
        restarts = self._rungs.restarts(number)
        made = {"number": number, "overrides": overrides, "asked_at": asked_at}
        return {**made, "restarts": list(restarts)} if restarts else made
