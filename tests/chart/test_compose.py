"""deploy/compose.yaml: pinned images, loopback ports, no secret in it, and few rights."""

import re
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.renders import CHART, ROOT

DEPLOY = ROOT / "deploy"
FILE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
BUILT_HERE = "cifar-dist:dev"
each = pytest.mark.parametrize("name", SERVICES)


def default(value: str) -> str:
    """Give what `${NAME:-default}` is without a setting."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


@each
def test_an_image_has_a_version_and_may_be_named_by_digest(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"\$\{[A-Z_]+_IMAGE:-.+\}", image)
    assert default(image) == BUILT_HERE or re.search(r":v?\d+\.\d+\.\d+$", default(image))


@each
def test_a_service_may_do_nothing_that_it_need_not(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert any(place.startswith("/tmp") for place in service["tmpfs"])
    forbidden = {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices", "userns_mode"}
    assert not forbidden & set(service)


@each
def test_ports_are_open_on_this_machine_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@each
def test_secrets_come_from_the_environment_and_are_refused_when_missing(name: str) -> None:
    words = re.compile("TOKEN|SECRET|PASSWORD|ACCESS_KEY")
    for variable, value in SERVICES[name].get("environment", {}).items():
        if words.search(variable):
            assert re.fullmatch(r"\$\{\w+:\?run deploy/compose-env\}", value)


@each
def test_a_service_is_known_to_be_healthy_or_ends(name: str) -> None:
    service = SERVICES[name]
    assert "healthcheck" in service or service["restart"] == "no"
    waited_for = service.get("depends_on", {})
    for other, how in waited_for.items():
        ends = SERVICES[other]["restart"] == "no"
        healthy = "service_completed_successfully" if ends else "service_healthy"
        assert how["condition"] == healthy


@each
def test_what_is_mounted_from_the_checkout_is_there_and_read_only(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, _, rest = volume.partition(":")
        if source.startswith("."):
            assert (DEPLOY / source).exists()
            assert rest.endswith(":ro")
        else:
            assert source in FILE["volumes"]


def test_ray_keeps_its_objects_in_the_shared_memory_that_it_has() -> None:
    for name in ("head", "worker", "worker-gpu"):
        command = map(default, SERVICES[name]["command"])
        (said,) = [word for word in command if word.startswith("--object-store-memory=")]
        shared = int(default(SERVICES[name]["shm_size"]).removesuffix("g")) * 2**30
        assert 0.5 * shared < int(said.partition("=")[2]) < shared


def test_gpus_go_to_the_workers_of_their_profile_alone() -> None:
    reserved = {name for name, service in SERVICES.items() if "deploy" in service}
    assert reserved == {"worker-gpu"}
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    assert (SERVICES["worker"]["profiles"], SERVICES["worker-gpu"]["profiles"]) == (
        ["cpu"],
        ["gpu"],
    )


def test_prometheus_finds_every_target_that_its_file_names() -> None:
    text = (DEPLOY / "monitoring" / "prometheus.yml").read_text("utf-8")
    named = set(re.findall(r"\b(head|worker)\b(?=:\d|[,\]])", text))
    aliases = SERVICES["worker-gpu"]["networks"]["default"]["aliases"]
    assert named == {"head", "worker"} and aliases == ["worker"]


def test_the_store_is_the_one_that_the_chart_brings() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    brought: Mapping[str, str] = values["store"]["dev"]["image"]
    assert brought["tag"] == default(SERVICES["store"]["image"]).rpartition(":")[2]
    assert f"version={brought['tag']}\n" in (DEPLOY / "versitygw").read_text("utf-8")


def test_compose_env_writes_new_secrets_once_for_their_owner_alone(tmp_path: Path) -> None:
    script = tmp_path / "compose-env"
    script.write_bytes((DEPLOY / "compose-env").read_bytes())
    codes = [subprocess.run(["bash", str(script)], capture_output=True).returncode for _ in "12"]
    written = tmp_path / ".env"
    settings = dict(line.split("=") for line in written.read_text().splitlines())
    asked = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text("utf-8")))
    assert codes == [0, 1]
    assert asked | {"COMPOSE_PROFILES"} == set(settings)
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert len(settings["RAY_AUTH_TOKEN"]) == 64
