"""Who may speak to whom: each shape's policies against a complete table of pairs and ports."""

import itertools
from collections.abc import Iterator
from functools import cache

import pytest

from tests.chart.injected import pods
from tests.chart.network import End, Network, Port
from tests.chart.renders import CI, NAMESPACE, Case, Object, objects, rendered

OPERATOR, MONITORING, OTHER = "kuberay-system", "monitoring", "somebody"
NAMESPACES = {
    name: {"kubernetes.io/metadata.name": name}
    for name in (NAMESPACE, OPERATOR, MONITORING, OTHER, "kube-system", "minio")
}
OUTSIDE = {
    "s3": "52.216.1.2",
    "metadata": "169.254.169.254",
    "identity": "169.254.170.23",
    "api": "10.213.0.1",
    "intranet": "10.20.30.40",
}
FOREIGN = {
    "operator": OPERATOR,
    "prometheus": MONITORING,
    "dns": "kube-system",
    "minio": "minio",
    "stranger": NAMESPACE,
    "neighbor": OTHER,  # wears the labels of a worker
}
PORTS = [
    Port(53, "UDP"),
    *map(Port, (22, 53, 80, 443, 3000, 6379, 6443, 7070, 8080, 8265, 9000, 9090, 9400)),
    *map(Port, (10001, 44217, 44227, 31337, 52365)),
]  # fmt: skip
METRICS = {8080, 9400, 44217, 44227}
ALL: set[int] = {port.number for port in PORTS}
RAY, SHORT = {"head", "worker"}, {"bootstrap", "test"}
DNS = (RAY | SHORT, {"dns"}, {53})
ALWAYS = [
    (RAY, RAY, ALL),
    ({"operator", "test"}, {"head"}, {8265}),
    ({"prometheus"}, RAY, METRICS),
    DNS,
]
SHAPES: dict[str, tuple[Case, list[tuple[set[str], set[str], set[int]]]]] = {
    "a run and the development store": (
        Case("s3-dev", "job"),
        [*ALWAYS, (RAY | SHORT, {"store"}, {7070}), ({"head"}, {"api"}, {443, 6443})],
    ),
    "a run on AWS with Pod Identity": (
        Case("aws-irsa", "job"),
        [*ALWAYS, (RAY | SHORT, {"s3"}, {443}), (RAY | SHORT, {"identity"}, {80})],
    ),
    "a cluster that scales and MinIO beside it": (
        Case("cluster", "cluster"),
        [
            *ALWAYS,
            (RAY | SHORT, {"minio"}, {9000}),
            ({"head"}, {"api"}, {443, 6443}),
            ({"head"}, {"prometheus"}, {3000, 9090}),
        ],
    ),
}
SETTINGS = {
    "a run and the development store": ("networkPolicy.egress.apiServer={10.213.0.1/32}",),
    "a run on AWS with Pod Identity": (
        "networkPolicy.egress.podIdentity=true",
        "autoscaling.enabled=false",
    ),
}


@cache
def _things(shape: str) -> list[Object]:
    return objects(rendered(SHAPES[shape][0], *SETTINGS.get(shape, ())))


def _network(things: list[Object]) -> Network:
    return Network([one for one in things if one["kind"] == "NetworkPolicy"], NAMESPACES)


def _own(things: list[Object]) -> Iterator[End]:
    """Give a pod for each component, with the labels that it will have."""
    component = "app.kubernetes.io/component"
    seen: set[str] = set()
    for name, pod in (pair for thing in things for pair in pods(thing)):
        labels = dict(pod["metadata"].get("labels") or {})
        if name.startswith("Ray"):
            labels |= {"ray.io/cluster": "demo", "ray.io/is-ray-node": "yes"}
        if labels.get(component) and labels[component] not in seen:
            seen.add(labels[component])
            yield End(labels[component], f"10.214.0.{len(seen)}", NAMESPACE, labels)


def _ends(things: list[Object]) -> list[End]:
    own = list(_own(things))
    worker = next(end for end in own if end.name == "worker")
    foreign = [
        End(name, f"10.214.9.{number}", namespace, worker.labels if name == "neighbor" else {})
        for number, (name, namespace) in enumerate(FOREIGN.items())
    ]
    return [*own, *foreign, *(End(name, address) for name, address in OUTSIDE.items())]


def _wrong(shape: str, network: Network) -> list[str]:
    """Say which connections differ from the shape's table, of those that begin or end here."""
    things = _things(shape)
    ends, own = _ends(things), {end.name for end in _own(things)}
    assert own >= RAY
    wrong = []
    for source, target, port in itertools.product(ends, ends, PORTS):
        if not {source.name, target.name} & own:
            continue
        wanted = any(
            source.name in sources and target.name in targets and port.number in numbers
            for sources, targets, numbers in SHAPES[shape][1]
            if port.protocol == "TCP" or 53 in numbers
        )
        if network.connects(source, target, port) != wanted:
            said = "may not" if wanted else "may"
            wrong.append(f"{source.name} {said} reach {target.name}:{port.number}/{port.protocol}")
    return wrong


@pytest.mark.parametrize("shape", SHAPES)
def test_exactly_the_pairs_of_the_table_connect(shape: str) -> None:
    assert not _wrong(shape, _network(_things(shape)))


def test_the_table_notices_every_policy_that_is_missing() -> None:
    shape = next(iter(SHAPES))
    policies = _network(_things(shape)).policies
    assert len(policies) == 6
    for missing in policies:
        kept = [policy for policy in policies if policy is not missing]
        assert _wrong(shape, Network(kept, NAMESPACES)), missing["metadata"]["name"]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_pod_of_the_release_is_bound_both_ways(shape: str) -> None:
    things = _things(shape)
    network = _network(things)
    for end in _own(things):
        assert network.binds(end, "Ingress") and network.binds(end, "Egress"), end.name


@pytest.mark.parametrize("values", CI)
def test_no_shape_lets_a_pod_ask_for_the_nodes_credentials(
    values: str, renders: dict[Case, str]
) -> None:
    things = objects(renders[Case(values, "job")])
    network = _network(things)
    for end, number in itertools.product(_own(things), (80, 443, 8080, 31337)):
        metadata = End("metadata", "169.254.169.254")
        assert not network.connects(end, metadata, Port(number)), f"{end.name}:{number}"


@cache
def _default(settings: tuple[str, ...]) -> list[Object]:
    return objects(rendered(Case("default", "job"), *settings))


def _head_reaches(address: str, port: int, *settings: str) -> bool:
    things = _default(settings)
    head = next(end for end in _own(things) if end.name == "head")
    return _network(things).connects(head, End("target", address), Port(port))


def test_the_api_server_is_sought_in_private_networks_unless_it_is_named() -> None:
    scaling = "autoscaling.enabled=true"
    named = "networkPolicy.egress.apiServer={10.213.0.1/32}"
    assert _head_reaches("10.213.0.1", 6443, scaling)
    assert not _head_reaches("10.213.0.1", 8443, scaling)
    assert _head_reaches("10.213.0.1", 6443, scaling, named)
    assert not _head_reaches("10.213.0.2", 6443, scaling, named)
    assert not _head_reaches("10.213.0.1", 6443, "autoscaling.enabled=false")


@pytest.mark.parametrize(
    ("endpoint", "reached", "kept"),
    [
        ("https://s3.example.org", ("52.216.1.2", 443), ("10.1.2.3", 443)),
        ("https://s3.example.org:8443", ("52.216.1.2", 8443), ("52.216.1.2", 443)),
        ("http://10.1.2.3:9000", ("10.1.2.3", 9000), ("10.1.2.4", 9000)),
        ("", ("52.216.1.2", 443), ("169.254.1.1", 443)),
    ],
)
def test_the_way_to_the_store_follows_from_its_endpoint(
    endpoint: str, reached: tuple[str, int], kept: tuple[str, int]
) -> None:
    settings = (f"store.endpoint={endpoint}", "autoscaling.enabled=false")
    assert _head_reaches(*reached, *settings)
    assert not _head_reaches(*kept, *settings)


def test_what_the_store_is_said_to_lie_in_replaces_what_its_endpoint_says() -> None:
    block = "networkPolicy.egress.s3[0].cidr"
    settings = ("autoscaling.enabled=false", f"{block}=0.0.0.0/0")
    assert _head_reaches("52.216.1.2", 443, *settings)
    assert not _head_reaches("169.254.169.254", 443, *settings)
    narrow = ("autoscaling.enabled=false", f"{block}=52.216.0.0/15")
    assert not _head_reaches("52.1.1.1", 443, *narrow)


def test_without_policies_the_evaluator_lets_everything_pass() -> None:
    end = End("a", "10.0.0.1", NAMESPACE)
    assert Network([], NAMESPACES).connects(end, End("b", "1.1.1.1"), Port(1))
