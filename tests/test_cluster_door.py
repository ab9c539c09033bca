"""Work goes only to a cluster that asks for a token, and such a one lets no other caller in."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from cifar_dist import consent
from cifar_dist.cluster import connection, door, tune
from cifar_dist.cluster.connection import connected
from cifar_dist.errors import RefusedError, RunError
from cifar_dist.redaction import is_secret
from tests.clusters import eventually
from tests.commands import Program, listed
from tests.soak import long_only
from tests.soak_nodes import Cluster, permitted
from tests.soak_processes import given

from ray.core.generated import gcs_service_pb2 as messages  # isort: skip - after what prepares it
from ray.core.generated import gcs_service_pb2_grpc as services  # isort: skip
from ray.train.v2._internal import constants  # isort: skip

Heads = Callable[[grpc.StatusCode | None], str]

TRAIN = "train --workers 1 --data synthetic --model lenet5 --epochs 1"
PATHS = (
    "/api/version",
    "/api/jobs/",
    "/api/cluster_status",
    "/api/v0/actors",
    "/api/v0/tasks",
    "/nodes?view=summary",
    "/logs",
)


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heads]:
    """Serve heads that answer every caller with a status, or gladly; gives an address each."""
    servers: list[grpc.Server] = []
    monkeypatch.delenv(consent.VARIABLE, raising=False)

    def served(status: grpc.StatusCode | None) -> str:
        class Head(services.NodeInfoGcsServiceServicer):  # type: ignore[misc]
            def CheckAlive(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
                if status is grpc.StatusCode.DEADLINE_EXCEEDED:
                    time.sleep(0.4)
                elif status is not None:
                    context.abort(status, "no")
                return messages.CheckAliveReply()

        server = grpc.server(ThreadPoolExecutor(1))
        services.add_NodeInfoGcsServiceServicer_to_server(Head(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield served
    for server in servers:
        server.stop(None).wait()


@pytest.mark.parametrize(
    ("status", "opens"),
    [
        (None, True),
        (grpc.StatusCode.UNIMPLEMENTED, True),
        (grpc.StatusCode.UNAUTHENTICATED, False),
        (grpc.StatusCode.PERMISSION_DENIED, False),
        (grpc.StatusCode.UNAVAILABLE, False),
    ],
)
def test_a_head_is_open_if_it_answers_who_has_no_token(
    status: grpc.StatusCode | None, opens: bool, heads: Heads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert door.is_open(heads(status)) is opens


def test_a_head_that_says_nothing_is_not_taken_for_a_closed_one(
    heads: Heads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_ANSWER_SECONDS", 0.1)
    with pytest.raises(RunError, match="says nothing"):
        door.is_open(heads(grpc.StatusCode.DEADLINE_EXCEEDED))


def test_an_open_cluster_gets_no_work(
    heads: Heads, program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", heads(None))
    monkeypatch.setattr(connection.ray, "init", None)
    ended = program(*TRAIN.split())
    assert (ended.code, ended.out) == (5, "")
    sentence = ended.err.splitlines()[-1]
    assert sentence.startswith("cifar-dist: the cluster at 127.0.0.1:")
    assert "RAY_AUTH_MODE=token" in sentence
    assert consent.FLAG in sentence
    assert not [path for path in listed(folder) if "MANIFEST" in path]


def test_who_consents_is_warned_and_connected(
    heads: Heads, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def init(**_: Any) -> None:
        raise RuntimeError("it was asked")

    monkeypatch.setenv("RAY_ADDRESS", heads(None))
    monkeypatch.setenv(consent.VARIABLE, "1")
    monkeypatch.setattr(connection.ray, "init", init)
    with pytest.raises(RunError, match="it was asked"), connected():
        pass
    assert "allowed by --allow-insecure" in caplog.text


def test_secrets_in_a_jobs_runtime_environment_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    carried = {"env_vars": {"AWS_SECRET_ACCESS_KEY": "wJalrXUtn", "OMP_NUM_THREADS": "1"}}

    class Context:
        runtime_env = carried

    monkeypatch.setattr(door.ray, "get_runtime_context", Context)
    with pytest.raises(RefusedError, match="carries AWS_SECRET_ACCESS_KEY, and") as caught:
        door.refuse_carried_secrets()
    assert "wJalr" not in str(caught.value)
    del carried["env_vars"]["AWS_SECRET_ACCESS_KEY"]
    door.refuse_carried_secrets()


def test_ray_sends_no_secret_of_the_driver_to_workers() -> None:
    for names in (tune.ENV_VARS_TO_PROPAGATE, constants.ENV_VARS_TO_PROPAGATE):
        assert names
        assert not [name for name in names if is_secret(name)]


def asked(address: str, token: str | None, body: dict[str, str] | None = None) -> int:
    """Ask the dashboard; gives the status of its answer."""
    headers = {"Content-Type": "application/json"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.cluster
@pytest.mark.filterwarnings("default")  # Ray's own are its makers' business
@pytest.mark.usefixtures("ray_address")
def test_without_the_token_nothing_is_told_and_nothing_runs(tmp_path: Path) -> None:
    good = os.environ["RAY_AUTH_TOKEN"]
    with connected() as cluster:
        dashboard = cluster.dashboard
    assert dashboard
    assert not door.is_open(os.environ["RAY_ADDRESS"])
    for path in PATHS:
        assert asked(dashboard + path, None) == 401, path
        assert asked(dashboard + path, "0" * len(good)) == 403, path
    assert asked(f"{dashboard}/api/version", good) == 200

    def submitted(name: str, token: str | None) -> int:
        job = {"entrypoint": f"touch {tmp_path / name}"}
        return asked(f"{dashboard}/api/jobs/", token, job)

    assert submitted("none", None) == 401
    assert submitted("wrong", "0" * len(good)) == 403
    assert submitted("good", good) == 200
    assert eventually((tmp_path / "good").exists)
    assert listed(tmp_path) == ["good"]


@pytest.mark.soak
@pytest.mark.cluster
@long_only
@pytest.mark.skipif(not permitted(), reason="this process may not make namespaces")
def test_a_real_open_cluster_is_refused_and_joined_by_who_consents(tmp_path: Path) -> None:
    with Cluster(tmp_path / "cluster", 0, RAY_AUTH_MODE="disabled") as cluster:
        # Whoever knows of no token; the head alone has no CPU to train on.
        mine = {"RAY_AUTH_MODE": "", "RAY_AUTH_TOKEN": "", "HOME": str(tmp_path)}
        train = [
            *TRAIN.split(),
            "--store",
            str(tmp_path / "store"),
            "--set",
            "placement.cpus_per_worker=1",
        ]
        ended = {
            flags: subprocess.run(
                [*cluster.enter, sys.executable, "-m", "cifar_dist", *train, *flags],
                env=given({**cluster.environment, **mine}),
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            for flags in ((), (consent.FLAG, "--fresh"))
        }
    refused, joined = ended.values()
    assert (refused.returncode, joined.returncode) == (5, 2), joined.stderr
    assert "asks nobody for a token" in refused.stderr
    assert "needs 1 CPUs but the cluster has 0" in joined.stderr
    assert "allowed by --allow-insecure" in joined.stderr
