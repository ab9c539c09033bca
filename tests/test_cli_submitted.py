"""`submit ls`, `status`, `logs`, `stop`, `platform dashboard` and `fetch`, as they are typed."""

from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from cifar_dist.errors import CifarDistError
from cifar_dist.submission.door import ForbiddenError, NotFoundError, UnreachableError
from cifar_dist.submission.platform import Installed
from cifar_dist.submission.values import complete
from tests.commands import Program, document
from tests.submitted_jobs import NAME, Moment, Played, event, failed, job, pod, running

HEAD = pod("head", ready=True)
PLATFORM = complete({"store": {"uri": "s3://bucket/team"}})


def played(monkeypatch: pytest.MonkeyPatch, *moments: Moment, **more: Any) -> Played:
    """Let the program find this cluster, and wait no time."""
    door = Played(*moments, **more)
    for module in ("submitted", "platform"):
        monkeypatch.setattr(f"cifar_dist.cli.{module}.kubectl", lambda *_: door)
    for seconds in ("_USUAL_SECONDS", "_BESIDE_SECONDS"):
        monkeypatch.setattr(f"cifar_dist.submission.stop.{seconds}", 0)
    return door


def test_a_list_tells_each_job_and_why_it_ended(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, Moment(running()), Moment(failed("DeadlineExceeded", "passed")))
    table = program("submit", "ls").out
    assert "running" in table and "DeadlineExceeded: it ran longer" in table
    found = document("submissions", program("submit", "ls", "--on", "prod", "--json").out)
    assert (found["cluster"], found["namespace"]) == ("prod", "cifar-dist")
    assert [row["exit_code"] for row in found["submissions"]] == [3, None]


def test_an_empty_list_says_so(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, Moment(NotFoundError("none")))
    assert program("submit", "ls") == (0, "nothing is submitted here\n", "")


def test_a_status_tells_what_the_job_waits_for(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = pod("head")
    said = event("FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.", head)
    played(monkeypatch, Moment(job("Initializing"), [head], events=[said]))
    assert "waits: head: no node has enough cpu free" in program("submit", "status", NAME).out
    found = document("submissions", program("submit", "status", NAME, "--json").out)
    assert len(found["submissions"][0]["causes"]) == 1


def test_logs_are_lines_or_a_document(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, Moment(running(), [HEAD], log="one\ntwo\n"))
    assert program("submit", "logs", NAME).out == "one\ntwo\n"
    found = document("submission-log", program("submit", "logs", NAME, "--json").out)
    assert found["lines"] == ["one", "two"]


def test_followed_logs_end_with_the_job(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, Moment(job("Complete", "SUCCEEDED"), [HEAD], log="2026-11-22T01:00:00Z a"))
    assert program("submit", "logs", NAME, "--follow") == (0, "a\n", "")


def test_stopping_twice_is_no_error(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    door = played(monkeypatch, Moment(running(), [HEAD]))
    ended = program("submit", "stop", NAME)
    assert (ended.code, "ending" in ended.out) == (0, True)
    assert door.asked[-1].startswith("delete")
    played(monkeypatch, Moment(NotFoundError("not found")))
    assert program("submit", "stop", NAME) == (
        0,
        f"there is no job {NAME}, so nothing to stop\n",
        "",
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [(NotFoundError("x"), 2), (UnreachableError("away"), 3), (ForbiddenError("no"), 4)],
)
def test_each_refusal_of_a_cluster_has_its_exit_code(
    error: CifarDistError, code: int, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, Moment(error))
    ended = program("submit", "status", NAME)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (code, "", 1)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be a platform."""
    monkeypatch.setattr("cifar_dist.cli.platform._installed", lambda *_: (PLATFORM, "cifar-dist"))


def row(name: str, minute: int, state: str = "finished") -> Any:
    modified = datetime(2026, 11, 22, 1, minute, tzinfo=UTC)
    return SimpleNamespace(id=name, state=state, modified=modified)


OTHERS = [
    row("quickstart-00000001", 10, "unfinished"),
    row("quickstart-2-00000002", 10),
    row("quickstart-wide-00000003", 10),
]


def fetched(program: Program, monkeypatch: pytest.MonkeyPatch, *rows: Any) -> tuple[Any, list[str]]:
    """Fetch what a job of five to fifteen past one made, from a store with these runs."""
    notes = {"cifar-dist.io/title": "quickstart", "cifar-dist.io/store": "s3://other/x"}
    status = {"endTime": "2026-11-22T01:15:00Z"}
    made = "2026-11-22T01:05:00Z"
    done = job("Complete", "SUCCEEDED", status=status, annotations=notes, creationTimestamp=made)
    played(monkeypatch, Moment(done))
    found: list[str] = []
    monkeypatch.setattr("cifar_dist.cli.options.opened", lambda uri: SimpleNamespace(uri=uri))
    monkeypatch.setattr("cifar_dist.runs.list_runs", lambda *_: [*OTHERS, *rows])
    monkeypatch.setattr("cifar_dist.runs.fetch", lambda _, run, *__, **___: found.append(run) or [])
    monkeypatch.setenv("AWS_REGION", "before")
    return program("platform", "fetch"), found


@pytest.mark.usefixtures("installed")
def test_what_a_job_made_is_fetched_from_the_store_that_it_names(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = (row("quickstart-0000000a", 1), row("quickstart-0000000b", 14))
    ended, found = fetched(program, monkeypatch, *times, row("quickstart-0000000c", 30))
    assert (ended.code, found) == (0, ["quickstart-0000000b"])
    assert f"{NAME} is quickstart-0000000b in s3://other/x" in ended.err


@pytest.mark.parametrize(("minutes", "what"), [((30,), "nothing"), ((8, 12), "several")])
@pytest.mark.usefixtures("installed")
def test_a_run_that_may_be_another_jobs_is_not_fetched(
    program: Program, monkeypatch: pytest.MonkeyPatch, minutes: tuple[int, ...], what: str
) -> None:
    rows = [row(f"quickstart-000000{minute:02}", minute) for minute in minutes]
    ended, found = fetched(program, monkeypatch, *rows)
    assert (ended.code, found) == (2, [])
    assert f"s3://other/x has {what} finished of {NAME}" in ended.err


@pytest.mark.usefixtures("installed")
def test_a_job_that_does_not_name_its_store_is_not_guessed_at(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, Moment(job("Complete", "SUCCEEDED")))
    ended = program("platform", "fetch")
    assert (ended.code, "does not name its store" in ended.err) == (2, True)


@pytest.mark.usefixtures("installed")
def test_nothing_succeeded_is_nothing_to_fetch(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, Moment(failed("AppFailed")))
    ended = program("platform", "fetch")
    assert (ended.code, "has succeeded yet" in ended.err) == (2, True)


@pytest.mark.usefixtures("installed")
def test_a_dashboard_needs_a_cluster(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, Moment(job("Initializing", status={"rayClusterName": ""})))
    ended = program("platform", "dashboard", NAME)
    assert (ended.code, "has no cluster now" in ended.err) == (2, True)


@pytest.mark.usefixtures("installed")
def test_a_dashboard_is_open_until_ctrl_c_and_shows_no_token_in_a_pipe(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, Moment(running(), [HEAD]))

    def wait() -> None:
        raise KeyboardInterrupt

    way = SimpleNamespace(port=4321, wait=wait)
    monkeypatch.setattr("cifar_dist.submission.access.dashboard", lambda *_: nullcontext(way))
    ended = program("platform", "dashboard", "--json")
    found = document("platform", ended.out)
    assert (ended.code, found["dashboard"]) == (0, "http://127.0.0.1:4321")
    assert f"key auth_token of Secret {found['cluster']}" in ended.err


def test_a_deployment_names_what_comes_next(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = Installed(PLATFORM, "cifar-dist")
    monkeypatch.setattr("cifar_dist.submission.platform.deploy", lambda *_: installed)
    ended = program("platform", "deploy", "--on", "prod")
    assert "submit tune quickstart" in ended.out and "--on prod" in ended.out
    found = document("platform", program("platform", "deploy", "--json").out)
    assert (found["store"], found["cluster"]) == ("s3://bucket/team", None)
