"""The lab's cluster as a test uses it: kubectl, helm, the program, and what is waited for."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "cifar-dist"
VALUES = Path(__file__).with_name("values.yaml")
NAMESPACE, RELEASE = "cifar-dist", "cd"
KEYS = {"AWS_ACCESS_KEY_ID": "lab-store", "AWS_SECRET_ACCESS_KEY": "lab-store-secret-key"}
TOKEN = "lab-token-0123456789abcdef0123456789"
_SECONDS = 180.0


def run(*command: str, given: str | None = None, **environment: str) -> str:
    """Run a command that must succeed and give what it prints."""
    ended = attempt(*command, given=given, **environment)
    assert ended.returncode == 0, (
        f"{' '.join(command)}\n{ended.stdout[-3000:]}{ended.stderr[-3000:]}"
    )
    return ended.stdout


def attempt(
    *command: str, given: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command that may fail."""
    return subprocess.run(
        command,
        input=given,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )


def kubectl(*arguments: str, given: str | None = None) -> str:
    """Ask the cluster as its administrator."""
    return run("kubectl", *arguments, given=given)


def told(*arguments: str) -> dict[str, Any]:
    """Give what kubectl answers as JSON."""
    answer: dict[str, Any] = json.loads(kubectl(*arguments, "-o", "json"))
    return answer


def helm(*arguments: str) -> str:
    """Run helm."""
    return run("helm", *arguments)


def until(what: str, found: Callable[[], Any], seconds: float = _SECONDS) -> Any:
    """Wait for something that is true and give it."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.5)
    return value


def secret(name: str, values: dict[str, str]) -> None:
    """Make a Secret of the namespace."""
    literals = [f"--from-literal={key}={value}" for key, value in values.items()]
    text = kubectl(
        "-n",
        NAMESPACE,
        "create",
        "secret",
        "generic",
        name,
        *literals,
        "--dry-run=client",
        "-oyaml",
    )
    kubectl("apply", "-f", "-", given=text)


def install(*more: str, release: str = RELEASE) -> str:
    """Bring a platform to a state: installed, or upgraded."""
    return helm(
        "upgrade", "--install", release, str(CHART), "--namespace", NAMESPACE,
        "--values", str(VALUES), "--wait", "--timeout", "5m", *more,
    )  # fmt: skip


def endpoint() -> str:
    """Give the store's address as this machine, a node of the cluster, reaches it."""
    service = told("-n", NAMESPACE, "get", "service", f"{RELEASE}-cifar-dist-store")
    return f"http://{service['spec']['clusterIP']}:7070"


def cifar_dist(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program here."""
    return attempt(sys.executable, "-m", "cifar_dist", *arguments, **environment)


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program here, with the keys of the platform's store."""
    surroundings = {**KEYS, "AWS_ENDPOINT_URL": endpoint(), "AWS_REGION": "us-east-1"}
    return cifar_dist(*arguments, **{**surroundings, **environment})
