"""NetworkPolicies evaluated as the Kubernetes API describes them: who may connect to whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Object = Mapping[str, Any]


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod with its labels, or an address outside the cluster."""

    name: str
    address: str
    namespace: str | None = None
    """None for what is no pod: no selector chooses it, and no policy binds it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    """The container ports by name, which a policy may use in place of a number."""


@dataclass(frozen=True)
class Port:
    """Where a connection goes to."""

    number: int
    protocol: str = "TCP"


@dataclass(frozen=True)
class Network:
    """A cluster's policies and the labels of its namespaces."""

    policies: Sequence[Object]
    namespaces: Mapping[str, Mapping[str, str]]

    def connects(self, source: End, target: End, port: Port) -> bool:
        """Tell whether the source may open a connection, by its policies and by the target's."""
        leaves = self._passes("Egress", source, target, (target, port))
        return leaves and self._passes("Ingress", target, source, (target, port))

    def binds(self, end: End, direction: str) -> bool:
        """Tell whether any policy isolates a pod in a direction (Ingress or Egress)."""
        return bool(self._bound(end, direction))

    def _passes(self, direction: str, end: End, peer: End, at: tuple[End, Port]) -> bool:
        bound = self._bound(end, direction)
        if not bound:
            return True
        side = "to" if direction == "Egress" else "from"
        for policy in bound:
            home = policy["metadata"]["namespace"]
            for rule in policy["spec"].get(direction.lower()) or []:
                peers = rule.get(side) or []
                reached = not peers or any(self._is_peer(one, peer, home) for one in peers)
                if reached and _has_port(rule.get("ports") or [], *at):
                    return True
        return False

    def _bound(self, end: End, direction: str) -> list[Object]:
        return [
            policy
            for policy in self.policies
            if end.namespace == policy["metadata"]["namespace"]
            and direction in _directions(policy["spec"])
            and selects(policy["spec"]["podSelector"], end.labels)
        ]

    def _is_peer(self, rule: Object, end: End, home: str) -> bool:
        if "ipBlock" in rule:
            return _in_block(rule["ipBlock"], end.address)
        if end.namespace is None:
            return False
        if "namespaceSelector" in rule:
            if not selects(rule["namespaceSelector"], self.namespaces[end.namespace]):
                return False
        elif end.namespace != home:
            return False
        return selects(rule.get("podSelector", {}), end.labels)


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector chooses these labels; the empty one chooses all."""
    for name, value in (selector.get("matchLabels") or {}).items():
        if labels.get(name) != value:
            return False
    return all(_meets(one, labels) for one in selector.get("matchExpressions") or [])


def _meets(expression: Object, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "NotIn":
            return value not in expression["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise ValueError(f"no such operator: {expression['operator']}")


def _directions(spec: Object) -> Sequence[str]:
    types: Sequence[str] = spec.get("policyTypes") or []
    return types or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


def _in_block(block: Object, address: str) -> bool:
    one = ip_address(address)
    if one not in ip_network(block["cidr"]):
        return False
    return not any(one in ip_network(hole) for hole in block.get("except") or [])


def _has_port(ports: Sequence[Object], target: End, port: Port) -> bool:
    return not ports or any(_is_port(one, target, port) for one in ports)


def _is_port(rule: Object, target: End, port: Port) -> bool:
    if rule.get("protocol", "TCP") != port.protocol:
        return False
    named = rule.get("port")
    if named is None:
        return True
    first = target.ports.get(named, -1) if isinstance(named, str) else named
    return bool(first <= port.number <= rule.get("endPort", first))
