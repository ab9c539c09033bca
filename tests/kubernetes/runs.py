"""Work that a test submits, and what can be seen of it in the cluster and in its store."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.kubernetes.cluster import KEYS, NAMESPACE, RELEASE, endpoint, kubectl, told

STORE = "s3://cifar-dist/team"
# What is over makes room at once on the lab's two CPUs.
_SHORT = str(Path(__file__).with_name("short.yaml"))
_WHERE = ("--namespace", NAMESPACE, "--release", RELEASE, "--values", _SHORT)


def surroundings() -> dict[str, str]:
    """Give the environment in which this process reaches the cluster's store."""
    return {**KEYS, "AWS_ENDPOINT_URL": endpoint(), "AWS_REGION": "us-east-1"}


class Submission:
    """`submit … --follow` as a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._said, self._printed = folder / "stderr", folder / "stdout"
        command = [sys.executable, "-m", "cifar_dist", "submit", *arguments, *_WHERE]
        with self._said.open("wb") as said, self._printed.open("wb") as printed:
            self.process = subprocess.Popen(
                [*command, "--follow", "--json"],
                stdout=printed,
                stderr=said,
                env={**os.environ, **surroundings()},
            )

    def ended(self, seconds: float = 1500) -> dict[str, Any]:
        """Wait for its good end and give what it printed."""
        assert self.process.wait(timeout=seconds) == 0, self.said[-4000:]
        document: dict[str, Any] = json.loads(self._printed.read_text("utf-8"))
        return document

    @property
    def said(self) -> str:
        """What it told on stderr."""
        return self._said.read_text("utf-8", "replace")


def pods(kind: str) -> list[dict[str, Any]]:
    """Give the pods of Ray nodes of this kind, head or worker, that are not being deleted."""
    listed = told("-n", NAMESPACE, "get", "pods", "-l", f"ray.io/node-type={kind}")["items"]
    return [pod for pod in listed if "deletionTimestamp" not in pod["metadata"]]


def ready(kind: str) -> list[dict[str, Any]]:
    """Give those that are ready."""

    def is_ready(pod: dict[str, Any]) -> bool:
        conditions = pod["status"].get("conditions", ())
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    return [pod for pod in pods(kind) if is_ready(pod)]


def delete_one(kind: str) -> str:
    """Delete a pod of this kind as a node that is drained would, and give its name."""
    name: str = pods(kind)[0]["metadata"]["name"]
    kubectl("-n", NAMESPACE, "delete", "pod", name, "--wait=false")
    return name
