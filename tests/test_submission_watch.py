"""Following a submitted job: what is told of each change, and how every end is understood."""

from typing import Any

import pytest

from cifar_dist.errors import CifarDistError, ConfigError, RunError
from cifar_dist.submission.door import ForbiddenError, NotFoundError, UnreachableError
from cifar_dist.submission.observed import exit_code, outcome, state
from cifar_dist.submission.snapshot import Snapshot
from cifar_dist.submission.watch import Outcome, follow
from tests.submitted_jobs import (
    NAME,
    Moment,
    Played,
    container,
    event,
    failed,
    job,
    no_sleep,
    pod,
    running,
)

HEAD = pod("head", ready=True)
DONE = Moment(job("Complete", "SUCCEEDED"))
ENTRY = "Job entrypoint command failed with exit code {}, last available logs (truncated):\n"


def no_show(_: Snapshot) -> None:
    """Show it to nobody."""


def told(*moments: Moment) -> tuple[list[str], Outcome]:
    """Follow a job through moments; what was told, and how it ended."""
    lines: list[str] = []
    ended = follow(Played(*moments), NAME, lines.append, no_show, no_sleep)
    assert all(each and "\n" not in each for each in lines)
    return lines, ended


# Status, then state, exit code and a part of the reason.
ENDS: list[tuple[dict[str, Any], str, int, str]] = [
    (job("Complete", "SUCCEEDED"), "succeeded", 0, "succeeded"),
    (job("Complete", "STOPPED"), "stopped", 130, "stopped"),
    (failed("AppFailed", ENTRY.format(1) + "x"), "failed", 1, "AppFailed: the driver failed"),
    (failed("AppFailed", ENTRY.format(2) + "cifar-dist: lr: bad"), "failed", 2, "lr: bad"),
    (failed("AppFailed", ENTRY.format(4)), "failed", 4, "exit code 4"),
    (failed("AppFailed", ENTRY.format(5)), "failed", 5, "exit code 5"),
    (failed("AppFailed", ENTRY.format(75)), "preempted", 75, "exit code 75"),
    (failed("AppFailed", ENTRY.format(137)), "failed", 3, "exit code 137"),
    (failed("AppFailed", ENTRY.format(-9)), "failed", 3, "exit code -9"),
    (failed("AppFailed", "The actor died."), "failed", 3, "actor died"),
    (failed("AppFailed", "Ray head pod not found."), "failed", 3, "head pod not found"),
    (failed("SubmissionFailed", "BackoffLimitExceeded"), "failed", 3, "SubmissionFailed"),
    (failed("DeadlineExceeded", "passed the activeDeadlineSeconds"), "failed", 3, "longer than"),
    (failed("PreRunningDeadlineExceeded", "passed"), "failed", 3, "did not start"),
    (failed("JobStatusCheckTimeoutExceeded", "failing since"), "failed", 3, "port 8265"),
    (
        failed("JobDeploymentStatusTransitionGracePeriodExceeded", "no"),
        "failed", 3, "lost sight",
    ),
    (
        job("ValidationFailed", status={"reason": "ValidationFailed", "message": "no entrypoint"}),
        "refused", 2, "no entrypoint",
    ),
    (failed("", ""), "failed", 3, "no reason"),
]  # fmt: skip


@pytest.mark.parametrize(("last", "kind", "code", "words"), ENDS)
def test_each_end_of_a_job_has_its_exit_code_and_one_line(
    last: dict[str, Any], kind: str, code: int, words: str
) -> None:
    lines, ended = told(Moment(last))
    assert (ended.state, ended.exit_code) == (kind, code)
    assert words in ended.reason
    assert lines[-1] == f"{kind}: {ended.reason}"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (job(), "waiting"),
        (job("Initializing"), "waiting"),
        (job("Waiting"), "waiting"),
        (job("Running", "PENDING"), "starting"),
        (job("Running"), "starting"),
        (running(), "running"),
        (job("Retrying", "FAILED"), "retrying"),
        (job("Suspending"), "suspended"),
        (job("Suspended"), "suspended"),
        (job(spec={"suspend": True}), "suspended"),
        (job("Running", "RUNNING", deletionTimestamp="2026-11-22T01:02:00Z"), "ending"),
        ({}, "waiting"),
        ({"status": None, "metadata": []}, "waiting"),
    ],
)
def test_a_job_that_has_not_ended_has_one_state(shown: dict[str, Any], expected: str) -> None:
    assert outcome(shown) is None
    assert state(shown) == expected


def test_the_way_from_nothing_to_the_end_is_told_once_each() -> None:
    worker = pod(ready=True)
    lines, ended = told(
        Moment(job()),
        Moment(job("Initializing"), [pod("head"), pod()]),
        Moment(job("Initializing"), [HEAD, pod()]),
        Moment(job("Running", "PENDING"), [HEAD, worker]),
        Moment(running(), [HEAD, worker]),
        Moment(running(), [HEAD, worker]),
        DONE,
    )
    beginnings = [
        "waiting for the cluster", "worker 0 of 1", "head ready", "worker 1 of 1",
        "the cluster is ready", "running", "succeeded",
    ]  # fmt: skip
    rest = [each for each in lines if not each.startswith("waiting: ")]
    assert len(rest) == len(beginnings)
    assert all(each.startswith(start) for each, start in zip(rest, beginnings, strict=True))
    assert ended.exit_code == 0


def test_a_lost_head_is_told_though_the_status_stays_the_same() -> None:
    new = pod("head", "head-2", ready=True)
    again = running(rayJobInfo={"startTime": "2026-11-22T01:09:00Z"})
    lines, _ = told(
        Moment(running(), [HEAD]),
        Moment(running(), [pod("head", deleted="2026-11-22T01:08:00Z")]),
        Moment(running(), [pod("head", "head-2")]),
        Moment(running(), [new]),
        Moment(again, [new]),
        Moment(again, [new]),
        DONE,
    )
    assert [each for each in lines if "resumes" in each] == [
        "the head was lost and is started again; then the driver resumes from what is committed "
        "in the store",
        "the driver was submitted again; the driver resumes from what is committed in the store",
    ]
    assert sum(each.startswith("head ready") for each in lines) == 2


def test_a_head_replaced_between_two_looks_is_noticed_by_its_identity() -> None:
    lines, _ = told(
        Moment(running(), [HEAD]),
        Moment(running(), [pod("head", "head-2", ready=True)]),
        DONE,
    )
    assert sum("head was lost" in each for each in lines) == 1


def test_a_retry_is_told_even_if_its_state_was_never_seen() -> None:
    again = job("Initializing", status={"failed": 1}, spec={"backoffLimit": 2})
    lines, _ = told(Moment(running(), [HEAD]), Moment(again), DONE)
    assert "attempt 1 of 3 failed; retrying with a new cluster" in " ".join(lines)
    assert not any("head was lost" in each for each in lines)


def test_a_cluster_that_does_not_answer_is_told_once_and_waited_for() -> None:
    away = Moment(UnreachableError("no answer"))
    lines, ended = told(Moment(running(), [HEAD]), *[away] * 60, Moment(running(), [HEAD]), DONE)
    assert sum("does not answer" in each for each in lines) == 1
    assert lines.count("the cluster answers again") == 1
    assert ended.exit_code == 0


def test_a_cluster_that_is_away_for_an_hour_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 100_000, 1_000))
    monkeypatch.setattr("cifar_dist.submission.patience.time.monotonic", lambda: next(now))
    with pytest.raises(UnreachableError, match="for an hour"):
        told(Moment(UnreachableError("no answer")))


def test_a_job_that_is_not_there_is_refused_and_a_deleted_one_has_stopped() -> None:
    gone = Moment(NotFoundError("not found"))
    with pytest.raises(NotFoundError, match="submit ls"):
        told(gone)
    _, ended = told(Moment(running(), [HEAD]), gone)
    assert (ended.state, ended.exit_code) == ("stopped", 130)


def test_a_refused_account_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Moment(ForbiddenError("forbidden"))
    with pytest.raises(ForbiddenError):
        told(refused)
    now = iter(range(0, 100_000, 100))
    monkeypatch.setattr("cifar_dist.submission.patience.time.monotonic", lambda: next(now))
    with pytest.raises(ForbiddenError):
        told(Moment(running(), [HEAD]), refused)


def test_a_server_that_is_starting_may_refuse_for_a_while() -> None:
    odd = [
        Moment(RunError("etcdserver: leader changed")),
        Moment(ForbiddenError("RBAC: not found")),
    ]
    lines, ended = told(Moment(running(), [HEAD]), *odd, Moment(running(), [HEAD]), DONE)
    assert ended.exit_code == 0
    assert lines.count("the cluster answers again") == 1


def test_a_queued_job_is_waited_for_and_one_suspended_by_hand_is_left() -> None:
    queue = {"kueue.x-k8s.io/queue-name": "team"}
    held = job("Suspended", spec={"suspend": True}, labels=queue)
    lines, ended = told(*[Moment(held)] * 4, DONE)
    assert ended.exit_code == 0
    assert any("queue team" in each for each in lines)
    _, ended = told(Moment(job("Suspended", spec={"suspend": True})))
    assert (ended.state, ended.exit_code) == ("suspended", 75)


def test_why_it_waits_is_told_once_and_again_beside_the_operators_deadline() -> None:
    head = pod("head")
    few = event("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.", head)
    more = event("FailedScheduling", "0/4 nodes are available: 4 Insufficient cpu.", head)
    waiting = job("Initializing")
    lines, ended = told(
        *[Moment(waiting, [head], events=[few])] * 5,
        *[Moment(waiting, [head], events=[more])] * 5,
        Moment(failed("PreRunningDeadlineExceeded", "passed")),
    )
    assert sum("has enough cpu free" in each for each in lines) == 2  # as cause, and at the end
    assert "last seen: head: no node has enough cpu" in ended.reason


@pytest.mark.parametrize("error", [ForbiddenError("events"), RunError("leader changed")])
def test_events_that_cannot_be_read_stop_nothing(error: CifarDistError) -> None:
    door = Played(*[Moment(job("Initializing"), [pod("head")])] * 4, DONE)
    door_json = door.json

    def json(*arguments: str) -> dict[str, Any]:
        if arguments[1] == "events":
            raise error
        return door_json(*arguments)

    door.json = json  # type: ignore[method-assign]
    assert follow(door, NAME, lambda _: None, no_show, no_sleep).exit_code == 0


def test_a_job_that_runs_with_all_its_workers_costs_two_requests_a_look() -> None:
    door = Played(*[Moment(running(), [HEAD, pod(ready=True)])] * 10, DONE)
    seen: list[Snapshot] = []
    follow(door, NAME, lambda _: None, seen.append, no_sleep)
    assert len(door.asked) == 2 * 11
    assert len(seen) == 11 and seen[-1].job == DONE.job


def test_what_a_program_wrote_reaches_the_terminal_as_one_clean_short_line() -> None:
    wild = "cifar-dist: \x1b[2Jtoken=abcdef123456 " + "x" * 5000
    _, ended = told(Moment(failed("AppFailed", ENTRY.format(3) + wild)))
    assert ended.reason.isprintable()
    assert "abcdef123456" not in ended.reason
    assert len(ended.reason) <= 300


@pytest.mark.parametrize("name", ["", "--all", "a/b", "A", "a,b", "-x", "a" * 64, "1a"])
def test_only_a_name_is_asked_for(name: str) -> None:
    door = Played(DONE)
    with pytest.raises(ConfigError, match="no job's name"):
        follow(door, name, lambda _: None, no_sleep)
    assert door.asked == []


def test_an_exit_code_is_read_from_rays_own_sentence_alone() -> None:
    assert exit_code(ENTRY.format(2) + "exit code 4") == 2
    assert exit_code("something else\nexit code 4") == 3


def test_a_container_state_in_a_pod_changes_no_count() -> None:
    starting = pod("worker", containerStatuses=[container(waiting={"reason": "PodInitializing"})])
    lines, _ = told(Moment(running(), [HEAD, starting]), DONE)
    assert "worker 0 of 1 ready" in lines
