"""What deploy/ names by version: one version everywhere, and scripts that a reader can trust."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cifar_dist import __version__
from tests.chart.renders import CHART, ROOT, needed

DEPLOY = ROOT / "deploy"
LAB = DEPLOY / "lab"
VERSIONS = dict(
    re.findall(
        r"^(\w+)=(?:\$\{\w+:-)?([^\s}#]+)", (LAB / "versions.sh").read_text("utf-8"), re.MULTILINE
    )
)
SCRIPTS = sorted(
    path
    for path in [*DEPLOY.iterdir(), *LAB.glob("*.sh")]
    if path.is_file() and path.read_bytes().startswith((b"#!/usr/bin/env bash", b"# shellcheck"))
)
FOLDERS = {
    "HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR",
    "CIFAR_DIST_CACHE",
}  # fmt: skip
MODULES = {
    "KUBERNETES_VERSION": ("kube", "k8s.io/kubernetes"),
    "ETCD_VERSION": ("etcd", "go.etcd.io/etcd/server/v3"),
    "COREDNS_VERSION": ("coredns", "github.com/coredns/coredns"),
    "HELM_UNITTEST_VERSION": ("helm-unittest", "github.com/helm-unittest/helm-unittest"),
    "KUBERAY": ("kuberay", "github.com/ray-project/kuberay/ray-operator"),
}


@pytest.mark.parametrize("name", MODULES)
def test_the_lab_says_which_versions_its_modules_fix(name: str) -> None:
    folder, module = MODULES[name]
    text = (LAB / "build" / folder / "go.mod").read_text("utf-8")
    (version,) = re.findall(rf"^\s*(?:require )?{re.escape(module)} v(\S+)", text, re.MULTILINE)
    assert VERSIONS[name].removeprefix("v") == version


def test_chart_lab_and_lock_have_the_same_ray() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    locked = re.findall(
        r"^ray==(\S+)", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE
    )
    assert [VERSIONS["RAY_VERSION"]] == [values["ray"]["version"]] == locked


def test_kind_makes_the_kubernetes_of_the_lab_with_two_nodes_that_work() -> None:
    cluster: dict[str, Any] = yaml.safe_load((DEPLOY / "kind" / "cluster.yaml").read_text("utf-8"))
    assert (cluster["kind"], cluster["apiVersion"]) == ("Cluster", "kind.x-k8s.io/v1alpha4")
    assert [node["role"] for node in cluster["nodes"]] == ["control-plane", "worker", "worker"]
    minor = VERSIONS["KUBERNETES_VERSION"].rpartition(".")[0]
    assert {node["image"].rpartition(".")[0] for node in cluster["nodes"]} == {
        f"kindest/node:{minor}"
    }


def test_the_recipe_for_kind_names_what_there_is() -> None:
    text = (DEPLOY / "kind" / "README.md").read_text("utf-8")
    assert f"localhost/cifar-dist:{__version__}" in text
    for path in re.findall(r"(?:deploy|helm)/[\w/.-]+\.yaml|deploy/Dockerfile", text):
        assert (ROOT / path).is_file()


def test_the_recipe_for_kind_publishes_the_images_that_its_run_reads() -> None:
    text = (DEPLOY / "kind" / "README.md").read_text("utf-8")
    (published,) = re.findall(r"(?m)^cifar-dist data push sample (s3://\S+)$", text)
    assert re.search(rf"(?m)^cifar-dist submit tune .* --data {published} ", text)


def test_the_image_names_no_package_that_is_not_pinned() -> None:
    pins = (DEPLOY / "uv.txt").read_text("utf-8")
    dockerfile = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert re.match(r"uv==\d+\.\d+\.\d+ ", pins) and "--hash=sha256:" in pins
    assert dockerfile.count("--require-hashes") == 4
    assert "USER 1000:1000" in dockerfile and "latest" not in dockerfile


def test_the_image_writes_below_tmp_alone_and_calls_nobody() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    settings = dict(re.findall(r"(?m)^(?:ENV)? +([A-Z_]+)=(\S+) ?\\?$", text))
    assert all(settings[name].startswith("/tmp/home") for name in FOLDERS)
    assert (settings["RAY_USAGE_STATS_ENABLED"], settings["NO_ALBUMENTATIONS_UPDATE"]) == ("0", "1")


def test_only_what_the_dockerfile_copies_is_sent_to_the_engine() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied: set[str] = set()
    for words in re.findall(r"^COPY (.+) \S+$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.M):
        copied |= set(words.split())
    assert "*" in lines
    assert sent == copied


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_bash_and_shellcheck_find_nothing_in_a_script(path: Path) -> None:
    assert subprocess.run(["bash", "-n", str(path)], timeout=60).returncode == 0
    ended = subprocess.run(
        [needed("shellcheck"), path.name],
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout
