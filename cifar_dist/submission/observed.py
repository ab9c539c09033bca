"""What a RayJob and its pods say of themselves: the state, the end, who is ready."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cifar_dist.documents.submitted import SubmittedState as State
from cifar_dist.errors import (
    ConfigError,
    InterruptedRunError,
    PreemptedError,
    RunError,
)
from cifar_dist.problems import printable, shown
from cifar_dist.redaction import redacted

Object = Mapping[str, Any]
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
KIND_LABEL = "cifar-dist.io/kind"
RUN_LABEL = "cifar-dist.io/run"

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_EXIT = re.compile(r"\bexit code (-?\d{1,4})\b")
_OWN_CODES = {1, 2, 3, 4, 5, 75, 130}
_COMPLAINT = "cifar-dist: "  # begins the line that tells why the program ended
_SLACK = timedelta(minutes=2)  # between the clocks of a cluster and a store
_LONGEST = 300  # characters of a reason

_TOLD = {
    "DeadlineExceeded": "it ran longer than activeDeadlineSeconds",
    "PreRunningDeadlineExceeded": "it did not start within preRunningDeadlineSeconds",
    "JobStatusCheckTimeoutExceeded": "the operator could not reach the head's port 8265",
    "JobDeploymentStatusTransitionGracePeriodExceeded": "the operator lost sight of it as it ended",
    "SubmissionFailed": "the driver could not be submitted",
    "ValidationFailed": "the operator refuses its specification",
    "AppFailed": "the driver failed",
}


@dataclass(frozen=True)
class Outcome:
    """How a submitted job ended."""

    state: State
    exit_code: int
    reason: str
    """One line."""


def dig(value: Any, *path: str | int) -> Any:
    """Follow keys and indexes into a JSON value; None where one is missing."""
    for part in path:
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and len(value) > part else None
        else:
            value = value.get(part) if isinstance(value, Mapping) else None
    return value


def text(value: Any, *path: str | int) -> str:
    """Follow keys into a JSON value to a text; empty where there is none."""
    found = dig(value, *path)
    return found if isinstance(found, str) else ""


def items(value: Any, *path: str | int) -> list[Object]:
    """Follow keys into a JSON value to a list of objects; empty where there is none."""
    found = dig(value, *path)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def number(value: Any, *path: str | int) -> int:
    """Follow keys into a JSON value to a whole number; 0 where there is none."""
    found = dig(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def line(words: str) -> str:
    """Make one short line, without secrets and control characters, of what somebody else wrote."""
    said = printable(redacted(" ".join(words.split())))
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"


def checked(name: str) -> str:
    """Give a job's name back; raises ConfigError for a flag, a path or anything that is none."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{shown(name)} is no job's name: small letters, digits and '-', at most 63"
        )
    return name


def state(job: Object) -> State:
    """Tell in one word where a RayJob stands."""
    ended = outcome(job)
    if ended is not None:
        return ended.state
    if text(job, "metadata", "deletionTimestamp"):
        return "ending"
    deployed = text(job, "status", "jobDeploymentStatus")
    if deployed in ("Suspending", "Suspended") or (not deployed and dig(job, "spec", "suspend")):
        return "suspended"
    if deployed == "Retrying":
        return "retrying"
    if deployed == "Running":
        return "running" if text(job, "status", "jobStatus") == "RUNNING" else "starting"
    return "waiting"


def outcome(job: Object) -> Outcome | None:
    """Tell how a RayJob ended; None while it has not."""
    deployed = text(job, "status", "jobDeploymentStatus")
    status = text(job, "status", "jobStatus")
    if deployed == "ValidationFailed":
        return Outcome("refused", ConfigError.exit_code, reason(job))
    if deployed == "Failed":
        return _failed(job)
    if deployed != "Complete":
        return None
    if status == "STOPPED":
        said = "the driver was stopped"
        return Outcome("stopped", InterruptedRunError.exit_code, said)
    return Outcome("succeeded", 0, "the driver succeeded") if status != "FAILED" else _failed(job)


def _failed(job: Object) -> Outcome:
    code = exit_code(text(job, "status", "message"))
    state: State = "preempted" if code == PreemptedError.exit_code else "failed"
    return Outcome(state, code, reason(job))


def exit_code(message: str) -> int:
    """Read the program's exit code out of Ray's message; 3 where it ended in another way."""
    found = _EXIT.search(message.partition("\n")[0])
    code = int(found[1]) if found else RunError.exit_code
    return code if code in _OWN_CODES else RunError.exit_code


def reason(job: Object) -> str:
    """Say in one line why a RayJob failed: what the program complained of, or the operator."""
    status = dig(job, "status")
    word, message = text(status, "reason"), text(status, "message")
    own = [each for each in message.splitlines() if each.startswith(_COMPLAINT)]
    said = own[-1].removeprefix(_COMPLAINT) if own else message.partition("\n")[0]
    said = said.partition(", last available logs")[0]
    parts = [word, _TOLD.get(word, ""), said]
    return line(": ".join(part for part in parts if part)) or "no reason is given"


def is_ready(pod: Object) -> bool:
    """Tell whether a pod is ready and not on its way out."""
    if text(pod, "metadata", "deletionTimestamp"):
        return False
    conditions = items(pod, "status", "conditions")
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def ready_since(pod: Object) -> str:
    """Give when a pod became ready; empty while it is not."""
    found = (c for c in items(pod, "status", "conditions") if c.get("type") == "Ready")
    return next((text(c, "lastTransitionTime") for c in found if c.get("status") == "True"), "")


def head_of(pods: Iterable[Object]) -> Object | None:
    """Find the newest head among the pods of a cluster, unless it is being deleted."""
    found = [pod for pod in pods if node_type(pod) == "head"]
    alive = [pod for pod in found if not text(pod, "metadata", "deletionTimestamp")]
    return max(alive, key=lambda pod: text(pod, "metadata", "creationTimestamp"), default=None)


def workers_of(pods: Iterable[Object]) -> list[Object]:
    """List the worker pods of a cluster that are not being deleted."""
    found = [pod for pod in pods if node_type(pod) == "worker"]
    return [pod for pod in found if not text(pod, "metadata", "deletionTimestamp")]


def node_type(pod: Object) -> str:
    """Tell what a pod of a Ray cluster is: head or worker."""
    return text(pod, "metadata", "labels", "ray.io/node-type")


def name_of(thing: Object) -> str:
    """Give the name of an object."""
    return text(thing, "metadata", "name")


def uid_of(thing: Object | None) -> str:
    """Give the identity of an object, which one that was made anew does not share."""
    return text(thing, "metadata", "uid")


def lifetime(job: Object) -> tuple[datetime, datetime]:
    """Give when a RayJob was made and ended, or now, and a little more as clocks differ.

    Raises ConfigError if it does not say when it was made.
    """
    ended = text(job, "status", "endTime") or datetime.now(UTC).isoformat()
    try:
        made = datetime.fromisoformat(text(job, "metadata", "creationTimestamp"))
        return made - _SLACK, datetime.fromisoformat(ended) + _SLACK
    except ValueError as error:
        raise ConfigError(f"{name_of(job)} does not say when it ran; see `submit ls`") from error


def age_seconds(since: str) -> float | None:
    """Count the seconds since a time of Kubernetes; None if it is none."""
    try:
        passed = datetime.now(UTC) - datetime.fromisoformat(since)
    except (ValueError, TypeError):
        return None
    return round(max(passed.total_seconds(), 0.0), 1)
