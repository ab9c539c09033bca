"""Other projects' definitions of custom objects, from their public sources and never from here."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.chart.crd import Kind, Schema, definitions
from tests.chart.renders import lacking, needed

# A module's version and the sum that Go's checksum database has of it.
KUBERAY = (
    "github.com/ray-project/kuberay/ray-operator@v1.6.1",
    "h1:IMtV0QW8AxGp4/CbPLd/olXBBxpUNQQr1n4Mu59khl4=",
)
PROMETHEUS = (
    "github.com/prometheus-operator/prometheus-operator@v0.93.1",
    "h1:4Juk8v93RdG1DSGD/mGp+SeQKPmnlLIj2iq3blLZgFY=",
)
GATEWAY = (
    "sigs.k8s.io/gateway-api@v1.4.1",
    "h1:NPxFutNkKNa8UfLd2CMlEuhIPMQgDQ6DXNKG9sHbJU8=",
)
SECONDS = 300


@cache
def module(name: str, total: str) -> Path:
    """Give the folder of a Go module, fetched once by Go's own client; `lacking` without it."""
    ended = subprocess.run(
        [needed("go"), "mod", "download", "-json", name],
        cwd="/",
        env={**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if ended.returncode:
        lacking(f"{name} cannot be fetched: {ended.stdout.strip() or ended.stderr.strip()}")
    about = json.loads(ended.stdout)
    assert about["Sum"] == total, f"{name} is not what it was"
    return Path(about["Dir"])


@cache
def kuberay() -> dict[Kind, Schema]:
    """Give the definitions of the released operator."""
    return definitions(*(module(*KUBERAY) / "config" / "crd" / "bases").glob("*.yaml"))


@cache
def next_kuberay() -> dict[Kind, Schema]:
    """Give the definitions of the checkout that KUBERAY_SOURCE names: its root or ray-operator/."""
    source = os.environ.get("KUBERAY_SOURCE")
    if not source:
        # Not `lacking`, which fails in CI.
        pytest.skip(
            "KubeRay 1.7 is never checked in CI: the public proxy refuses its Go module; "
            "KUBERAY_SOURCE may name a checkout"
        )
    files = [*Path(source).glob("config/crd/bases/*"), *Path(source).glob("*/config/crd/bases/*")]
    assert files, f"KUBERAY_SOURCE={source} has no config/crd/bases"
    return definitions(*files)


@cache
def prometheus() -> dict[Kind, Schema]:
    """Give the definitions of PodMonitor and PrometheusRule."""
    folder = module(*PROMETHEUS) / "example" / "prometheus-operator-crd"
    names = ("podmonitors", "prometheusrules")
    return definitions(*(folder / f"monitoring.coreos.com_{name}.yaml" for name in names))


@cache
def gateway() -> dict[Kind, Schema]:
    """Give the definition of HTTPRoute."""
    folder = module(*GATEWAY) / "config" / "crd" / "standard"
    return definitions(folder / "gateway.networking.k8s.io_httproutes.yaml")
