"""`platform deploy`, `dashboard` and `fetch`: the platform on Kubernetes, and ways into it."""

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cifar_dist.cli import options
from cifar_dist.cli.commands import add
from cifar_dist.cli.output import emit, say
from cifar_dist.cli.submitted import NAMESPACE, RELEASE, Namespace, On, Release, kubectl
from cifar_dist.errors import ConfigError
from cifar_dist.submission.door import ForbiddenError, NotFoundError

if TYPE_CHECKING:
    from cifar_dist.documents import PlatformDocument
    from cifar_dist.store import Store as OpenStore
    from cifar_dist.submission.kubectl import Kubectl
    from cifar_dist.submission.observed import Object
    from cifar_dist.submission.values import Values


ValuesFiles = Annotated[
    list[Path] | None,
    typer.Option("--values", metavar="FILE", help="Values of the chart, repeatable."),
]
MaybeName = Annotated[
    str | None, typer.Argument(metavar="NAME", help="A job of `submit ls`; the newest by default.")
]
Port = Annotated[
    int | None,
    typer.Option("--port", metavar="PORT", min=1, max=65_535, help="Local port; any by default."),
]
Folder = Annotated[
    Path | None,
    typer.Option("--output", metavar="FOLDER", help="Folder to fetch into; the run's id."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="The platform on a Kubernetes cluster: install, look, fetch.", no_args_is_help=True
    )
    name = "quickstart-1a2b3c4d"
    add(group, "deploy", _deploy, "platform deploy --values my-values.yaml --on prod")
    add(group, "dashboard", _dashboard, "platform dashboard", f"platform dashboard {name}")
    add(group, "fetch", _fetch, "platform fetch", f"platform fetch {name} --output winner")
    app.add_typer(group, name="platform")


def _deploy(
    on: On = None,
    namespace: Namespace = NAMESPACE,
    release: Release = RELEASE,
    values: ValuesFiles = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Install or upgrade the platform, wait until it is ready, test its token and its store.

    Namespace and Secrets are made if they are missing. Without --values it keeps those it has; a
    new one is small, for development, with a store of its own. It needs helm, kubectl and KubeRay.
    """
    from cifar_dist.documents import PlatformDocument
    from cifar_dist.submission import platform

    place = platform.Release(kubectl(on, namespace), release, tuple(values or ()))
    installed, full = platform.deploy(place, say)
    document = PlatformDocument(
        release=release,
        namespace=namespace,
        context=on,
        store=installed.store.uri or None,
        cluster=full if installed.mode == "cluster" else None,
        dashboard=None,
    )
    emit(document, _next, json)


def _next(document: "PlatformDocument") -> str:
    context = f" --on {document.context}" if document.context else ""
    place = f"{context} --namespace {document.namespace} --release {document.release}"
    return f"next: cifar-dist submit tune quickstart --data s3://… --follow{place}"


def _dashboard(
    name: MaybeName = None,
    port: Port = None,
    on: On = None,
    namespace: Namespace = NAMESPACE,
    release: Release = RELEASE,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Bring a Ray dashboard to this machine until Ctrl-C: of a job, or of the platform's cluster.

    The token that it asks for is shown on a terminal alone; else how to read it.
    """
    from cifar_dist.documents import PlatformDocument
    from cifar_dist.submission import access

    door = kubectl(on, namespace)
    values, full = _installed(door, release)
    cluster = access.cluster_of(door, full, name)
    with access.dashboard(door, cluster, port) as way:
        document = PlatformDocument(
            release=release,
            namespace=namespace,
            context=on,
            store=values.store.uri or None,
            cluster=cluster,
            dashboard=f"http://127.0.0.1:{way.port}",
        )
        emit(document, lambda told: f"dashboard: {told.dashboard}", json)
        sys.stdout.flush()
        _tell_token(door, values.ray.auth.existing_secret or cluster)
        say("Ctrl-C ends it")
        with suppress(KeyboardInterrupt):
            way.wait()


def _tell_token(door: "Kubectl", holder: str) -> None:
    """Show the token on a terminal, where it may be read; else say where it is."""
    from cifar_dist.submission import access

    if sys.stderr.isatty():
        with suppress(ForbiddenError, NotFoundError):
            say(f"token:     {access.secret(door, holder, ('auth_token',))['auth_token']}")
            return
    say(f"token:     key auth_token of Secret {holder} in namespace {door.namespace}")


def _fetch(
    name: MaybeName = None,
    output: Folder = None,
    on: On = None,
    namespace: Namespace = NAMESPACE,
    release: Release = RELEASE,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Fetch the best checkpoint of a job, of the newest that succeeded; every byte is verified.

    A store inside the cluster is reached through a forwarded port, with the platform's own keys.
    """
    from cifar_dist.documents import ArtifactsDocument
    from cifar_dist.report.tables import artifacts_table
    from cifar_dist.runs import fetch
    from cifar_dist.submission import access
    from cifar_dist.submission.observed import text
    from cifar_dist.submission.rayjob import STORE
    from cifar_dist.submission.snapshot import look

    door = kubectl(on, namespace)
    values, full = _installed(door, release)
    chosen = name or access.newest(door, ("succeeded",))
    if chosen is None:
        raise ConfigError("no submitted job has succeeded yet; `submit ls` tells how they stand")
    job = look(door, chosen).job
    uri = text(job, "metadata", "annotations", STORE)
    if not uri.startswith("s3://"):
        raise ConfigError(f"{chosen} does not name its store; use `artifacts get` with --store")
    with access.store_environment(door, values, full, os.environ) as environment:
        os.environ.update(environment)
        opened = options.opened(uri)
        run = _finished(opened, job)
        say(f"{chosen} is {run} in {opened.uri}")
        folder = output or Path(run)
        rows = fetch(opened, run, folder, "best", force=False)
    document = ArtifactsDocument(store=str(folder.absolute()), artifacts=rows)
    emit(document, artifacts_table, json)


def _finished(store: "OpenStore", job: "Object") -> str:
    """Find what a job made: the one finished run of its title that was written while it was there.

    The run's id ends in digits of the store's own, which no job knows.
    """
    from cifar_dist.runs import list_runs
    from cifar_dist.submission.observed import KIND_LABEL, lifetime, name_of, text
    from cifar_dist.submission.rayjob import TITLE

    title = text(job, "metadata", "annotations", TITLE)
    wanted = re.compile(rf"{re.escape(title)}-[0-9a-f]{{8}}(-\d+)?")
    kind = "runs" if text(job, "metadata", "labels", KIND_LABEL) == "train" else "sweeps"
    begin, end = lifetime(job)
    found = [
        row.id
        for row in list_runs(store, kind, f"{title}-")
        if row.state == "finished" and wanted.fullmatch(row.id) and begin <= row.modified <= end
    ]
    if len(found) != 1:
        what = "several finished" if found else "nothing finished"
        raise ConfigError(
            f"{store.uri} has {what} of {name_of(job)}, written while it was there; choose with "
            f"`artifacts ls --store {store.uri}` and fetch it with `artifacts get`"
        )
    return found[0]


def _installed(door: "Kubectl", release: str) -> "tuple[Values, str]":
    """Read what a release was installed with, and the name that its objects begin with."""
    from cifar_dist.submission.chart import full_name
    from cifar_dist.submission.launch import Place, installed

    platform = installed(Place(door.namespace, release, (), door))
    layers = platform.layers[0] if platform.layers else {}
    return platform.values, full_name(release, layers)
