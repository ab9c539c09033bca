"""Clusters that lose nodes, with and without notice, or their control process, lose no result."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.soak import long_only
from tests.soak_jobs import Straight, assert_unharmed, seeds, task
from tests.soak_kills import Killed
from tests.soak_nodes import Cluster, permitted
from tests.soak_processes import WORKER, Task, ended, titled, wait_for
from tests.soak_runs import bases, name_in, newest_step, run_in

pytestmark = [
    pytest.mark.soak,
    pytest.mark.cluster,
    long_only,
    pytest.mark.usefixtures("ray_address"),
    pytest.mark.filterwarnings("default"),  # Ray's own are its makers' business
]

NOTICE_SECONDS = 8
Clusters = Callable[..., AbstractContextManager[Cluster]]


@pytest.fixture
def clusters(tmp_path: Path) -> Clusters:
    """Make clusters, where that is permitted."""
    if not permitted():
        pytest.skip("this process may not make namespaces")

    @contextmanager
    def made(**environment: str) -> Iterator[Cluster]:
        with Cluster(tmp_path / "cluster", **environment) as cluster:
            yield cluster

    return made


def on(cluster: Cluster, folder: Path, variant: str = "plain") -> Task:
    return task(folder, variant, 2, environment=cluster.environment, before=cluster.enter)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_lost_node_changes_nothing_that_is_learned(
    seed: int, tmp_path: Path, straight: Straight, clusters: Clusters, figures: dict[str, Any]
) -> None:
    draw = seeds(2)[seed]
    with clusters() as cluster:
        struck = on(cluster, tmp_path / "run")
        process, wanted = struck.begin(), draw.randrange(10, 60)
        assert wait_for(lambda: newest_step(struck.store) >= wanted, process), struck.shown
        cluster.lose(draw.choice(cluster.hosts()))
        ending = Killed(ended(struck, process), 1)
    figures["restarts"] = assert_unharmed(struck, ending, straight("plain", 2))
    assert figures["restarts"] == 1


def test_a_node_that_is_taken_before_its_time_is_an_ordinary_failure(
    tmp_path: Path, straight: Straight, clusters: Clusters, figures: dict[str, Any]
) -> None:
    with clusters() as cluster:
        struck = on(cluster, tmp_path / "run")
        process = struck.begin()
        assert wait_for(lambda: newest_step(struck.store) >= 10, process), struck.shown
        node = cluster.hosts()[0]
        cluster.ask_to_end(node)
        time.sleep(6.0)
        cluster.lose(node)
        ending = Killed(ended(struck, process), 2)
    figures["restarts"] = assert_unharmed(struck, ending, straight("plain", 2))


@pytest.mark.parametrize("notice", ["drain", "SIGTERM"])
def test_a_node_taken_with_notice_costs_only_what_was_done_after_the_last_moment(
    notice: str, tmp_path: Path, straight: Straight, clusters: Clusters, figures: dict[str, Any]
) -> None:
    expected = straight("one epoch", 2)
    with clusters() as cluster:
        warned = on(cluster, tmp_path / "run", "one epoch")
        process = warned.begin()
        assert wait_for(lambda: len(titled(WORKER)) == 2, process), warned.shown
        time.sleep(10.0)  # torch is imported, and some steps are taken
        assert newest_step(warned.store) == 0, "it commits before there is a reason"
        node = cluster.hosts()[0]
        if notice == "drain":
            cluster.drain(node, NOTICE_SECONDS)
        else:
            cluster.ask_to_end(node)
        since = time.monotonic()
        assert wait_for(lambda: newest_step(warned.store) > 0, process), warned.shown
        figures["seconds to the first commit"] = round(time.monotonic() - since, 1)
        seen = newest_step(warned.store)
        assert seen < 100, "it is the run's end that was committed"
        wait_for(lambda: node.poll() is not None or _is_over(since, notice), process)
        cluster.lose(node)
        ending = Killed(ended(warned, process), 1)
    restarts = assert_unharmed(warned, ending, expected)
    (resumed,) = bases(run_in(warned.store))
    figures |= {"restarts": restarts, "noticed at step": seen, "resumed from step": resumed}
    assert resumed >= seen


def _is_over(since: float, notice: str) -> bool:
    # What takes a node waits for its time to be over; by itself it may end sooner.
    seconds = NOTICE_SECONDS if notice == "drain" else 30
    return time.monotonic() - since > seconds + 1


def test_a_control_process_that_comes_back_is_not_missed(
    tmp_path: Path, straight: Straight, clusters: Clusters, figures: dict[str, Any]
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    with clusters(RAY_gcs_storage="rocksdb", RAY_gcs_storage_path=str(kept)) as cluster:
        struck = on(cluster, tmp_path / "run")
        process = struck.begin()
        assert wait_for(lambda: newest_step(struck.store) >= 10, process), struck.shown
        cluster.kill_control(back_after=3.0)
        ending = Killed(ended(struck, process), 0)
    figures["restarts"] = assert_unharmed(struck, ending, straight("plain", 2))


def test_a_run_whose_cluster_is_gone_ends_soon_and_is_resumed_elsewhere(
    tmp_path: Path, straight: Straight, clusters: Clusters, figures: dict[str, Any]
) -> None:
    expected = straight("plain", 2)
    with clusters() as cluster:
        struck = on(cluster, tmp_path / "run")
        process = struck.begin()
        assert wait_for(lambda: newest_step(struck.store) >= 10, process), struck.shown
        since = time.monotonic()
        cluster.kill_control(back_after=None)
        code = ended(struck, process)
        figures |= {"code": code, "seconds to the end": round(time.monotonic() - since, 1)}
    assert code == 75, struck.shown[-3000:]
    assert figures["seconds to the end"] <= 90
    here = task(tmp_path / "run", "plain", 2)
    ending = Killed(ended(here, here.resume(name_in(here.store))), 1)
    figures["restarts"] = assert_unharmed(here, ending, expected)
