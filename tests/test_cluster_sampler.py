"""The sampler asks for trials on demand: never more at once than there are slots."""

from pathlib import Path

import pytest

from cifar_dist.cluster.book import Book
from cifar_dist.cluster.sampler import Sampler
from cifar_dist.runs import Ledger, Sweep
from cifar_dist.search import Asha, Rungs, Space
from cifar_dist.store import open_store
from tests.tiny import make_job
from tests.watchers import Silent

from ray import cloudpickle  # isort: skip - after what prepares it
from ray.tune.search import Searcher  # isort: skip

pytestmark = pytest.mark.filterwarnings("default")

SPACE = Space.parse(
    {
        "description": "three trials",
        "job": make_job().model_dump(mode="json"),
        "trials": 3,
        "space": {"recipe.optimizer.lr": {"loguniform": [0.001, 1.0]}},
    }
)


class _Trial:
    last_result = {"state": "failed", "reason": "diverged"}  # noqa: RUF012

    def __init__(self, number: int) -> None:
        self.config = {"number": number}


@pytest.fixture
def book(tmp_path: Path) -> Book:
    sweep = Sweep(open_store(str(tmp_path)), "sweeps/tiny-00000000")
    return Book(3, Rungs(Asha(), 3), Ledger(sweep, sweep.claim_attempt()), Silent())


def test_a_trial_is_asked_for_when_another_has_ended_and_no_more_than_there_are(
    book: Book,
) -> None:
    sampler = Sampler(SPACE, book, limit=2)
    asked = [sampler.suggest(name) for name in "abc"]
    assert [config and config["number"] for config in asked] == [0, 1, None]
    book.on_trial_complete(0, [], _Trial(1))
    last = sampler.suggest("d")
    assert isinstance(last, dict)
    assert (last["number"], last["overrides"]) == (2, SPACE.proposal(2, 0, book.tally.observations))
    assert sampler.suggest("e") == Searcher.FINISHED


def test_nothing_of_a_sampler_is_written_where_tune_would_restore_it_from(
    book: Book, tmp_path: Path
) -> None:
    sampler = Sampler(SPACE, book, limit=2)
    sampler.save(str(tmp_path / "state"))
    assert not (tmp_path / "state").exists()
    assert type(cloudpickle.loads(cloudpickle.dumps(sampler))) is Searcher
