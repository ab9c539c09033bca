"""The log of a submitted job: each line once, through outages, new heads and refusals."""

from typing import Any

import pytest

from cifar_dist.errors import ConfigError, RunError
from cifar_dist.submission.door import ForbiddenError, NotFoundError, UnreachableError
from cifar_dist.submission.jobs_api import JobsApi
from cifar_dist.submission.logs import followed, last_lines, read_again, spoken
from tests.ray_dashboards import TOKEN, served
from tests.submitted_jobs import NAME, Moment, Played, job, no_sleep, pod, running

HEAD = pod("head", ready=True)
STOPPED = Moment(job("Complete", "STOPPED"))


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
    assert [each for each in told if "head" in each] == ["the log goes on in a new head"]
    assert "--since-time=2026-11-22T01:00:20Z --tail=10" in " ".join(door.asked)  # it was ready


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
        ('{"message": "epoch 1"}', "epoch 1"),
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


def test_a_followed_log_survives_what_a_watch_survives() -> None:
    odd = [Moment(RunError("etcdserver: leader changed")), Moment(ForbiddenError("RBAC"))]
    late = Moment(job("Complete", "SUCCEEDED"), [HEAD], log="2026-11-22T01:00:02Z b")
    told: list[str] = []
    door = Played(Moment(running(), [HEAD], log="2026-11-22T01:00:01Z a"), *odd, late)
    assert list(followed(door, NAME, 10, told.append, no_sleep)) == ["a", "b"]
    assert ["does not answer" in told[0], told[1]] == [True, "the cluster answers again"]


def test_a_log_of_a_cluster_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 100_000, 1_000))
    monkeypatch.setattr("cifar_dist.submission.patience.time.monotonic", lambda: next(now))
    door = Played(Moment(running(), [HEAD]), Moment(UnreachableError("away")))
    with pytest.raises(UnreachableError, match="for an hour"):
        list(followed(door, NAME, 10, lambda _: None, no_sleep))


def test_a_log_that_may_not_be_read_is_told_of_once_and_the_job_watched_to_its_end() -> None:
    told: list[str] = []
    moments = [Moment(running(), [HEAD])] * 3
    door = Played(*moments, STOPPED, refused={"logs": ForbiddenError("pods/log is forbidden")})
    assert list(followed(door, NAME, 10, told.append, no_sleep)) == []
    assert len(told) == 1 and "pods/log is forbidden" in told[0]


class Jobs(JobsApi):
    """The jobs API of a cluster that ends its job after some looks, or fails at one."""

    def __init__(self, address: str, *looks: Any) -> None:
        super().__init__(address, TOKEN)
        self.looks = list(looks)

    def status(self, name: str) -> Any:
        """Look at it."""
        look = self.looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return super().status(name).model_copy(update={"exit_code": look})


def test_the_log_of_an_existing_ray_is_read_through_outages_to_its_end() -> None:
    told: list[str] = []
    with served() as dashboard:
        jobs = Jobs(dashboard.address, UnreachableError("away"), None, RunError("HTTP 500"), 0)
        jobs.submit("cifar-dist tune quickstart", {}, NAME)
        lines = list(read_again(jobs, NAME, 2, told.append, no_sleep))
    assert lines == ["two", "?[2J"]
    assert told.count("the cluster answers again") == 2


def test_a_log_that_is_too_long_to_read_ends_nothing() -> None:
    told: list[str] = []
    with served() as dashboard:
        dashboard.log_answer = (200, b" " * (16 * 2**20 + 1))
        jobs = Jobs(dashboard.address, None, None, 0)
        jobs.submit("cifar-dist tune quickstart", {}, NAME)
        assert list(read_again(jobs, NAME, 2, told.append, no_sleep)) == []
    assert len(told) == 1 and "more than 16 MiB" in told[0]
