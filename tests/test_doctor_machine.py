"""What the examination says of this machine and what is installed on it."""

from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest
import torch

from cifar_dist import device
from cifar_dist import machine as owned
from cifar_dist.device import Gpu, GpuFacts, runs_on
from cifar_dist.doctor import machine, software
from cifar_dist.doctor.check import Setup
from cifar_dist.errors import DeviceError, RefusedError

SETUP = Setup("nowhere", "synthetic")
Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("version", "needed", "answer"),
    [
        ("2.60.0", ">=2.60,<2.61", True),
        ("2.61", ">=2.60,<2.61", False),
        ("2.9.1", ">=2.11", False),
        ("2.15.0+cpu", "==2.15.0", True),
        ("2.15.1", "==2.15.*", True),
        ("2.15.1", "==2.14.*", False),
        ("2", ">=2.0.0", True),
        ("8.3.2", "!=8.3.*,>=5.3", False),
        ("3.11", "<=3.11.0,>3.10", True),
        ("1.0", "", True),
    ],
)
def test_a_version_keeps_a_requirement_or_not(version: str, needed: str, answer: bool) -> None:
    assert software.fits(version, needed) == answer


def test_a_missing_and_an_old_package_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "ray":
            raise metadata.PackageNotFoundError(name)
        return "2.1.0" if name == "torch" else "999"

    wanted = {"cifar-dist": ["torch>=2.11", "ray[train]>=2.60", 'onnx>=1 ; extra == "onnx"']}
    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "requires", wanted.get)
    finding = software.packages(SETUP)
    assert (finding.verdict, finding.exit_code) == ("failed", 2)
    assert finding.found == "torch 2.1.0 is not >=2.11, ray is not installed"


def test_a_torchvision_for_another_torch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"cifar-dist": [], "torchvision": ["numpy", "torch==2.14.0"]}
    monkeypatch.setattr(metadata, "version", lambda name: "2.15.0")
    monkeypatch.setattr(metadata, "requires", wanted.get)
    assert software.packages(SETUP).found == "torch 2.15.0 is not ==2.14.0"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OMP_NUM_THREADS", "abc", "OMP_NUM_THREADS='abc' is no count"),
        ("OMP_NUM_THREADS", "0", "OMP_NUM_THREADS='0' is no count"),
        ("LD_PRELOAD", "/x.so", "LD_PRELOAD='/x.so' is loaded"),
        ("RAY_TRAIN_V2_ENABLED", "0", "RAY_TRAIN_V2_ENABLED=0"),
        ("https_proxy", "http://u:hunter2@proxy:1", "https_proxy='http://***@proxy:1'"),
        ("AWS_ENDPOINT_URL_S3", "http://b", "wins over a different AWS_ENDPOINT_URL"),
    ],
)
def test_an_odd_variable_is_shown(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://a")
    monkeypatch.setenv(variable, value)
    finding = software.environment(SETUP)
    assert finding.verdict == "warning"
    assert said in finding.found
    assert "hunter2" not in finding.found


@pytest.mark.parametrize(
    ("variable", "value"),
    [("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1"), ("RAY_AUTH_MODE", "disabled")],
)
def test_a_variable_that_undoes_a_protection_is_a_failure(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    finding = software.environment(SETUP)
    assert (finding.verdict, finding.exit_code) == ("failed", RefusedError.exit_code)
    assert variable in finding.found


def test_a_danger_that_the_caller_takes_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("CIFAR_DIST_ALLOW_INSECURE", "1")
    assert software.environment(SETUP).verdict == "warning"
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    finding = software.environment(SETUP)
    assert finding.verdict == "failed"
    assert finding.remedy == "run `unset TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD`"


@pytest.mark.parametrize(
    ("capability", "built", "answer"),
    [
        ((9, 0), ["sm_80", "sm_90"], True),
        ((8, 9), ["sm_80", "sm_90"], True),
        ((7, 0), ["sm_75", "sm_80"], False),
        ((12, 0), ["sm_90"], False),
        ((12, 0), ["sm_80", "compute_90"], True),
        ((9, 0), ["sm_90a"], True),
        ((10, 3), ["sm_100a"], False),
        ((10, 3), ["sm_100f"], True),
        ((9, 0), ["gfx90a"], False),
        ((9, 0), [], False),
    ],
)
def test_code_built_for_an_architecture_runs_on_a_gpu_or_not(
    capability: tuple[int, int], built: list[str], answer: bool
) -> None:
    assert runs_on(capability, built) == answer


@pytest.mark.parametrize(
    ("gpus", "verdict", "said"),
    [
        ((), "warning", "built for CUDA 13.0, cannot use the GPUs here"),
        ((Gpu("Old", "6.1", False),), "failed", "has no kernels for capability 6.1"),
        ((Gpu("New", "9.0", True),), "ok", "New (capability 9.0), CUDA 13.0"),
    ],
)
def test_a_gpu_without_kernels_is_a_failure_and_one_that_torch_does_not_see_a_warning(
    gpus: tuple[Gpu, ...], verdict: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "has_driver", lambda: True)
    monkeypatch.setattr(device, "gpu_facts", lambda: GpuFacts("2.15.0", "13.0", gpus))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    finding = machine.gpu(SETUP)
    assert finding.verdict == verdict
    assert finding.exit_code == (DeviceError.exit_code if verdict == "failed" else 0)
    assert said in finding.found


@pytest.mark.parametrize(("value", "verdict"), [("", "ok"), ("-1", "ok"), ("0", "warning")])
def test_gpus_that_are_hidden_on_purpose_are_no_fault(
    value: str, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "has_driver", lambda: True)
    monkeypatch.setattr(device, "gpu_facts", lambda: GpuFacts("2.15.0", None, ()))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert machine.gpu(SETUP).verdict == verdict


@pytest.mark.parametrize(
    ("maker", "kind", "verdict"),
    [("0x10de", "0x030200", "warning"), ("0x10de", "0x040300", "ok"), ("0x1002", "0x03", "ok")],
)
def test_a_card_without_its_driver_is_a_warning(
    maker: str, kind: str, verdict: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "0000:00:1e.0").mkdir()
    (tmp_path / "0000:00:1e.0" / "vendor").write_text(f"{maker}\n")
    (tmp_path / "0000:00:1e.0" / "class").write_text(f"{kind}\n")
    (tmp_path / "0000:00:1f.0").mkdir()
    monkeypatch.setattr(machine, "_CARDS", tmp_path)
    monkeypatch.setattr(machine, "has_driver", lambda: False)
    assert machine.gpu(SETUP).verdict == verdict


def test_gpus_are_described_as_torch_sees_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_80", "sm_90"])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (6 + 2 * index, 1))
    gpus = device.gpu_facts().gpus
    assert gpus == (Gpu("GPU 0", "6.1", False), Gpu("GPU 1", "8.1", True))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.gpu_facts().gpus == ()


@pytest.mark.parametrize(
    ("free", "verdict"), [(8_000_000, "failed"), (500_000_000, "warning"), (2 * 10**9, "ok")]
)
def test_room_on_a_disk_is_judged(
    free: int, verdict: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(10**10, 0, free))
    finding = machine.room(tmp_path / "not" / "yet", "--store")
    assert finding.verdict == verdict
    assert finding.remedy is None or "--store" in finding.remedy


def test_little_shared_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(64 << 20, 0, 64 << 20))
    finding = machine.shared_memory(SETUP)
    assert finding.verdict == "warning"
    assert "--shm-size" in (finding.remedy or "")


def test_little_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: 10**9)
    assert machine.memory(SETUP).verdict == "warning"


def test_free_memory_is_what_a_containers_limit_leaves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, text in (("max", "3000"), ("used", "2500"), ("stat", "anon 1\ninactive_file 400\n")):
        (tmp_path / name).write_text(text)
    files = tuple(str(tmp_path / name) for name in ("max", "used", "stat"))
    monkeypatch.setattr(owned, "_MEMORY_FILES", (files,))
    assert owned.free_memory() == 900
    (tmp_path / "max").write_text("max")
    assert owned.free_memory() > 10**6
