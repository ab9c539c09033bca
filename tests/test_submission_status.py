"""What `submit ls`, `status` and `stop` do with what a cluster shows."""

import pytest

from cifar_dist.errors import CifarDistError, RunError
from cifar_dist.submission.door import ForbiddenError, NotFoundError, UnreachableError
from cifar_dist.submission.observed import age_seconds
from cifar_dist.submission.snapshot import Snapshot
from cifar_dist.submission.status import row, rows, status
from cifar_dist.submission.stop import stop
from tests.submitted_jobs import (
    NAME,
    Json,
    Moment,
    Played,
    event,
    failed,
    job,
    no_sleep,
    pod,
    running,
)

HEAD = pod("head", ready=True)
STOPPED = Moment(job("Complete", "STOPPED"))
FORBIDDEN = ForbiddenError("secrets is forbidden")


def stopped(door: Played, refused: Exception | None = None) -> list[str]:
    """Stop the job; that Ray was asked stands in what was asked of the cluster, too."""
    told: list[str] = []

    def ask(seen: Snapshot) -> None:
        door.asked.append("ask Ray")
        if refused is not None:
            raise refused

    stop(door, NAME, told.append, ask, no_sleep)
    return told


def test_a_row_comes_from_the_rayjob_alone() -> None:
    replicas = {"readyWorkerReplicas": 1, "desiredWorkerReplicas": 4}
    found = row(running(rayClusterStatus=replicas))
    assert (found.name, found.kind, found.state, found.run) == (
        NAME, "tune", "running", "quickstart-99",
    )  # fmt: skip
    assert (found.workers_ready, found.workers_wanted) == (1, 4)
    assert (found.exit_code, found.reason) == (None, None)


def test_a_failed_row_tells_exit_code_and_reason() -> None:
    found = row(failed("AppFailed", "Job entrypoint command failed with exit code 4"))
    assert (found.state, found.exit_code) == ("failed", 4)
    assert "exit code 4" in (found.reason or "")


def test_a_list_of_any_length_is_one_request_newest_first() -> None:
    jobs: list[Json] = [running() for _ in range(200)]
    for number, each in enumerate(jobs):
        each["metadata"] |= {
            "name": f"job-{number}",
            "creationTimestamp": f"2026-11-22T{number // 60:02}:{number % 60:02}:00Z",
        }
    door = Played(*map(Moment, jobs))
    found = rows(door)
    assert [each.name for each in found] == [f"job-{number}" for number in reversed(range(200))]
    assert door.asked == ["get rayjobs.ray.io -l cifar-dist.io/kind"]


def test_the_status_of_a_waiting_job_says_why() -> None:
    head = pod("head")
    said = event("FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.", head)
    door = Played(Moment(job("Initializing"), [head], events=[said]))
    assert "enough cpu free" in " ".join(status(door, NAME).causes)
    assert "get nodes" in door.asked


def test_an_event_of_an_older_job_of_the_same_name_is_not_told() -> None:
    said = event("InvalidRayJobSpec", "ns/x: no entrypoint", NAME)
    said["involvedObject"]["uid"] = "old"
    moment = Moment(job("Initializing", uid="new"), [pod("head")], events=[said])
    assert status(Played(moment), NAME).causes == []
    said["involvedObject"]["uid"] = "new"
    assert status(Played(moment), NAME).causes == ["InvalidRayJobSpec: ns/x: no entrypoint"]


def test_an_account_that_may_not_read_nodes_still_gets_the_causes() -> None:
    head = pod("head")
    said = event("FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.", head)
    moment = Moment(job("Initializing"), [head], events=[said])
    assert status(Played(moment, refused={"nodes": FORBIDDEN}), NAME).causes


def test_a_job_that_runs_or_ended_is_asked_for_no_cause() -> None:
    for moment in (Moment(running(), [HEAD, pod(ready=True)]), Moment(failed("AppFailed"))):
        door = Played(moment)
        assert status(door, NAME).causes == []
        assert not any("events" in each for each in door.asked)


@pytest.mark.parametrize("since", ["", "yesterday", "2026-11-22", "2026-11-22T01:00:00"])
def test_a_time_that_is_none_gives_no_age(since: str) -> None:
    assert age_seconds(since) is None
    assert (age_seconds("2020-01-01T00:00:00Z") or 0) > 1e8


def test_stopping_asks_ray_waits_for_the_driver_and_only_then_deletes() -> None:
    door = Played(*[Moment(running(), [HEAD])] * 5, STOPPED)
    told = stopped(door)
    verbs = [each.split()[0] for each in door.asked]
    assert verbs.index("ask") < verbs.index("delete") == len(verbs) - 1
    assert verbs.count("get") >= 6
    assert "commits" in told[0]


@pytest.mark.parametrize("refused", [FORBIDDEN, RunError("the dashboard does not answer")])
def test_whoever_cannot_ask_ray_stops_by_the_operator_and_is_told_what_it_costs(
    refused: CifarDistError,
) -> None:
    door = Played(Moment(running(), [HEAD]))
    told = stopped(door, refused)
    assert "since the last commit" in told[0]
    assert door.asked[-1].startswith("delete rayjobs.ray.io " + NAME)


def test_a_driver_has_the_time_that_its_ray_gives_it_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait = {"name": "RAY_JOB_STOP_WAIT_TIME_S", "value": "3000"}
    pod_spec = {"spec": {"containers": [{"name": "ray-head", "env": [wait]}]}}
    spec = {"rayClusterSpec": {"headGroupSpec": {"template": pod_spec}}}
    for job_spec, seconds in (({}, 180), (spec, 3060)):
        now = iter(range(0, 100_000, 100))
        monkeypatch.setattr("cifar_dist.submission.stop.time.monotonic", lambda now=now: next(now))
        told = stopped(Played(Moment({**running(), "spec": job_spec}, [HEAD])))
        assert any(f"did not end within {seconds} s" in each for each in told)
        assert next(now) >= seconds
        assert "is deleted" in told[-1]


@pytest.mark.parametrize(
    "moment",
    [Moment(job("Initializing"), [pod("head")]), Moment(running()), STOPPED, Moment(job())],
)
def test_a_job_without_a_running_driver_is_deleted_at_once(moment: Moment) -> None:
    door = Played(moment)
    stopped(door)
    assert "ask Ray" not in door.asked
    assert door.asked[-1].startswith("delete")


def test_a_cluster_that_is_away_while_stopping_deletes_nothing_blindly() -> None:
    door = Played(Moment(running(), [HEAD]))
    with pytest.raises(UnreachableError):
        stopped(door, UnreachableError("away"))
    assert not any(each.startswith("delete") for each in door.asked)


def test_stopping_what_is_not_there_says_so() -> None:
    with pytest.raises(NotFoundError):
        stopped(Played(Moment(NotFoundError("not found"))))
