"""Whether pods fit: onto nodes by what these can give, into a quota, into limit ranges. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from cifar_dist.submission.observed import Object, dig, items, text
from cifar_dist.submission.scheduling import quantity

Amounts = dict[str, Decimal]
_BLOCKING = ("NoSchedule", "NoExecute")


def asked_by(pod: Object, extra: Object | None = None) -> Amounts:
    """Add up what the containers of a pod's specification reserve, and one more beside them."""
    containers = [*items(pod, "containers"), *([extra] if extra else [])]
    total: Amounts = {"pods": Decimal(1)}
    for container in containers:
        for key, amount in _reserved(container).items():
            total[key] = total.get(key, Decimal(0)) + amount
    for container in items(pod, "initContainers"):
        for key, amount in _reserved(container).items():
            total[key] = max(total.get(key, Decimal(0)), amount)
    return total


def limits_of(pod: Object, extra: Object | None = None) -> Amounts:
    """Add up the limits of a pod's containers."""
    total: Amounts = {}
    for container in [*items(pod, "containers"), *([extra] if extra else [])]:
        for key, amount in (dig(container, "resources", "limits") or {}).items():
            total[key] = total.get(key, Decimal(0)) + quantity(str(amount))
    return total


def added(total: Amounts, more: Amounts, times: int) -> Amounts:
    """Add some amounts so many times."""
    none = Decimal(0)
    return {key: total.get(key, none) + more.get(key, none) * times for key in {**total, **more}}


def room(pod: Object, asked: Amounts, nodes: Iterable[Object]) -> int:
    """Count the pods that the nodes could hold if they were empty."""
    return sum(_held(asked, node) for node in nodes if takes(node, pod))


def takes(node: Object, pod: Object) -> bool:
    """Tell whether a node's taints and labels let a pod in."""
    if dig(node, "spec", "unschedulable"):
        return False
    labels = dig(node, "metadata", "labels") or {}
    selector = dig(pod, "nodeSelector") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    tolerations = items(pod, "tolerations")
    taints = [taint for taint in items(node, "spec", "taints") if taint.get("effect") in _BLOCKING]
    if not all(any(_tolerates(one, taint) for one in tolerations) for taint in taints):
        return False
    required = ("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    terms = items(pod, *required, "nodeSelectorTerms")
    return not terms or any(
        _matches(term, labels, text(node, "metadata", "name")) for term in terms
    )


def over_quota(asked: Amounts, limits: Amounts, quota: Object) -> Iterator[str]:
    """Say what of a quota does not suffice for so much more; scoped ones are left out."""
    if dig(quota, "spec", "scopes") or dig(quota, "spec", "scopeSelector"):
        return
    needed = {f"requests.{key}": amount for key, amount in asked.items()}
    needed |= {key: asked[key] for key in ("cpu", "memory", "pods") if key in asked}
    needed |= {f"limits.{key}": amount for key, amount in limits.items()}
    needed |= {"count/rayjobs.ray.io": Decimal(1), "count/rayclusters.ray.io": Decimal(1)}
    for key, most in (dig(quota, "status", "hard") or {}).items():
        used = quantity(str((dig(quota, "status", "used") or {}).get(key, "0")))
        if key in needed and used + needed[key] > quantity(str(most)):
            yield f"{key}: {plain(used)} used and {plain(needed[key])} asked of {most}"


def over_limits(pod: Object, ranges: Object) -> Iterator[str]:
    """Say which container, or the whole pod, a limit range refuses."""
    for limit in items(ranges, "spec", "limits"):
        most = limit.get("max") or {}
        if limit.get("type") == "Pod":
            checked = [("the pod", limits_of(pod))]
        elif limit.get("type") == "Container":
            checked = [
                (str(container.get("name")), limits_of({"containers": [container]}))
                for container in items(pod, "containers")
            ]
        else:
            continue
        for name, amounts in checked:
            for key, amount in amounts.items():
                if key in most and amount > quantity(str(most[key])):
                    yield f"{name} has {plain(amount)} {key}, at most {most[key]} is allowed"


def plain(amount: Decimal) -> str:
    """Write an amount for people: bytes as GiB."""
    if amount >= 1024**3:
        return f"{amount / 1024**3:.1f} GiB"
    return f"{amount.normalize():f}"


def _reserved(container: Object) -> Amounts:
    limits = dig(container, "resources", "limits") or {}
    given = {**limits, **(dig(container, "resources", "requests") or {})}
    return {key: quantity(str(amount)) for key, amount in given.items()}


def _held(asked: Amounts, node: Object) -> int:
    has = dig(node, "status", "allocatable") or {}
    return min(
        int(quantity(str(has.get(key, "0"))) / amount) for key, amount in asked.items() if amount
    )


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    key = toleration.get("key")
    if toleration.get("operator") == "Exists":
        return not key or key == taint.get("key")
    return key == taint.get("key") and (toleration.get("value") or "") == (taint.get("value") or "")


def _matches(term: Object, labels: Mapping[str, str], name: str) -> bool:
    rules = [(rule, labels) for rule in items(term, "matchExpressions")]
    rules += [(rule, {"metadata.name": name}) for rule in items(term, "matchFields")]
    return bool(rules) and all(_holds(rule, there) for rule, there in rules)


def _holds(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, wanted = (
        labels.get(str(rule.get("key"))),
        [str(word) for word in rule.get("values") or ()],
    )
    match rule.get("operator"):
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as word if value and wanted and value.isdecimal():
            return int(value) > int(wanted[0]) if word == "Gt" else int(value) < int(wanted[0])
    return False
