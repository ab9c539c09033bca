"""The door to kubectl: one context and namespace, bounded in time, its errors translated once."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cifar_dist.errors import CifarDistError, ConfigError, RunError
from cifar_dist.submission.door import ForbiddenError, NotFoundError, UnreachableError
from cifar_dist.submission.observed import line

_SECONDS = 20.0
_STARTING_SECONDS = 10.0  # what a busy machine may take beside the request itself

_GONE = re.compile(r"\(NotFound\)|the server could not find the requested resource")
_TAKEN = re.compile(r"\(AlreadyExists\)")
_REFUSED = re.compile(r"\(Forbidden\)|\(Unauthorized\)|must be logged in|provide credentials")
_DENIED = re.compile(r"exceeded quota|violates PodSecurity|admission webhook|LimitRange")
_INVALID = re.compile(r"\(BadRequest\)|is invalid:|strict decoding|ValidationError|unknown field")
_NO_KIND = re.compile(r"doesn't have a resource type|no matches for kind|ensure CRDs are installed")
_NO_CONTEXT = re.compile(
    r'context "?[^"]*"? does not exist|error loading config|invalid configuration'
    r"|context was not found"
)
_NO_CLUSTER = re.compile(r"localhost:8080 was refused")  # where kubectl looks for want of a file
_SILENT = re.compile(
    r"was refused|unable to connect|no such host|i/o timeout|timed out|timeout|TLS handshake"
    r"|no route to host|connection reset|EOF|ServiceUnavailable|TooManyRequests|InternalError"
    r"|ServerTimeout|apiserver not ready|x509|network is unreachable|currently unable to handle",
    re.IGNORECASE,
)


class AlreadyThereError(ConfigError):
    """There is an object of this name."""


@dataclass(frozen=True)
class Kubectl:
    """The way to one namespace of one cluster. A context of None is kubectl's current one."""

    namespace: str
    context: str | None = None
    seconds: float = _SECONDS
    """How long one request may take."""

    def json(self, *arguments: str) -> dict[str, Any]:
        """Give what kubectl answers as JSON. Raises as `text`."""
        return self._parsed(self.text(*arguments, "--output=json"))

    def get(self, path: str) -> dict[str, Any]:
        """Give what the API server has under a path, such as /api/v1/nodes. Raises as `text`."""
        return self._parsed(self.text("get", f"--raw={path}"))

    def create(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create one object as it is. Raises AlreadyThereError, and as `text`."""
        given = json.dumps(manifest)
        return self._parsed(self._asked(["create", "--filename=-", "--output=json"], given))

    def text(self, *arguments: str) -> str:
        """Give what kubectl prints.

        Raises NotFoundError, ForbiddenError, UnreachableError, RunError for what admission denies,
        and ConfigError.
        """
        return self._asked([*arguments], None)

    def started(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start kubectl for what goes on until it is ended, such as forwarding a port."""
        return subprocess.Popen(
            [_program(), *self._flags(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # one stream, which its reader keeps from filling up
            text=True,
            errors="replace",
        )

    def _asked(self, arguments: list[str], given: str | None) -> str:
        command = [_program(), *self._flags(), f"--request-timeout={self.seconds:g}s", *arguments]
        try:
            ended = subprocess.run(
                command,
                input=given or "",
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.seconds + _STARTING_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise self._silent("no answer in time") from error
        if ended.returncode:
            raise self._translated(ended.stderr)
        return ended.stdout

    def _flags(self) -> list[str]:
        chosen = [f"--context={self.context}"] if self.context else []
        return [*chosen, f"--namespace={self.namespace}"]

    def _parsed(self, text: str) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except ValueError as error:
            raise self._silent("an answer that is not JSON") from error
        if not isinstance(found, dict):
            raise self._silent("an answer that is no object")
        return found

    def _translated(self, said: str) -> CifarDistError:
        # kubectl warns, and repeats itself, before the line that counts.
        lines = [text for text in said.splitlines() if text.strip()] or ["no reason given"]
        begins = ("Error from", "error:", "The ")
        first = next((n for n, text in enumerate(lines) if text.startswith(begins)), -1)
        told = " ".join(lines[first:])
        words = line(re.sub(r"^(Error from server|error)( \(\w+\))?: ?", "", told))
        for pattern, kind, remedy in (
            (_NO_CLUSTER, ConfigError, "no cluster is configured here; set KUBECONFIG"),
            (_NO_CONTEXT, ConfigError, "name one of `kubectl config get-contexts` with --on"),
            (_NO_KIND, ConfigError, "install the KubeRay operator, see deploy/README.md"),
            (_TAKEN, AlreadyThereError, "choose another name"),
            (_GONE, NotFoundError, f"look with `kubectl --namespace={self.namespace} get`"),
            (_DENIED, RunError, "ask for less, or have the rule that denies it changed"),
            (_REFUSED, ForbiddenError, "log in, or ask for the chart's submitter role"),
            (_INVALID, ConfigError, "the cluster's KubeRay may be older than the chart expects"),
        ):
            if pattern.search(told):
                return kind(f"{self._place}: {words}; {remedy}")
        if _SILENT.search(told):
            return self._silent(words)
        return RunError(f"{self._place}: kubectl failed: {words}; try the same with `kubectl`")

    def _silent(self, words: str) -> UnreachableError:
        return UnreachableError(
            f"{self._place}: the cluster does not answer ({words}); check the network and "
            "`kubectl version`"
        )

    @property
    def _place(self) -> str:
        return f"context {self.context}" if self.context else "kubectl's context"


def _program() -> str:
    found = shutil.which("kubectl")
    if found is None:
        raise ConfigError("kubectl is not on PATH; install it to reach a Kubernetes cluster")
    return found
