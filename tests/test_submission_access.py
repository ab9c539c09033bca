"""Ways into a platform: forwarded ports, its dashboard, its Secrets, the store inside."""

import base64
import os
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from cifar_dist.errors import ConfigError, RunError
from cifar_dist.submission.access import (
    cluster_of,
    newest,
    secret,
    stop_driver,
    store_environment,
)
from cifar_dist.submission.door import UnreachableError
from cifar_dist.submission.forward import forwarded
from cifar_dist.submission.kubectl import Kubectl
from cifar_dist.submission.snapshot import Snapshot
from cifar_dist.submission.values import complete
from tests.ray_dashboards import Dashboard
from tests.submitted_jobs import CLUSTER, Json, job, running
from tests.test_submission_platform import Cluster, program

OWN = {"AWS_ACCESS_KEY_ID": "mine"}


def test_a_forwarded_port_is_this_machines_and_ends_with_its_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(
        tmp_path,
        "kubectl",
        f'echo "$@" > {tmp_path}/call; echo $$ > {tmp_path}/pid\n'
        'echo "Forwarding from 127.0.0.1:43210 -> 8265"; exec sleep 60',
        monkeypatch,
    )
    with forwarded(Kubectl("team", "prod"), "svc/store", 7070) as way:
        assert way.port == 43210
        way.process.kill()
        with pytest.raises(RunError, match="the connection ended"):
            way.wait()
    call = (tmp_path / "call").read_text()
    assert "--address=127.0.0.1 svc/store :7070" in call
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_port_that_cannot_be_forwarded_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "kubectl", "echo 'error: pod is not running' >&2; exit 1", monkeypatch)
    with (
        pytest.raises(RunError, match="cannot be forwarded: error: pod is not running"),
        forwarded(Kubectl("team"), "pod/x", 8265),
    ):
        pass


def test_a_forwarded_port_goes_on_however_much_kubectl_complains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        'echo "Forwarding from 127.0.0.1:43210 -> 1"\n'
        f"i=0; while [ $i -lt 2000 ]; do echo 'E1122 error forwarding port {'x' * 80}' >&2; "
        "i=$((i+1)); done"
    )
    program(tmp_path, "kubectl", script, monkeypatch)
    with forwarded(Kubectl("team"), "pod/x", 8265) as way:
        assert way.process.wait(timeout=60) == 0


def test_a_port_that_is_never_opened_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "kubectl", "exec sleep 600", monkeypatch)
    monkeypatch.setattr("cifar_dist.submission.forward._OPEN_SECONDS", 0.1)
    with (
        pytest.raises(RunError, match=r"cannot be forwarded: nothing was said in 0.1 s"),
        forwarded(Kubectl("team"), "pod/x", 8265),
    ):
        pass


def encoded(**data: str) -> Json:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}}


def test_a_secret_is_read_by_its_keys_alone() -> None:
    door = Cluster("team", there={"secret s": encoded(a="1", b="2"), "secret odd": {"data": 3}})
    assert secret(door, "s", ("a",)) == {"a": "1"}
    for name in ("s", "odd"):
        with pytest.raises(ConfigError, match="no key c"):
            secret(door, name, ("c",))


def test_the_dashboard_is_the_running_jobs_or_the_platforms() -> None:
    there: Json = {"rayclusters.ray.io cifar-dist": {"metadata": {"name": "cifar-dist"}}}
    assert cluster_of(Cluster("team", there=there), "cifar-dist", None) == "cifar-dist"
    jobs = {
        "rayjobs.ray.io": [running()],
        f"rayjobs.ray.io {running()['metadata']['name']}": running(),
    }
    both = Cluster("team", there={**there, **jobs})
    assert cluster_of(both, "cifar-dist", None).startswith("quickstart-1a2b3c4d-")
    with pytest.raises(ConfigError, match="no job runs"):
        cluster_of(Cluster("team"), "cifar-dist", None)


def test_the_newest_job_in_a_state_is_found() -> None:
    jobs = [job("Complete", "SUCCEEDED"), job("Complete", "SUCCEEDED"), running()]
    for each, day in zip(jobs, (2, 1, 3), strict=True):
        each["metadata"] |= {"name": f"job-{day}", "creationTimestamp": f"2026-11-0{day}T00:00:00Z"}
    door = Cluster("team", there={"rayjobs.ray.io": jobs})
    assert newest(door, ("succeeded",)) == "job-2"
    assert newest(door, ("failed",)) is None


@pytest.mark.parametrize(
    ("store", "target"),
    [
        ({"dev": {"enabled": True}}, "--namespace=team port-forward --address=127.0.0.1 "
         "svc/cd-store :7070"),
        ({"endpoint": "http://minio.storage.svc:9000"}, "--namespace=storage port-forward "
         "--address=127.0.0.1 svc/minio :9000"),
        ({"endpoint": "http://gate"}, "--namespace=team port-forward --address=127.0.0.1 svc/gate "
         ":80"),
    ],
)  # fmt: skip
def test_a_store_inside_the_cluster_is_reached_through_a_port(
    store: Json, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(
        tmp_path,
        "kubectl",
        f'echo "$@" > {tmp_path}/call; echo "Forwarding from 127.0.0.1:43210 -> 1"; exec sleep 60',
        monkeypatch,
    )
    keys = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "hidden"}
    values = complete({"store": {"uri": "s3://bucket/a", "existingSecret": "keys", **store}})
    door = Cluster("team", there={"secret keys": encoded(**keys)})
    own = OWN if "dev" in store else {}  # which a server of the platform's own does not know
    with store_environment(door, values, "cd", own) as found:
        assert found["AWS_ENDPOINT_URL"] == found["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:43210"
        assert keys.items() <= found.items()
    assert (tmp_path / "call").read_text().strip() == target


@pytest.mark.parametrize("endpoint", ["", "https://s3.example.org"])
def test_a_store_outside_is_reached_as_it_is_with_the_callers_own_keys(endpoint: str) -> None:
    values = complete(
        {"store": {"uri": "s3://bucket/a", "endpoint": endpoint, "existingSecret": "keys"}}
    )
    with store_environment(Cluster("team"), values, "cd", OWN) as found:
        assert "AWS_ACCESS_KEY_ID" not in found
        assert found.get("AWS_ENDPOINT_URL", "") == endpoint


def test_a_silent_dashboard_is_not_taken_for_a_silent_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Dashboard() as gone:
        way = SimpleNamespace(port=gone.server_port)
    monkeypatch.setattr("cifar_dist.submission.access.dashboard", lambda *_: nullcontext(way))
    door = Cluster("team", there={f"secret {CLUSTER}": encoded(auth_token="t")})
    with pytest.raises(RunError, match=r"the dashboard of .* does not answer") as raised:
        stop_driver(door, Snapshot(running()))
    assert not isinstance(raised.value, UnreachableError)
