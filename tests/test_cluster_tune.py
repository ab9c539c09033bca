"""Sweeps on Ray Tune: every trial ends with a reason, and nothing is left behind."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import pytest

from cifar_dist.cluster import tune
from cifar_dist.cluster.trial import Trial
from cifar_dist.cluster.tune import Trials, sweep_trials
from cifar_dist.config import parse_job
from cifar_dist.documents import TrialRow
from cifar_dist.metrics import FAMILIES, Board, Meters, Prices
from cifar_dist.runs import Sweep
from cifar_dist.search import Observation, Space
from cifar_dist.session import recipe_data
from cifar_dist.store import open_store
from cifar_dist.sweep import find_sweep, sweep_document
from cifar_dist.tally import Tally
from tests.clusters import eventually, held, interrupted
from tests.commands import document, finished, started
from tests.ledgers import trial_logs
from tests.tiny import make_job
from tests.trials import BUGGY, CRASHING, LOST, RAISING, Failing, Noted

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("ray_address"),
    pytest.mark.filterwarnings("default"),  # Ray's own are its makers' business
]

TRIALS = 10


class _Progress:
    """Counts what it is shown, and lets meters follow."""

    def __init__(self, meters: Meters) -> None:
        self.shown, self.follow = 0, meters.follow

    def located(self, dashboard: str | None) -> None:
        assert dashboard is None or dashboard.startswith("http://")

    def observe(self, rows: Sequence[TrialRow], running: int, total: int) -> None:
        self.shown += 1
        assert (len(rows), total) == (self.shown, TRIALS)
        assert 0 <= running <= total - len(rows)


Metered = dict[str, list[tuple[tuple[str, ...], Any]]]


class Ended(NamedTuple):
    """A sweep that ended, and where."""

    store: Path
    sweep: Sweep
    trials: Trials
    asked: list[list[Observation]]
    """What the sampler was told, each time it was asked."""
    metered: Metered
    """The metrics at its end."""

    @property
    def rows(self) -> list[TrialRow]:
        """What its trials came to."""
        return self.trials.rows


def space_of(store: Path) -> Space:
    job = make_job(
        store=str(store), recipe__epochs=3, placement__workers=None, placement__max_failures=1
    )
    return Space.parse(
        {
            "description": "half of all learning rates are far too high",
            "job": job.model_dump(mode="json"),
            "trials": TRIALS,
            "asha": {"grace_epochs": 1, "reduction_factor": 2},
            "space": {"recipe.optimizer.lr": {"choice": [1e-5, 0.02, 0.05, 9e3, 9.5e3, 1e4]}},
        }
    )


def swept(store: Path, trial: type[Trial]) -> Ended:
    space = space_of(store)
    opened = open_store(space.job.store)
    facts = recipe_data(space.job).facts()
    sweep = find_sweep(opened, space, "tiny", facts, again=False)
    sweep.create(sweep_document(space, facts))
    asked, propose = [], Space.proposal

    def spy(self: Space, number: int, seed: int, seen: list[Observation]) -> dict[str, Any]:
        asked.append(list(seen))
        return propose(self, number, seed, seen)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "Trial", trial)
        patch.setattr(Space, "proposal", spy)
        meters = Board().open(sweep.name, Prices(cpu_hour=0.05))
        trials = sweep_trials(space, sweep, _Progress(meters), Event())
        return Ended(store, sweep, trials, asked, meters.read())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return swept(tmp_path_factory.mktemp("plain"), Noted)


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return swept(tmp_path_factory.mktemp("failing"), Failing)


def test_a_sweep_finds_the_learning_rates_that_work_among_many_that_diverge(plain: Ended) -> None:
    assert [row.trial for row in plain.rows] == list(range(TRIALS))
    for row in plain.rows:
        if row.parameters.get("recipe.optimizer.lr", 0) > 1:
            assert (row.state, row.best_epoch) == ("failed", None)
            assert "diverged" in (row.reason or "")
        else:
            assert row.state in {"finished", "pruned"}
            assert row.validation_accuracy is not None
    states = {row.state for row in plain.rows}
    assert states >= {"finished", "failed"}


def test_the_metrics_of_a_sweep_say_what_its_rows_say(plain: Ended) -> None:
    known, rows = plain.metered, plain.rows
    states = {labels[0]: count for labels, count in known["trials"]}
    assert [states[name] for name in ("waiting", "running")] == [0, 0]
    for state in ("finished", "pruned", "failed"):
        assert states[state] == [row.state for row in rows].count(state)
    value = {name: values[0][1] for name, values in known.items()}
    assert value["epochs_total"] == sum(row.epochs for row in rows)
    assert value["images_total"] == pytest.approx(1_800 * value["epochs_total"], rel=1e-3)
    assert value["best_accuracy_ratio"] == max(row.validation_accuracy or 0.0 for row in rows)
    assert value["diverged_total"] == states["failed"] > 0
    assert (value["trials_planned"], value["slots"]) == (TRIALS, 2)
    rungs = {int(labels[0]): count for labels, count in known["rung_trials"]}
    assert rungs == {e: sum(e in {g.epoch for g in row.rungs} for row in rows) for e in (1, 2)}


def test_the_metrics_of_a_sweep_say_what_its_workers_stored_and_cost(plain: Ended) -> None:
    value = {name: values[0][1] for name, values in plain.metered.items()}
    kept = sum(row.epochs for row in plain.rows if row.state != "failed")
    assert value["checkpoint_seconds"].buckets[-1][1] >= kept / 2, "some are superseded"
    assert value["checkpoint_bytes_total"] > 100_000
    assert (value["checkpoint_failures_total"], value["restarts_total"]) == (0, 0)
    whole = plain.trials.cost.cpu_seconds
    assert 0.0 < value["cpu_seconds_total"] <= whole, "it begins when a trial has its worker"
    assert value["cost_total"] == pytest.approx(0.05 * value["cpu_seconds_total"] / 3600)
    assert value["sweep_cost"] == pytest.approx(value["cost_total"])
    spent = {labels[0]: seconds for labels, seconds in plain.metered["worker_seconds_total"]}
    assert 0.0 < value["goodput_ratio"] == spent["busy"] / sum(spent.values()) < 1.0
    assert spent["starting"] > 0.0
    assert value["last_epoch_timestamp_seconds"] < value["last_checkpoint_timestamp_seconds"] + 60
    only_runs = {"epoch", "train_loss", "validation_loss", "validation_accuracy_ratio"}
    absent = {"build_info", "budget_used_ratio", "learning_rate", *only_runs}
    assert set(value) == FAMILIES.keys() - absent


def test_trial_0_is_the_base_job_and_finishes_or_is_pruned_by_its_score(plain: Ended) -> None:
    assert plain.rows[0].parameters == {}
    assert len(plain.rows[0].history) == plain.rows[0].epochs > 0


def test_a_pruned_trial_says_at_which_accuracy_asha_stopped_it(plain: Ended) -> None:
    for row in plain.rows:
        if row.state == "pruned":
            assert f"{row.history[-1].validation_accuracy:.2%}" in (row.reason or "")
            assert row.epochs in {1, 2}


def test_trials_share_processes_instead_of_starting_one_each(plain: Ended) -> None:
    names = [path.name.split("-") for path in (plain.store / "processes").iterdir()]
    assert len(names) == TRIALS
    assert len({process for process, _ in names}) <= 2, "the cluster has two CPUs"


@pytest.mark.parametrize("which", ["plain", "failing"])
def test_the_ledger_holds_what_the_rows_say(which: str, request: pytest.FixtureRequest) -> None:
    ended: Ended = request.getfixturevalue(which)
    ledger = trial_logs(ended.sweep)
    assert sorted(ledger) == [row.trial for row in ended.rows]
    for row in ended.rows:
        log = ledger[row.trial]
        assert (log.state, log.overrides) == (row.state, row.parameters)
        assert log.rungs == {rung.epoch: rung.value for rung in row.rungs}
        assert sorted(log.epochs) == [record.epoch for record in row.history]


@pytest.mark.parametrize("which", ["plain", "failing"])
def test_the_ledger_tells_again_what_the_sampler_knew_each_time_it_was_asked(
    which: str, request: pytest.FixtureRequest
) -> None:
    ended: Ended = request.getfixturevalue(which)
    events = list(ended.sweep.events())
    starts = [place for place, event in enumerate(events) if event["event"] == "start"]
    assert [Tally(events[:place]).observations for place in starts] == ended.asked
    assert [events[place]["trial"] for place in starts] == list(range(TRIALS))
    assert len(Tally(events).observations) == TRIALS


def test_every_epoch_that_counts_is_committed_and_can_be_fetched(
    plain: Ended, tmp_path: Path
) -> None:
    for row in plain.rows:
        best = plain.sweep.trial(row.trial).best()
        if row.state == "failed":
            continue
        assert best is not None
        assert best.epoch == row.best_epoch
        plain.sweep.trial(row.trial).download(best, tmp_path / str(row.trial))
        assert (tmp_path / str(row.trial) / "model.safetensors").stat().st_size > 200_000


def test_a_trial_that_cannot_go_on_says_why_and_the_others_do_not_notice(failing: Ended) -> None:
    reasons = {row.trial: row.reason for row in failing.rows if row.state == "failed"}
    assert reasons[RAISING] == "the images are gone; bring them back"
    assert reasons[BUGGY] == "KeyError: 'momentum'"
    assert "died" in (reasons[CRASHING] or "")
    assert "\n" not in (reasons[CRASHING] or "")
    assert len(failing.rows) == TRIALS


def test_only_a_dead_worker_is_tried_again(failing: Ended) -> None:
    opened = [int(line.split()[0]) for line in (failing.store / "opened").read_text().splitlines()]
    counts = {number: opened.count(number) for number in range(TRIALS)}
    assert {number: count for number, count in counts.items() if count > 1} == {
        CRASHING: 2,
        LOST: 2,
    }


def test_a_trial_whose_worker_was_lost_goes_on_from_its_last_epoch(failing: Ended) -> None:
    row = failing.rows[LOST]
    assert (failing.store / "lost").exists()
    assert [record.epoch for record in row.history] == list(range(1, row.epochs + 1))
    assert row.epochs > 0
    assert row.start_seconds is None, "its slot was never free"


def test_equal_seeds_try_equal_trials_with_equal_results(plain: Ended, failing: Ended) -> None:
    for one, other in zip(plain.rows, failing.rows, strict=True):
        assert one.parameters == other.parameters
        for mine, theirs in zip(one.history, other.history, strict=False):
            assert mine.validation_loss == theirs.validation_loss
            assert mine.train_loss == theirs.train_loss


def test_all_trials_of_all_sweeps_hold_out_the_same_images(plain: Ended, failing: Ended) -> None:
    assert plain.sweep.document["data"] == failing.sweep.document["data"]
    jobs = [parse_job(plain.sweep.trial(n).document["job"]).recipe for n in range(TRIALS)]
    assert len({(job.data, job.validation_fraction, job.seed) for job in jobs}) == 1


@pytest.mark.usefixtures("plain", "failing")
def test_a_sweep_leaves_no_worker_no_reservation_and_no_actor() -> None:
    assert eventually(lambda: held() == ["0 CPUs"]), held()


def test_ctrl_c_ends_a_sweep_and_what_was_committed_stays_intact(tmp_path: Path) -> None:
    space, folder = tmp_path / "space.yaml", tmp_path / "store"
    space.write_text(space_of(folder).model_dump_json(exclude={"asha"}), "utf-8")
    options = ["--set", "recipe.epochs=2000", "--store", str(folder), "--trials", "4"]
    command = ["tune", str(space), *options]
    code, shown = interrupted(command, lambda: any(folder.rglob("best/*")))
    assert code == 130, shown
    assert "Traceback" not in shown
    assert eventually(lambda: held() == ["0 CPUs"]), held()
    store = open_store(str(folder))
    (name,) = store.folders("sweeps")
    states = [log.state for log in trial_logs(Sweep(store, f"sweeps/{name}")).values()]
    assert "started" in states
    command = ["artifacts", "verify", name, "--store", str(folder), "--json"]
    verified = finished(started(*command, cwd=tmp_path))
    assert verified.code == 0, verified.err
    assert {row["verdict"] for row in document("artifacts", verified.out)["artifacts"]} == {
        "intact"
    }


def test_json_is_the_only_thing_on_stdout(tmp_path: Path) -> None:
    options = "--trials 2 --epochs 1 --data synthetic --set recipe.model.widths=[8,8,8] --json"
    command = ["tune", "quickstart", *options.split(), "--store", str(tmp_path)]
    ended = finished(started(*command, cwd=tmp_path))
    found = document("tune", ended.out)
    assert (ended.code, len(found["trials"])) == (0, 2)
    assert found["best"] in {0, 1}
    assert found["cost"]["epochs_run"] == 2
