"""A sweep without Ray: the book, the sampler and ASHA as Tune calls them, on made-up results."""

import json
import random
from collections.abc import Iterator
from itertools import count
from typing import Any

from cifar_dist.cluster.asha import ReplayedAsha
from cifar_dist.cluster.book import Book
from cifar_dist.cluster.sampler import Sampler
from cifar_dist.documents import TrialRow
from cifar_dist.search import Space, rungs_of, trainings
from tests.tiny import a_record, make_job
from tests.watchers import Silent

from ray.tune.search import Searcher  # isort: skip - after what prepares it

RUNGS = [1, 3]
EPOCHS = 9
LR = "recipe.optimizer.lr"
Event = dict[str, Any]


def a_space(trials: int, asha: dict[str, Any] | None = None) -> Space:
    """Give a space of real numbers with rungs after epochs 1 and 3 of 9."""
    job = make_job(recipe__epochs=EPOCHS).model_dump(mode="json")
    searched = {LR: {"uniform": [0.001, 1.0]}}
    asked = {"description": "d", "job": job, "trials": trials, "space": searched}
    return Space.parse({**asked, "asha": asha or {}})


class Told:
    """A ledger in memory: what was told before, and what is told now; each event takes 1 s."""

    def __init__(self, past: list[Event]) -> None:
        self.past, self.events = past, list(past)
        self._seconds = count()

    def replay(self) -> Iterator[Event]:
        """Give what was told before."""
        return iter(self.past)

    def open(self, **facts: object) -> Event:
        """Note that an attempt begins."""
        return self.add("open", **facts)

    def add(self, event: str, trial: int | None = None, **facts: object) -> Event:
        """Note an event."""
        line = {"event": event, "trial": trial, "at_seconds": next(self._seconds), **facts}
        self.events.append(json.loads(json.dumps(line)))
        return self.events[-1]

    def flush(self) -> None:
        """Keep everything at once."""


class _Trial:
    def __init__(self, trial_id: str, config: dict[str, Any]) -> None:
        self.trial_id, self.config = trial_id, config
        self.last_result: dict[str, Any] = {}
        self.epoch = 0
        self.is_restored = False
        self.trainings = trainings(config.get("restarts", ()), EPOCHS)
        self.training = self.trainings[0]

    @property
    def kind(self) -> int | None:
        """Which training its results are of, where there are several."""
        return self.training if "restarts" in self.config else None

    def advance(self) -> None:
        """Train one epoch more, of the next training where one ended."""
        if self.epoch == self.training:
            self.training = min(length for length in self.trainings if length > self.training)
            self.epoch = 0
        self.epoch += 1

    @property
    def number(self) -> int:
        number: int = self.config["number"]
        return number


class Simulated:
    """One life of a sweep's driver, step by step."""

    def __init__(
        self,
        trials: int,
        past: list[Event],
        *,
        limit: int = 1,
        seed: int = 0,
        asha: dict[str, Any] | None = None,
    ) -> None:
        self.ledger, self.random = Told(past), random.Random(seed)
        self.space = a_space(trials, asha)
        rungs = rungs_of(self.space)
        self.asha = ReplayedAsha(rungs)
        self.book = Book(trials, rungs, self.ledger, Silent())  # type: ignore[arg-type]
        self.sampler = Sampler(self.space, self.book, limit, self.asha)
        self.names: dict[str, int] = {}
        self.decided: list[int] = []
        """Trials that ASHA stopped."""
        self._running: list[_Trial] = []
        self.book.open_attempt({"CPU": 2.0}, limit)
        self.pruned = self.asha.replay(self.book.tally)
        for number in self.pruned:
            self.book.prune(number)

    def run(self) -> list[TrialRow]:
        """Go on to the end; gives all rows."""
        while self.step():
            pass
        self.book.close()
        return [self.book.tally.row(number) for number in sorted(self.book.tally.ends)]

    def step(self) -> bool:
        """Let one trial tell its next epoch; False when none is left."""
        while isinstance(config := self.sampler.suggest(name := f"t{len(self.names)}"), dict):
            self._begin(_Trial(name, config))
        if not self._running:
            assert config == Searcher.FINISHED
            return False
        trial = self.random.choice(self._running)
        self._tell(trial)
        return True

    @property
    def rungs(self) -> list[tuple[int, dict[int, float]]]:
        """What ASHA knows, bracket by bracket, by the trials' numbers."""
        named = {f"ledger-{number}": number for number in range(99)} | self.names
        return [
            (rung, {named[name]: value for name, value in told.items()})
            for bracket in self.asha._brackets
            for rung, told in bracket._rungs
            if rung < EPOCHS
        ]

    def _begin(self, trial: _Trial) -> None:
        self.names[trial.trial_id] = trial.number
        tally, number = self.book.tally, trial.number
        told, passed = tally.reached(number), tally.rungs[number]
        rungs = [rung for rung in RUNGS if rung not in passed]
        is_begun, lowest = told > 0, 0
        if trial.kind is not None and is_begun:
            # After a rung that let it go on the next training may have begun, or not.
            stands = tally._trainings[number]
            begun = min(length for length in trial.trainings if length not in passed)
            trial.training = self.random.choice([stands, begun]) if told == stands else stands
            told = told if trial.training == stands else 0
            rungs = [trial.training]
            lowest = stands if trial.training in passed else 0  # its end was waited for
        # Its newest checkpoint may be older or newer than what was told, up to the next rung.
        furthest = min([*rungs, _ends_at(number), told + 2])
        trial.epoch = self.random.randint(lowest, furthest) if is_begun else 0
        trial.is_restored = trial.epoch > 0
        self.asha.on_trial_add(None, trial)
        self.book.on_trial_start(0, [], trial)
        self._running.append(trial)

    def _tell(self, trial: _Trial) -> None:
        if not trial.is_restored:
            trial.advance()
        first = 1 if trial.is_restored else trial.epoch
        trial.is_restored = False
        result = _result(trial, first)
        decision = "STOP" if result["done"] else self.asha.on_trial_result(None, trial, result)
        if decision == "STOP" and not result["done"]:
            self.decided.append(trial.number)
        self.book.on_trial_result(0, [], trial, result)
        trial.last_result = result
        if decision == "STOP":
            self.asha.on_trial_complete(None, trial, result)
            self._running.remove(trial)
            self.book.on_trial_complete(0, [], trial)


def accuracy(number: int, epoch: int, training: int | None = None) -> float:
    """Give what a trial comes to: always the same."""
    noise = random.Random(number * 100 + epoch).uniform(0.0, 0.05)
    return random.Random(number).uniform(0.1, 0.8) + epoch / 100 + noise + (training or 0) / 100


def _ends_at(number: int) -> int:
    return 3 if number % 7 == 5 else EPOCHS  # some diverge at a rung


def _judged(number: int, epoch: int, kind: int | None) -> float:
    first = 1 if kind else epoch
    return max(accuracy(number, e, kind) for e in range(first, epoch + 1))


def _result(trial: _Trial, first: int) -> dict[str, Any]:
    number, epoch, kind = trial.number, trial.epoch, trial.kind
    failed = _ends_at(number) < EPOCHS and epoch >= _ends_at(number)
    records = [
        a_record(e, validation_loss=1 - accuracy(number, e, kind)).model_dump()
        | {"validation_accuracy": accuracy(number, e, kind)}
        for e in range(first, epoch + 1 - failed)
    ]
    state = "failed" if failed else "finished" if epoch == EPOCHS else "running"
    return {
        "state": state,
        "reason": "diverged" if failed else None,
        "done": state != "running",
        "epoch": epoch,
        "training": kind,
        "validation_accuracy": 0.0 if failed else _judged(number, epoch, kind),
        "start_seconds": 0.5,
        "records": records,
    }
