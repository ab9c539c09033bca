"""`submit status`, `logs`, `stop` and `ls`: what was submitted, on Kubernetes or to a Ray."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from cifar_dist.cli import options
from cifar_dist.cli.commands import add
from cifar_dist.cli.output import emit, say
from cifar_dist.errors import ConfigError

if TYPE_CHECKING:
    from cifar_dist.documents.submitted import (
        SubmissionLogDocument,
        SubmissionRow,
        SubmissionsDocument,
    )
    from cifar_dist.submission.jobs_api import JobsApi
    from cifar_dist.submission.kubectl import Kubectl

NAMESPACE = RELEASE = "cifar-dist"
_STOP_SECONDS = 60.0  # a busy head takes its time to start Ray's command line

JobName = Annotated[str, typer.Argument(metavar="NAME", help="A job of `submit ls`.")]
On = Annotated[
    str | None,
    typer.Option("--on", metavar="CONTEXT", help="Context of kubectl; its current one by default."),
]
Namespace = Annotated[
    str,
    typer.Option(
        "--namespace",
        metavar="NAME",
        help="Namespace of the platform.",
        envvar="CIFAR_DIST_NAMESPACE",
    ),
]
Release = Annotated[
    str,
    typer.Option("--release", metavar="NAME", help="Release of the chart that is the platform."),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Dashboard of an existing Ray cluster in place of Kubernetes, http://host:8265.",
    ),
]
Follow = Annotated[bool, typer.Option("--follow", help="Go on until the job ends.")]
Tail = Annotated[
    int, typer.Option("--tail", metavar="N", min=1, max=100_000, help="Lines to begin with.")
]


def register(group: typer.Typer) -> None:
    """Add the commands to the group of `submit`."""
    name = "quickstart-1a2b3c4d"
    ray = "--ray http://localhost:8265"
    add(group, "ls", _ls, "submit ls", f"submit ls {ray} --json")
    add(group, "status", _status, f"submit status {name}", f"submit status {name} --on prod")
    add(group, "logs", _logs, f"submit logs {name} --follow", f"submit logs {name} --tail 20")
    add(group, "stop", _stop, f"submit stop {name}", f"submit stop {name} {ray}")


def _ls(
    on: On = None,
    namespace: Namespace = NAMESPACE,
    ray: Ray = None,
    allow_insecure: options.AllowInsecure = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """List what was submitted, newest first, with state, age, workers ready and how it ended."""
    from cifar_dist.submission.status import rows

    found = api(ray).rows() if ray else rows(kubectl(on, namespace))
    _emit(found, (on, namespace, ray), json)


def _status(
    name: JobName,
    on: On = None,
    namespace: Namespace = NAMESPACE,
    ray: Ray = None,
    allow_insecure: options.AllowInsecure = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Tell how one job stands, and why it waits: image, quota, nodes, taints, admission, network.

    The exit code is 0 whatever the job's is; --json tells that one, too.
    """
    from cifar_dist.submission.status import status

    found = api(ray).status(name) if ray else status(kubectl(on, namespace), name)
    _emit([found], (on, namespace, ray), json)


def _logs(
    name: JobName,
    follow: Follow = False,
    tail: Tail = 200,
    on: On = None,
    namespace: Namespace = NAMESPACE,
    ray: Ray = None,
    allow_insecure: options.AllowInsecure = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Print what the driver writes, as long as its head pod is there.

    With --follow a lost head's log is followed by that of the next one. Reports and the ledger are
    in the store, whatever becomes of the cluster.
    """
    from cifar_dist.submission.logs import followed, last_lines, read_again

    if follow and json:
        raise ConfigError("--json: one document needs an end; leave it out beside --follow")
    if follow:
        lines = (
            read_again(api(ray), name, tail, say)
            if ray
            else followed(kubectl(on, namespace), name, tail, say)
        )
        for each in lines:
            print(each, flush=True)
        return
    from cifar_dist.documents.submitted import SubmissionLogDocument

    said = api(ray).log(name)[-tail:] if ray else last_lines(kubectl(on, namespace), name, tail)
    emit(SubmissionLogDocument(name=name, lines=said), _log_text, json)


def _stop(
    name: JobName,
    on: On = None,
    namespace: Namespace = NAMESPACE,
    ray: Ray = None,
    allow_insecure: options.AllowInsecure = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Let a job's driver commit and end, then take its cluster away; submitted again, it goes on.

    A job that is not there is no error.
    """
    from cifar_dist.submission.door import NotFoundError

    try:
        if ray:
            found = [_stopped_by_api(api(ray), name)]
        else:
            found = [_stopped(kubectl(on, namespace, _STOP_SECONDS), name)]
    except NotFoundError:
        found = []
    _emit(found, (on, namespace, ray), json, f"there is no job {name}, so nothing to stop")


def _stopped(door: "Kubectl", name: str) -> "SubmissionRow":
    from functools import partial

    from cifar_dist.submission.access import stop_driver
    from cifar_dist.submission.status import status
    from cifar_dist.submission.stop import stop

    found = status(door, name)
    stop(door, name, say, partial(stop_driver, door))
    return found if found.exit_code is not None else found.model_copy(update={"state": "ending"})


def _stopped_by_api(jobs: "JobsApi", name: str) -> "SubmissionRow":
    say("asked to stop; it commits first" if jobs.stop(name) else f"{name} runs no more")
    return jobs.status(name)


def kubectl(context: str | None, namespace: str, seconds: float = 20.0) -> "Kubectl":
    """Give the door to a namespace of a Kubernetes cluster, where a request may take so long."""
    from cifar_dist.submission.kubectl import Kubectl

    return Kubectl(namespace, context, seconds)


def api(address: str) -> "JobsApi":
    """Give the jobs API of a Ray cluster, with the token of the environment."""
    from cifar_dist.submission.jobs_api import JobsApi

    return JobsApi(address, os.environ.get("RAY_AUTH_TOKEN"))


def _emit(
    found: "list[SubmissionRow]",
    place: "tuple[str | None, str, str | None]",
    json: bool,
    none: str = "nothing is submitted here",
) -> None:
    from cifar_dist.documents.submitted import SubmissionsDocument

    context, namespace, ray = place
    document = SubmissionsDocument(
        cluster=ray or context, namespace=None if ray else namespace, submissions=found
    )
    emit(document, lambda told: _table(told) if found else none, json)


def _table(document: "SubmissionsDocument") -> str:
    from cifar_dist.report.columns import aligned
    from cifar_dist.report.formats import DASH, duration

    header = ["name", "kind", "state", "age", "workers", "reason"]
    body = [
        [
            row.name,
            row.kind or DASH,
            row.state,
            DASH if row.age_seconds is None else duration(row.age_seconds),
            f"{row.workers_ready}/{row.workers_wanted}",
            row.reason or DASH,
        ]
        for row in document.submissions
    ]
    causes = [f"waits: {cause}" for row in document.submissions for cause in row.causes]
    return "\n".join([aligned(header, body, left=(0, 1, 2, 5)), *causes])


def _log_text(document: "SubmissionLogDocument") -> str:
    return "\n".join(document.lines)
