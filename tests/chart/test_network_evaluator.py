"""The evaluator of policies itself: selectors, blocks with holes, ports by name and in ranges."""

from typing import Any

import pytest

from tests.chart.network import End, Network, Port, selects

SPACES = {"a": {"team": "one"}, "b": {"team": "two"}}
WEB = End("web", "10.0.0.1", "a", {"app": "web"}, {"http": 8000})
DATABASE = End("database", "10.0.0.2", "b", {"app": "database"})
ABROAD = End("abroad", "198.51.100.7")


def _network(**spec: Any) -> Network:
    metadata = {"name": "one", "namespace": "a"}
    return Network([{"metadata": metadata, "spec": {"podSelector": {}, **spec}}], SPACES)


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ({"operator": "In", "values": ["web"]}, True),
        ({"operator": "In", "values": ["database"]}, False),
        ({"operator": "NotIn", "values": ["web"]}, False),
        ({"operator": "Exists"}, True),
        ({"operator": "DoesNotExist"}, False),
    ],
)
def test_expressions_choose_labels(expression: dict[str, Any], chosen: bool) -> None:
    assert selects({"matchExpressions": [{"key": "app", **expression}]}, WEB.labels) is chosen


def test_an_unknown_operator_is_an_error() -> None:
    with pytest.raises(ValueError, match="no such operator"):
        selects({"matchExpressions": [{"key": "app", "operator": "Like"}]}, {})


@pytest.mark.parametrize(
    ("peer", "comes"),
    [
        ({"podSelector": {}}, False),  # of the policy's own namespace
        ({"namespaceSelector": {}}, True),
        ({"namespaceSelector": {"matchLabels": {"team": "one"}}}, False),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}, False),
        ({"ipBlock": {"cidr": "10.0.0.0/24"}}, True),
        ({"ipBlock": {"cidr": "10.0.0.0/24", "except": ["10.0.0.2/32"]}}, False),
    ],
)
def test_a_peer_is_of_its_namespace_or_of_its_block(peer: dict[str, Any], comes: bool) -> None:
    network = _network(ingress=[{"from": [peer]}])
    assert network.connects(DATABASE, WEB, Port(80)) is comes


@pytest.mark.parametrize(
    ("rule", "number", "passes"),
    [
        ({"port": "http"}, 8000, True),
        ({"port": "http"}, 80, False),
        ({"port": "other"}, 8000, False),
        ({"port": 80, "endPort": 90}, 85, True),
        ({"port": 80, "endPort": 90}, 91, False),
        ({"protocol": "TCP"}, 7, True),
        ({"port": 85, "protocol": "UDP"}, 85, False),
    ],
)
def test_ports_are_numbers_names_and_ranges(
    rule: dict[str, Any], number: int, passes: bool
) -> None:
    network = _network(ingress=[{"ports": [rule]}])
    assert network.connects(DATABASE, WEB, Port(number)) is passes


def test_a_policy_binds_the_directions_that_it_names_or_has_rules_for() -> None:
    assert _network().connects(WEB, ABROAD, Port(1))
    assert not _network(policyTypes=["Egress"]).connects(WEB, ABROAD, Port(1))
    assert not _network(egress=[{"to": [{"podSelector": {}}]}]).connects(WEB, ABROAD, Port(1))
    assert not _network().connects(ABROAD, WEB, Port(1))


def test_both_ends_have_a_say() -> None:
    leaves = _network(policyTypes=["Egress"], egress=[{"ports": [{"port": 5432}]}])
    shut = {"metadata": {"name": "shut", "namespace": "b"}, "spec": {"podSelector": {}}}
    assert leaves.connects(WEB, DATABASE, Port(5432))
    assert not leaves.connects(WEB, DATABASE, Port(80))
    assert not Network([*leaves.policies, shut], SPACES).connects(WEB, DATABASE, Port(5432))
