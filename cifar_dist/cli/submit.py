"""`submit tune` and `submit train`: the same work, on a Kubernetes cluster or an existing Ray."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cifar_dist.cli import options, submitted, train, tune
from cifar_dist.cli.commands import add
from cifar_dist.cli.output import emit, say
from cifar_dist.cli.submission import flags_to, manifest_text, standing, summary, tell_checks
from cifar_dist.cli.submitted import NAMESPACE, RELEASE, Follow, Namespace, On, Release
from cifar_dist.errors import ConfigError, InterruptedRunError

if TYPE_CHECKING:
    from cifar_dist.documents.submission import SubmissionDocument
    from cifar_dist.submission.asked import Asked
    from cifar_dist.submission.jobs_api import JobsApi
    from cifar_dist.submission.kubectl import Kubectl
    from cifar_dist.submission.snapshot import Snapshot

_LOG_LINES = 1000  # that a followed log begins with

ValuesFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--values", metavar="FILE", help="Values laid over the platform's for this run, repeatable."
    ),
]
Store = Annotated[
    str | None,
    typer.Option("--store", metavar="URI", help="s3://bucket/prefix; the platform's if left out."),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SOURCE",
        help="What `data push` printed; the platform's data.uri if left out.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Dashboard of a Ray cluster that is there, http://host:8265, in place of Kubernetes.",
    ),
]
Again = Annotated[
    bool, typer.Option("--fresh", help="Run again as NAME-2, NAME-3 … beside what is there.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the RayJob as YAML; without --on no cluster asked.")
]

_TUNE = (
    "submit tune quickstart --data s3://my-bucket/datasets/0123 --follow",
    "submit tune my_space.yaml --trials 100 --concurrency 8 --on prod --namespace cifar-dist",
    "submit tune dropout --store s3://b/team --data s3://b/team/datasets/0123 --dry-run",
)
_OF_A_SWEEP = (
    "trials", "max_seconds", "max_hours", "max_cost", "final_epochs", "refit", "extend", "confirm",
    "seeds",
)  # fmt: skip
_TRAIN = (
    "submit train resnet18_cam --workers 4 --epochs 30 --follow",
    "submit train job.yaml --ray http://localhost:8265 --store s3://my-bucket/team",
)


def register(app: typer.Typer) -> None:
    """Add the commands, with those for what was submitted."""
    group = typer.Typer(
        help="Run on a Kubernetes cluster: submit, look, follow, stop.", no_args_is_help=True
    )
    add(group, "tune", _tune, *_TUNE)
    add(group, "train", _train, *_TRAIN)
    submitted.register(group)
    app.add_typer(group, name="submit")


def _tune(
    command: typer.Context,
    space: tune.SpaceName = "quickstart",
    trials: tune.TrialCount = None,
    max_seconds: tune.MaxSeconds = None,
    max_hours: tune.MaxHours = None,
    max_cost: tune.MaxCost = None,
    concurrency: tune.Concurrency = None,
    epochs: options.Epochs = None,
    data: Data = None,
    seed: options.Seed = None,
    workers: tune.Workers = None,
    final_epochs: tune.FinalEpochs = None,
    refit: tune.Refit = False,
    store: Store = None,
    name: options.Name = None,
    sets: options.Set = None,
    extend: tune.Extend = None,
    confirm: tune.Confirm = None,
    seeds: tune.Seeds = None,
    fresh: Again = False,
    on: On = None,
    namespace: Namespace = NAMESPACE,
    release: Release = RELEASE,
    values: ValuesFiles = None,
    ray: Ray = None,
    follow: Follow = False,
    dry_run: DryRun = False,
    allow_insecure: options.AllowInsecure = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Search a space on a cluster, with the flags of `tune`; it resumes by itself.

    The run is a RayJob rendered from the chart with the platform's values, checked by the
    operator's rules and a preflight. The same command again finds the same RayJob.
    """
    _submit(_sweep_asked(command), command)


def _train(
    command: typer.Context,
    job: train.JobFile = None,
    model: options.Model = None,
    epochs: options.Epochs = None,
    batch_size: train.BatchSize = None,
    lr: train.Lr = None,
    data: Data = None,
    seed: options.Seed = None,
    workers: options.Workers = None,
    store: Store = None,
    name: options.Name = None,
    sets: options.Set = None,
    fresh: Again = False,
    on: On = None,
    namespace: Namespace = NAMESPACE,
    release: Release = RELEASE,
    values: ValuesFiles = None,
    ray: Ray = None,
    follow: Follow = False,
    dry_run: DryRun = False,
    allow_insecure: options.AllowInsecure = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Train one classifier on a cluster, with the flags of `train`; it resumes by itself.

    Each of the workers has a pod, unless a pod holds more. The same command again finds the same
    RayJob, and a finished run in the store prints its result.
    """
    from cifar_dist.submission.asked import train_asked

    if job is not None:
        _check_file(job)
    found = options.job_from(job, command)
    _submit(train_asked(job, found, options.overrides(command)), command)


def _sweep_asked(command: typer.Context) -> "Asked":
    from cifar_dist.api.confirm import check_confirmation
    from cifar_dist.submission.asked import tune_asked

    given, overrides = command.params, options.overrides(command)
    check_confirmation(given["confirm"], given["seeds"])
    _check_file(given["space"])
    found = tune.asked_space(given["space"], overrides, given["trials"], tune.limits(given))
    return tune_asked(given["space"], found, overrides, _flags(command, _OF_A_SWEEP))


def _check_file(name: str) -> None:
    if name == "-":
        raise ConfigError("-: what is submitted must be read twice; give a name or a file")


def _flags(command: typer.Context, names: tuple[str, ...]) -> tuple[str, ...]:
    """Repeat the flags that are no field of a job."""
    words: list[str] = []
    for name in names:
        value = command.params[name]
        if value is not None and value is not False:
            flag = f"--{name.replace('_', '-')}"
            words += [flag] if value is True else [flag, str(value)]
    return tuple(words)


def _submit(asked: "Asked", command: typer.Context) -> None:
    from cifar_dist.submission.asked import typed
    from cifar_dist.submission.launch import Place, submit

    given = command.params
    follows, dry_run, json = given["follow"], given["dry_run"], given["json"]
    if follows and dry_run:
        raise ConfigError("--dry-run creates nothing that --follow could follow; give one of them")
    if given["ray"]:
        if given["on"] or dry_run or given["values"] or given["fresh"]:
            raise ConfigError(
                "--ray names a cluster that is there; --on, --values, --dry-run and --fresh are "
                "for Kubernetes"
            )
        _submit_to_ray(asked, given["ray"], follows, json)
        return
    asks = not dry_run or given["on"] is not None
    door = submitted.kubectl(given["on"], given["namespace"]) if asks else None
    line = typed(["cifar-dist", *sys.argv[1:]])
    files = tuple(given["values"] or ())
    place = Place(given["namespace"], given["release"], files, door, line)
    document = submit(asked, place, say, fresh=given["fresh"], dry_run=dry_run)
    tell_checks(document)
    if door is not None and follows and document.state in ("created", "found"):
        document = _followed(document, door)
    emit(document, manifest_text if dry_run else summary, json)
    if document.exit_code:
        raise typer.Exit(document.exit_code)


def _followed(document: "SubmissionDocument", door: "Kubectl") -> "SubmissionDocument":
    """Tell what becomes of a run, with its log beside it, until it ends."""
    from cifar_dist.submission.logs import HeadLog, spoken
    from cifar_dist.submission.watch import follow

    name = document.name
    say(standing(document))
    log = HeadLog(door, _LOG_LINES, say)

    def repeat(seen: "Snapshot") -> None:
        for each in log.new(seen):
            say(spoken(each))

    try:
        ended = follow(door, name, say, repeat)
    except KeyboardInterrupt:
        raise _left(name, flags_to(document)) from None
    return document.model_copy(
        update={
            "state": "ended",
            "outcome": ended.state,
            "reason": ended.reason,
            "exit_code": ended.exit_code,
        }
    )


def _left(name: str, where: str) -> InterruptedRunError:
    place = f"{name}{where}"
    return InterruptedRunError(
        f"{name} goes on without being watched; look with `cifar-dist submit status {place}`, "
        f"end it with `cifar-dist submit stop {place}`"
    )


def _submit_to_ray(asked: "Asked", address: str, follows: bool, json: bool) -> None:
    from cifar_dist.documents.submission import SubmissionDocument
    from cifar_dist.submission.asked import command

    where = asked.located("", "")
    run = command(asked, where).encoded()
    jobs = submitted.api(address)
    found = jobs.submit(run.line, run.environment, run.name)
    document = SubmissionDocument(
        name=run.name,
        namespace=None,
        context=None,
        kind=asked.kind,
        command=run.line,
        store=where["store"],
        data=where["recipe.data"],
        manifest=None,
        manifest_sha256=None,
        checks=[],
        state="found" if found else "submitted",
        outcome=found.state if found else None,
        reason=found.reason if found else None,
        exit_code=0,
    )
    flags = f" --ray {address}"
    if follows:
        document = _followed_on_ray(document, jobs, flags)
    emit(document, lambda told: summary(told, flags), json)
    if document.exit_code:
        raise typer.Exit(document.exit_code)


def _followed_on_ray(
    document: "SubmissionDocument", jobs: "JobsApi", flags: str
) -> "SubmissionDocument":
    from cifar_dist.submission.logs import read_again

    try:
        for each in read_again(jobs, document.name, _LOG_LINES, say):
            say(each)
        ended = jobs.status(document.name)
    except KeyboardInterrupt:
        raise _left(document.name, flags) from None
    update = {"state": "ended", "outcome": ended.state, "reason": ended.reason}
    return document.model_copy(update={**update, "exit_code": ended.exit_code or 0})
