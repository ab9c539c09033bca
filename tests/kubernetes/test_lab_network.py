"""The network policies as the cluster enforces them, probed from pods: who may connect to whom."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.kubernetes.cluster import NAMESPACE, RELEASE, attempt, kubectl, told, until

OUTSIDE, OPERATOR, MONITORING = "stranger", "kuberay-system", "monitoring"
_PORTS = (8265, 6379, 10001, 8080, 44217, 44227, 9400, 7070)
_METRICS = (8080, 44217, 44227, 9400)

# From pod, to pod, ports that connect; every other port and pair of the table must not.
_ALLOWED: dict[tuple[str, str], tuple[int, ...]] = {
    ("head", "worker"): _PORTS,
    ("head", "worker2"): _PORTS,
    ("worker", "head"): _PORTS,
    ("worker", "worker2"): _PORTS,
    ("head", "store"): (7070,),
    ("worker", "store"): (7070,),
    ("bootstrap", "store"): (7070,),
    ("test", "store"): (7070,),
    ("test", "head"): (8265,),
    ("operator", "head"): (8265,),
    ("prometheus", "head"): _METRICS,
    ("prometheus", "worker"): _METRICS,
    ("prometheus", "worker2"): _METRICS,
}
_OF_RELEASE = ("head", "worker", "worker2", "store", "bootstrap", "test")
_CLIENTS = (
    "head",
    "worker",
    "store",
    "bootstrap",
    "test",
    "stranger",
    "other",
    "operator",
    "prometheus",
)
_SERVERS = ("head", "worker", "worker2", "store", "other")
_NAMESPACES = {"stranger": OUTSIDE, "operator": OPERATOR, "prometheus": MONITORING}


def _pod(name: str) -> str:
    namespace = _NAMESPACES.get(name, NAMESPACE)
    labels = {"probe": name}
    if name in _OF_RELEASE:
        labels |= {
            "app.kubernetes.io/name": "cifar-dist",
            "app.kubernetes.io/instance": RELEASE,
            "app.kubernetes.io/component": name.rstrip("2"),
        }
    written = ", ".join(f'{key}: "{value}"' for key, value in labels.items())
    containers = "".join(
        f"""
  - name: port-{port}
    image: localhost/tiny:lab
    imagePullPolicy: Never
    args: [serve, ":{port}", hello]
    securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}"""
        for port in _PORTS
    )
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: probe-{name}, namespace: {namespace}, labels: {{{written}}}}}
spec:
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  nodeSelector: {{kubernetes.io/hostname: lab}}
  securityContext:
    {{runAsNonRoot: true, runAsUser: 65532, seccompProfile: {{type: RuntimeDefault}}}}
  containers:{containers}
---"""


@pytest.fixture(scope="module")
def addresses(platform: str) -> Iterator[dict[str, str]]:
    """Start a pod for each party, listening on all ports of the table; gives their addresses."""
    for namespace in (OUTSIDE, MONITORING):
        attempt("kubectl", "create", "namespace", namespace)
    names = sorted({*_CLIENTS, *_SERVERS})
    manifest = "".join(map(_pod, names))
    kubectl("apply", "-f", "-", given=manifest)

    def started() -> dict[str, str]:
        items = told("get", "pods", "--all-namespaces", "-l", "probe")["items"]
        found = {
            item["metadata"]["labels"]["probe"]: item["status"].get("podIP", "")
            for item in items
            if item["status"].get("phase") == "Running"
        }
        return found if len(found) == len(names) and all(found.values()) else {}

    try:
        yield until("probes", started)
    finally:
        attempt("kubectl", "delete", "--now", "-f", "-", given=manifest)
        attempt("kubectl", "delete", "namespace", OUTSIDE, MONITORING, "--wait=false")


def _connects(client: str, address: str) -> bool:
    """Ask from a pod's container, which tries for ten seconds."""
    namespace = _NAMESPACES.get(client, NAMESPACE)
    pod, container = f"probe-{client}", f"port-{_PORTS[0]}"
    command = ("exec", "-n", namespace, pod, "-c", container, "--", "/pause", "get", address)
    return attempt("kubectl", *command).returncode == 0


def _table(addresses: dict[str, str]) -> dict[tuple[str, str, int], bool]:
    asked = [
        (client, server, port)
        for client in _CLIENTS
        for server in _SERVERS
        for port in _PORTS
        if client != server and ((client, server) in _ALLOWED or port in (8265, 6379, 7070))
    ]
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda a: _connects(a[0], f"http://{addresses[a[1]]}:{a[2]}"), asked)
        return dict(zip(asked, answers, strict=True))


def _expected(client: str, server: str, port: int) -> bool:
    free = {*_NAMESPACES, "other"}
    if server == "other":  # no policy selects it: what leaves the client's decides
        return client in free
    return port in _ALLOWED.get((client, server), ())


def test_every_pair_of_the_table_connects_or_does_not_as_it_should(
    addresses: dict[str, str],
) -> None:
    wrong = [what for what, found in _table(addresses).items() if found != _expected(*what)]
    assert wrong == []


@pytest.mark.parametrize("client", ["head", "worker", "store", "bootstrap"])
def test_a_nodes_metadata_is_out_of_reach(addresses: dict[str, str], client: str) -> None:
    assert not _connects(client, "http://169.254.169.254/latest/meta-data/")


@pytest.mark.parametrize("client", ["head", "worker", "bootstrap"])
def test_names_are_resolved(addresses: dict[str, str], client: str) -> None:
    name = f"{RELEASE}-cifar-dist-store.{NAMESPACE}.svc.cluster.local"
    container = f"port-{_PORTS[0]}"
    command = ("exec", "-n", NAMESPACE, f"probe-{client}", "-c", container, "--")
    assert attempt("kubectl", *command, "/pause", "lookup", name).returncode == 0
