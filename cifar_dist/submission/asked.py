"""What was asked for: a space or a job, checked here, and the command that the head will run."""

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from cifar_dist.config import (
    Job,
    parse_yaml,
    recipe_path,
    shipped_recipes,
    shipped_spaces,
    space_path,
)
from cifar_dist.errors import ConfigError
from cifar_dist.redaction import redacted
from cifar_dist.search import Space
from cifar_dist.store.addresses import bucket_and_prefix

Kind = Literal["tune", "train"]
TEXT_VARIABLES = {"tune": "CIFAR_DIST_SPACE", "train": "CIFAR_DIST_JOB"}
_MAX_TEXT_BYTES = 96_000  # as base64 it fits into the 128 KiB that a variable may have
_NAME_CHARACTERS = 47  # the operator adds its own to the names of what it makes
_DIGITS = 8
_NUMBER_CHARACTERS = 4  # room for -2 to -999
_DEFAULT_DATA = "sample"
_OWN_DATA = "synthetic"  # needs no bytes
_FLAGS = {
    "name": "--name",
    "store": "--store",
    "recipe.data": "--data",
    "recipe.epochs": "--epochs",
    "recipe.seed": "--seed",
    "placement.workers": "--workers",
}


@dataclass(frozen=True)
class Asked:
    """A command line of `tune` or `train`, its space or job checked."""

    kind: Kind
    job: Job
    """The job, or the base job of a sweep, with all that was asked for in it."""
    resolved: Mapping[str, Any]
    """The whole space; the job again for a run."""
    argument: str | None
    """A shipped name, or '-' for what stands in `text`."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the job that the command line sets."""
    flags: tuple[str, ...] = ()
    """What else stands on it, such as --trials 12."""
    text: str | None = None
    """A file of the user's."""

    @property
    def title(self) -> str:
        """What names begin with."""
        return self.job.title

    def located(self, store: str, data: str) -> dict[str, Any]:
        """Give where a run on a cluster reads and writes; '' where the platform names nothing.

        What was asked for comes before the platform's. Raises ConfigError without a place in S3.
        """
        return {"store": self._store(store), "recipe.data": self._data(data)}

    def _store(self, usual: str) -> str:
        said = self.job.store
        if said.startswith("s3://"):
            bucket_and_prefix(said)
            return said
        if "store" in self.overrides or not usual:
            raise ConfigError(
                f"store={said}: pods of a cluster share no folder; name a bucket with "
                "--store s3://bucket/prefix, or store.uri in the platform's values"
            )
        return usual

    def _data(self, usual: str) -> str:
        said = self.job.recipe.data
        if said.startswith("s3://"):
            try:
                bucket_and_prefix(said)
            except ConfigError as error:
                raise ConfigError(str(error).replace("store=", "recipe.data=", 1)) from error
            return said
        if said == _OWN_DATA:
            return said
        if "recipe.data" in self.overrides or said != _DEFAULT_DATA or not usual:
            raise ConfigError(
                f"recipe.data={said}: pods of a cluster have no such images; publish them with "
                f"`cifar-dist data push {said} s3://bucket/prefix`, then give what it prints by "
                "--data, or as data.uri in the platform's values"
            )
        return usual


@dataclass(frozen=True)
class Command:
    """What the head runs, and under which name."""

    name: str
    """The RayJob's."""
    line: str
    environment: dict[str, str]
    title: str
    """What the run's id in the store begins with."""

    def encoded(self) -> "Command":
        """Carry texts as base64, for a Ray that fills in $NAME in the variables of a job."""
        if not self.environment:
            return self
        environment = {
            key: base64.b64encode(text.encode()).decode() for key, text in self.environment.items()
        }
        line = self.line.replace(" | ", " | base64 -d | ", 1)
        return replace(self, line=line, environment=environment)


def tune_asked(
    argument: str, space: Space, overrides: Mapping[str, Any], flags: tuple[str, ...]
) -> Asked:
    """Take a checked space as it was asked for. Raises ConfigError for a file that is too long."""
    resolved = space.model_dump(mode="json")
    if argument in shipped_spaces():
        return Asked("tune", space.job, resolved, argument, overrides, flags)
    text = _text(space_path(argument))
    named = {"name": space.job.title, **overrides}  # after its file, which the head does not see
    return Asked("tune", space.job, resolved, "-", named, flags, text)


def train_asked(argument: str | None, job: Job, overrides: Mapping[str, Any]) -> Asked:
    """Take a checked job as it was asked for. Raises ConfigError for a file that is too long."""
    resolved = job.model_dump(mode="json")
    if argument is None or argument in shipped_recipes():
        return Asked("train", job, resolved, argument, overrides)
    return Asked("train", job, resolved, "-", overrides, text=_text(recipe_path(argument)))


def command(
    asked: Asked, changes: Mapping[str, Any], number: int = 1, port: int | None = None
) -> Command:
    """Build what the head runs; `changes` are fields of the job that the platform decides.

    The same asked of the same platform has the same name. A later `number` is another run of it,
    which is named so that it, too, can be resumed. `port` is that of the metrics.
    """
    digits = _digest(asked, changes)
    overrides = {**asked.overrides, **changes}
    ending, title = "", asked.title
    if number > 1:
        ending = f"-{number}"
        title = f"{title[: 41 - len(ending)].rstrip('-')}{ending}"
        overrides["name"] = title
    words = ["cifar-dist", asked.kind, *([asked.argument] if asked.argument else [])]
    words += [word for path in sorted(overrides) for word in _words(path, overrides[path])]
    words += [*asked.flags, "--resume", *(["--metrics-port", str(port)] if port else [])]
    line, environment = shlex.join(words), {}
    if asked.text is not None:
        variable = TEXT_VARIABLES[asked.kind]
        line = f"printenv {variable} | {line}"
        environment[variable] = asked.text
    return Command(f"{_label(asked.title)}-{digits}{ending}", line, environment, title)


def typed(words: list[str]) -> str:
    """Write a command line as it was typed, without secrets."""
    return redacted(shlex.join(words))


def _digest(asked: Asked, changes: Mapping[str, Any]) -> str:
    where = {path: changes.get(path) for path in ("store", "recipe.data")}
    told = [asked.kind, asked.resolved, list(asked.flags), where]
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _label(title: str) -> str:
    """Shorten a title to what a name in Kubernetes may begin with."""
    letters = title if title[0].isalpha() else f"run-{title}"
    return letters[: _NAME_CHARACTERS - 1 - _DIGITS - _NUMBER_CHARACTERS].rstrip("-")


def _words(path: str, value: Any) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value)
    if path in _FLAGS and value is not None:
        return [_FLAGS[path], text]
    if isinstance(value, str) and _read(text) != value:
        text = json.dumps(value)
    return ["--set", f"{path}={text}"]


def _read(text: str) -> Any:
    try:
        return parse_yaml(text, "--set")
    except ConfigError:
        return None


def _text(path: Path) -> str:
    text = path.read_text("utf-8")
    if len(text.encode()) > _MAX_TEXT_BYTES:
        raise ConfigError(
            f"{path}: larger than {_MAX_TEXT_BYTES} bytes, which is all that travels to a cluster; "
            "shorten it"
        )
    return text
