"""The jobs API of a Ray cluster: tokens, open clusters, odd answers, names."""

from collections.abc import Iterator

import pytest

from cifar_dist import consent
from cifar_dist.errors import CifarDistError, ConfigError, RefusedError, RunError
from cifar_dist.submission.door import ForbiddenError, NotFoundError, UnreachableError
from cifar_dist.submission.jobs_api import JobsApi
from tests.ray_dashboards import TOKEN, Dashboard, served

NAME = "quickstart-1a2b3c4d"
ENTRY = "cifar-dist tune quickstart --resume"


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    """Serve one on a free port."""
    with served() as found:
        yield found


def test_a_job_is_submitted_once_and_found_again(dashboard: Dashboard) -> None:
    env = {"CIFAR_DIST_SPACE": "trials: 2"}
    jobs = JobsApi(dashboard.address, TOKEN)
    assert jobs.submit(ENTRY, env, NAME) is None
    again = jobs.submit(ENTRY, env, NAME)
    assert again is not None and again.state == "running"
    assert dashboard.jobs[NAME]["entrypoint"] == ENTRY
    assert dashboard.jobs[NAME]["runtime_env"] == {"env_vars": env}
    found = jobs.status(NAME)
    assert (found.name, found.kind, found.state) == (NAME, "tune", "running")
    assert (found.age_seconds or 0) > 1e7


@pytest.mark.parametrize(
    ("status", "state"), [("FAILED", None), ("STOPPED", None), ("SUCCEEDED", "succeeded")]
)
def test_a_job_that_ended_badly_makes_room_and_one_that_ended_well_is_found(
    status: str, state: str | None, dashboard: Dashboard
) -> None:
    jobs = JobsApi(dashboard.address, TOKEN)
    jobs.submit(ENTRY, {}, NAME)
    dashboard.jobs[NAME]["status"] = status
    found = jobs.submit(ENTRY, {}, NAME)
    assert (found.state if found else None) == state
    assert jobs.status(NAME).state == (state or "running")


@pytest.mark.parametrize(
    ("token", "answer", "kind"),
    [
        (None, None, ForbiddenError),
        ("wrong-token", None, ForbiddenError),
        (TOKEN, (500, b"no agent"), RunError),
    ],
)
def test_a_refused_submission_is_never_taken_for_one_that_is_there(
    token: str | None,
    answer: tuple[int, bytes] | None,
    kind: type[CifarDistError],
    dashboard: Dashboard,
) -> None:
    dashboard.answer = answer
    with pytest.raises(kind):
        JobsApi(dashboard.address, token).submit(ENTRY, {}, NAME)
    assert dashboard.jobs == {}


def test_the_token_is_asked_for_before_it_is_sent(dashboard: Dashboard) -> None:
    JobsApi(dashboard.address, TOKEN).submit(ENTRY, {}, NAME)
    assert dashboard.requests[0] == ("GET", "/api/version", None)
    assert {token for _, _, token in dashboard.requests[1:]} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("status", "message", "state", "code"),
    [
        ("PENDING", "", "starting", None),
        ("RUNNING", "", "running", None),
        ("SUCCEEDED", "", "succeeded", 0),
        ("STOPPED", "", "stopped", 130),
        ("FAILED", "failed with exit code 5", "failed", 5),
        ("FAILED", "failed with exit code 75", "preempted", 75),
        ("FAILED", "", "failed", 3),
        ("NEW", "", "waiting", None),
    ],
)
def test_each_status_of_ray_is_understood(
    status: str, message: str, state: str, code: int | None, dashboard: Dashboard
) -> None:
    job = {"submission_id": NAME, "status": status, "message": message, "metadata": {}}
    dashboard.jobs[NAME] = job
    found = JobsApi(dashboard.address, TOKEN).status(NAME)
    assert (found.state, found.exit_code) == (state, code)


def test_the_drivers_own_exit_code_wins_over_words(dashboard: Dashboard) -> None:
    job = {"submission_id": NAME, "status": "FAILED", "message": "x", "driver_exit_code": 4}
    dashboard.jobs[NAME] = job
    assert JobsApi(dashboard.address, TOKEN).status(NAME).exit_code == 4


def test_only_jobs_of_this_program_are_listed_newest_first(dashboard: Dashboard) -> None:
    jobs = JobsApi(dashboard.address, TOKEN)
    for number, name in enumerate(("first", "second")):
        jobs.submit(ENTRY, {}, name)
        dashboard.jobs[name]["start_time"] += number
    dashboard.jobs["other"] = {"submission_id": "other", "status": "RUNNING", "metadata": None}
    assert [each.name for each in jobs.rows()] == ["second", "first"]


def test_a_job_is_stopped_and_its_log_read(dashboard: Dashboard) -> None:
    jobs = JobsApi(dashboard.address, TOKEN)
    jobs.submit(ENTRY, {}, NAME)
    assert jobs.log(NAME) == ["one", "two", "?[2J"]
    assert jobs.stop(NAME)
    assert jobs.status(NAME).state == "stopped"


def test_an_open_cluster_is_refused_unless_allowed_and_never_gets_the_token(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    dashboard.is_open = True
    with pytest.raises(RefusedError, match=r"asks nobody for a token.*--allow-insecure"):
        JobsApi(dashboard.address, TOKEN).submit(ENTRY, {}, NAME)
    assert dashboard.jobs == {}
    monkeypatch.setenv(consent.VARIABLE, "1")
    assert JobsApi(dashboard.address, TOKEN).submit(ENTRY, {}, NAME) is None
    assert {token for _, _, token in dashboard.requests} == {None}


@pytest.mark.parametrize(
    ("token", "sentence"), [(None, "export RAY_AUTH_TOKEN"), ("wrong-token", "refuses this")]
)
def test_a_missing_or_wrong_token_is_one_sentence(
    token: str | None, sentence: str, dashboard: Dashboard
) -> None:
    with pytest.raises(ForbiddenError, match=sentence) as raised:
        JobsApi(dashboard.address, token).rows()
    assert "wrong-token" not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        ((302, b""), RunError, "no redirect is followed"),
        ((307, b""), RunError, "no redirect is followed"),
        (
            (500, b"Traceback\n  x\nValueError: no agent"),
            RunError,
            "HTTP 500: ValueError: no agent",
        ),
        ((400, b"TypeError: entrypoint"), ConfigError, "refuses the job: TypeError"),
        ((200, b"<html>"), RunError, "does not answer as Ray's jobs API"),
        ((200, b"[" * 100_000), RunError, "does not answer as Ray's jobs API"),
        ((200, b" " * (16 * 2**20 + 1)), RunError, "more than 16 MiB"),
        ((404, b""), NotFoundError, "has no job"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_odd_answer_is_one_sentence(
    answer: tuple[int, bytes], kind: type[CifarDistError], sentence: str, dashboard: Dashboard
) -> None:
    dashboard.answer = answer
    with pytest.raises(kind, match=sentence) as raised:
        JobsApi(dashboard.address, TOKEN).status(NAME)
    assert len(str(raised.value).splitlines()) == 1


def test_an_address_where_nobody_listens_is_one_sentence() -> None:
    with Dashboard() as gone:
        address = gone.address
    with pytest.raises(UnreachableError, match="does not answer"):
        JobsApi(address, TOKEN).rows()


@pytest.mark.parametrize(
    "address",
    ["localhost:8265", "ray://head:10001", "http://user:password1@head:8265", "ftp://head", "",
     "http://169.254.169.254", "http://head:99999", "http://head:8265/\r\nX: y"],
)  # fmt: skip
def test_what_is_no_dashboards_address_is_refused_without_repeating_a_password(
    address: str,
) -> None:
    with pytest.raises(ConfigError, match="--ray") as raised:
        JobsApi(address, TOKEN).rows()
    assert "password1" not in str(raised.value)


def test_http_to_the_outside_needs_consent() -> None:
    with pytest.raises(RefusedError, match="can be read on its way"):
        JobsApi("http://ray.example.org:8265", TOKEN).rows()


def test_a_secret_never_travels_in_what_the_api_shows(dashboard: Dashboard) -> None:
    with pytest.raises(RefusedError, match="AWS_SECRET_ACCESS_KEY would be shown"):
        JobsApi(dashboard.address, TOKEN).submit(ENTRY, {"AWS_SECRET_ACCESS_KEY": "x"}, NAME)
    assert dashboard.requests == []


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "-a", "a" * 64])
def test_a_name_that_is_none_is_never_asked_for(name: str, dashboard: Dashboard) -> None:
    with pytest.raises(ConfigError, match="no job's name"):
        JobsApi(dashboard.address, TOKEN).status(name)
    assert dashboard.requests == []


@pytest.mark.parametrize("token", ["two\nlines", "line\r\nX-Evil: 1"])
def test_a_token_with_a_line_break_is_refused_and_not_shown(
    token: str, dashboard: Dashboard
) -> None:
    with pytest.raises(ConfigError, match="no token has") as raised:
        JobsApi(dashboard.address, token).rows()
    assert "lines" not in str(raised.value)
