"""What the tests on Kubernetes share: the lab, and the platform installed in it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.cluster import (
    KEYS,
    NAMESPACE,
    RELEASE,
    TOKEN,
    attempt,
    install,
    kubectl,
    secret,
    told,
)

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder, and only those."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.kubernetes)


@pytest.fixture(scope="session", autouse=True)
def lab() -> None:
    """Need the lab: these tests make and delete things in the cluster that they find."""
    found = shutil.which("kubectl") and attempt("kubectl", "get", "node", "lab").returncode == 0
    if not found:
        pytest.skip("the lab is not up (make lab-up), or this is not inside it (make test-k8s)")


@pytest.fixture(scope="session")
def namespace(lab: None) -> str:
    """Make the namespace, which admits restricted pods only, and the Secrets that a user makes."""
    names = [item["metadata"]["name"] for item in told("get", "namespaces")["items"]]
    if NAMESPACE not in names:
        kubectl("create", "namespace", NAMESPACE)
    label = "pod-security.kubernetes.io/enforce=restricted"
    kubectl("label", "--overwrite", "namespace", NAMESPACE, label)
    secret("ray-token", {"auth_token": TOKEN})
    secret("store-keys", KEYS)
    return NAMESPACE


@pytest.fixture(scope="session")
def platform(namespace: str) -> Iterator[str]:
    """Install the platform, with a store in the cluster, and take it away again."""
    install()
    yield RELEASE
    attempt("helm", "uninstall", RELEASE, "--namespace", namespace, "--wait")
