"""What `submit ls`, `status`, `logs` and `stop` do with what a cluster shows."""

import pytest

from cifar_dist.errors import ConfigError
from cifar_dist.submission.door import ForbiddenError, NotFoundError, UnreachableError
from cifar_dist.submission.logs import followed, last_lines, spoken
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


def test_whoever_may_not_ask_ray_stops_by_the_operator_and_is_told_what_it_costs() -> None:
    door = Played(Moment(running(), [HEAD]))
    told = stopped(door, FORBIDDEN)
    assert "since the last commit" in told[0]
    assert door.asked[-1].startswith("delete rayjobs.ray.io " + NAME)


def test_a_driver_that_does_not_end_is_not_waited_for_without_end() -> None:
    told = stopped(Played(Moment(running(), [HEAD])))
    assert any("did not end within" in each for each in told)
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


def test_the_last_lines_are_the_heads_without_secrets() -> None:
    door = Played(Moment(running(), [HEAD], log="one\ntoken=abcdef123456 \x1b[2J\n"))
    assert last_lines(door, NAME, 20) == ["one", "token=*** ?[2J"]
    assert "--tail=20" in door.asked[-1] and "-c ray-head" in door.asked[-1]


def test_a_job_without_a_head_has_no_log_and_says_where_the_results_are() -> None:
    with pytest.raises(ConfigError, match="store"):
        last_lines(Played(Moment(running())), NAME, 20)


def test_a_followed_log_has_each_line_once_and_goes_on_in_a_new_head() -> None:
    times = [f"2026-11-22T01:00:0{second}.000000000Z" for second in range(6)]
    first = f"{times[0]} a\n{times[1]} b"
    longer = f"{times[1]} b\n{times[2]} c"
    other = f"{times[4]} d\n"
    new = pod("head", "head-2", ready=True)
    told: list[str] = []
    door = Played(
        Moment(running(), [HEAD], log=first),
        Moment(running(), [HEAD], log=longer),
        Moment(UnreachableError("away")),
        Moment(running(), [], log=""),
        Moment(running(), [new], log=other),
        Moment(job("Complete", "SUCCEEDED"), [new], log=f"{other}{times[5]} end"),
    )
    lines = list(followed(door, NAME, 10, told.append, no_sleep))
    assert lines == ["a", "b", "c", "d", "end"]
    assert told == ["the log goes on in a new head"]


def test_a_log_begins_with_the_driver_and_not_with_rays_own_start() -> None:
    early = Moment(job("Initializing"), [HEAD], log="2026-11-22T01:00:00Z ray")
    later = Moment(running(), [HEAD], log="2026-11-22T01:01:01Z driver")
    door = Played(early, later, STOPPED)
    assert list(followed(door, NAME, 10, print, no_sleep)) == ["driver"]
    assert any("--since-time=2026-11-22T01:01:00Z --tail=10" in asked for asked in door.asked)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('{"level": "INFO", "message": "trial 3 pruned", "run": "a-1"}', "trial 3 pruned"),
        ('{"level": "WARNING", "message": "waiting"}', "WARNING waiting"),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ('{"message": 7}', '{"message": 7}'),
        ("7", "7"),
    ],
)
def test_a_json_record_is_told_as_its_message(said: str, words: str) -> None:
    assert spoken(said) == words


def test_a_log_that_cannot_be_read_now_is_tried_again() -> None:
    door = Played(Moment(running(), [HEAD]), STOPPED, refused={"logs": UnreachableError("away")})
    assert list(followed(door, NAME, 10, print, no_sleep)) == []


def test_a_followed_log_ends_with_a_deleted_job() -> None:
    gone = Moment(NotFoundError("not found"))
    door = Played(Moment(running(), [HEAD], log="2026-11-22T01:00:01Z a"), gone)
    assert list(followed(door, NAME, 10, print, no_sleep)) == ["a"]
    with pytest.raises(NotFoundError):
        list(followed(Played(gone), NAME, 10, print, no_sleep))
