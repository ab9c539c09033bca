"""The jobs API of a Ray cluster that is there already: submit, look, read, stop, with its token."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from cifar_dist.documents.submitted import SubmissionRow, SubmittedState
from cifar_dist.errors import InterruptedRunError, PreemptedError, RefusedError, RunError
from cifar_dist.problems import printable
from cifar_dist.redaction import is_secret, redacted
from cifar_dist.submission.dashboard import Answer, Client
from cifar_dist.submission.observed import Object, age_seconds, checked, dig, exit_code, line, text

_KIND = re.compile(r"\bcifar-dist (tune|train)\b")
_STATES: dict[str, SubmittedState] = {
    "PENDING": "starting",
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "STOPPED": "stopped",
    "FAILED": "failed",
}
_CODES = {"SUCCEEDED": 0, "STOPPED": InterruptedRunError.exit_code}
_JOBS = "/api/jobs/"
_MARK = "cifar-dist.io/kind"


class JobsApi:
    """One cluster's jobs, by the address of its dashboard."""

    def __init__(self, address: str, token: str | None) -> None:
        self._address, self._token = address, token

    def submit(self, entrypoint: str, env: Mapping[str, str], name: str) -> SubmissionRow | None:
        """Submit, and give None, or the job of that name that runs or has succeeded.

        One that ended badly makes room, as the same work then goes on from the store. Raises
        RefusedError for a secret in `env`, which the API shows, and for an open cluster without
        consent; ConfigError, ForbiddenError, RunError or UnreachableError.
        """
        if secrets := sorted(each for each in env if is_secret(each)):
            raise RefusedError(
                f"{', '.join(secrets)} would be shown by the jobs API; give it to the cluster's "
                "pods themselves"
            )
        path = _JOBS + checked(name)
        there = self._client.get(path)
        if there.status != _NOT_FOUND:
            found = _row(self._accepted(there, name))
            if not found.exit_code:
                return found
            self._accepted(self._client.delete(path), name)
        kind = _KIND.search(entrypoint)
        body = {
            "entrypoint": entrypoint,
            "submission_id": name,
            "runtime_env": {"env_vars": dict(env)},
            "metadata": {_MARK: kind[1] if kind else "other"},
        }
        answer = self._client.post(_JOBS, body)
        if answer.status == _BAD_REQUEST and "already exists" in answer.text:
            return self.status(name)
        self._accepted(answer, name)
        return None

    def status(self, name: str) -> SubmissionRow:
        """Look at one job. Raises NotFoundError."""
        path = _JOBS + checked(name)
        return _row(self._accepted(self._client.get(path), name))

    def rows(self) -> list[SubmissionRow]:
        """List what this program submitted, newest first."""
        found = self._accepted(self._client.get(_JOBS), "")
        own = (
            [job for job in found if text(job, "metadata", _MARK)]
            if isinstance(found, list)
            else []
        )
        own.sort(key=lambda job: dig(job, "start_time") or 0, reverse=True)
        return [_row(job) for job in own]

    def log(self, name: str) -> list[str]:
        """Read all that a job has printed."""
        path = f"{_JOBS}{checked(name)}/logs"
        answer = self._client.get(path)
        said = printable(redacted(text(self._accepted(answer, name), "logs")))
        return said.splitlines()

    def stop(self, name: str) -> bool:
        """Ask Ray to stop a job, which lets it commit; False if it runs no more."""
        path = f"{_JOBS}{checked(name)}/stop"
        answer = self._client.post(path, {})
        return bool(dig(self._accepted(answer, name), "stopped"))

    @cached_property
    def _client(self) -> Client:
        return Client.to(self._address, self._token)

    def _accepted(self, answer: Answer, name: str) -> Any:
        return answer.accepted(f"{self._address} has no job {name}; `submit ls --ray` lists them")


_BAD_REQUEST = 400
_NOT_FOUND = 404


def _row(job: Object) -> SubmissionRow:
    status = text(job, "status")
    state = _STATES.get(status, "waiting")
    code = _code(job, status)
    if code == PreemptedError.exit_code:
        state = "preempted"
    started = dig(job, "start_time")
    kind = _KIND.search(text(job, "entrypoint"))
    return SubmissionRow(
        name=text(job, "submission_id"),
        kind=kind[1] if kind else None,
        state=state,
        age_seconds=_age(started),
        workers_ready=0,
        workers_wanted=0,
        run=None,
        exit_code=code,
        reason=line(text(job, "message").partition("\n")[0]) or None,
    )


def _code(job: Object, status: str) -> int | None:
    if status != "FAILED":
        return _CODES.get(status)
    told = dig(job, "driver_exit_code")
    if isinstance(told, int):
        return exit_code(f"exit code {told}")
    return exit_code(text(job, "message")) if text(job, "message") else RunError.exit_code


def _age(milliseconds: Any) -> float | None:
    try:
        return age_seconds(datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat())
    except (TypeError, ValueError, OverflowError, OSError):
        return None
