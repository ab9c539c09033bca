"""What the scheduler's one long sentence means, a line with a remedy for each of its reasons."""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation

from cifar_dist.submission.observed import Object, dig, items, text

_SHORT = re.compile(r"(\d+) (?:Insufficient|Too many) ([\w./-]+)")
_TAINT = re.compile(r"(\d+) node\(s\) had untolerated taint(?:\(s\))?(?: \{([^{}]*)\})?")
_CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)" not found')
_OTHERS = (
    (
        "didn't match Pod's node affinity/selector",
        "no node fits its nodeSelector or affinity",
        "compare them with `kubectl get nodes --show-labels`",
    ),
    (
        "anti-affinity rules",
        "the pods must stand on different nodes and too few are free",
        "add nodes, or set spread: false for its group",
    ),
    (
        "topology spread constraints",
        "no node keeps the pods spread as asked",
        "add nodes in the other zones or loosen topologySpreadConstraints",
    ),
    (
        "unbound immediate PersistentVolumeClaims",
        "its volume is not provided",
        "look at `kubectl get pvc,storageclass`: the claim needs a storage class that exists",
    ),
    (
        "volume node affinity conflict",
        "its volume lies in another zone than the free nodes",
        "use a storage class that binds late (WaitForFirstConsumer)",
    ),
    (
        "were unschedulable",
        "nodes are cordoned",
        "`kubectl uncordon` them when their maintenance is over",
    ),
    ("no nodes available", "the cluster has no node", "add nodes"),
)
_UNITS = {"m": "0.001", "k": "1e3", "M": "1e6", "G": "1e9", "T": "1e12", "P": "1e15"} | {
    f"{letter}i": str(1024**power) for power, letter in enumerate("KMGTP", 1)
}


def refusals(message: str, pod: Object, nodes: Sequence[Object]) -> Iterator[str]:
    """Give a line for each reason why no node takes a pod."""
    said = message.partition(" preemption:")[0]
    for _, resource in _SHORT.findall(said):
        yield _short_of(resource.rstrip("."), pod, nodes)
    for _, taint in _TAINT.findall(said):
        yield _tainted(taint.strip(" :"))
    for claim in _CLAIM.findall(said):
        yield f"PersistentVolumeClaim {claim} does not exist; create it or take it out of the pod"
    for phrase, meaning, remedy in _OTHERS:
        if phrase in said:
            yield f"{meaning}; {remedy}"


def _short_of(resource: str, pod: Object, nodes: Sequence[Object]) -> str:
    if resource == "pods":
        return "nodes hold as many pods as they may; add nodes"
    asked = _total(pod, resource)
    most = max((quantity(text(n, "status", "allocatable", resource)) for n in nodes), default=None)
    has = f"it asks for {_plain(asked, resource)}"
    if most is not None:
        has += f", the largest node offers {_plain(most, resource)}"
    if most is not None and most < asked:
        return f"no node can ever give its {resource} ({has}); ask for less or add larger nodes"
    return f"no node has enough {resource} free ({has}); free some, add nodes or ask for less"


def _tainted(taint: str) -> str:
    key = taint.partition(":")[0]
    if not key:
        return "nodes are tainted; add tolerations to its group in the platform's values"
    if key.startswith("node.kubernetes.io/"):
        return f"nodes are not healthy ({key}); look at `kubectl describe nodes`"
    return f"nodes have the taint {key}; add a toleration to its group in the platform's values"


def _total(pod: Object, resource: str) -> Decimal:
    """Add up what a pod's containers ask for."""
    asked = Decimal(0)
    for container in items(pod, "spec", "containers"):
        for kind in ("requests", "limits"):
            given = dig(container, "resources", kind, resource)
            if given is not None:
                asked += quantity(str(given))
                break
    return asked


def quantity(written: str) -> Decimal:
    """Read a Kubernetes quantity such as 500m or 8Gi; 0 where it is none."""
    unit = written.lstrip("+-0123456789.eE")
    try:
        return Decimal(written.removesuffix(unit) or "0") * Decimal(_UNITS.get(unit, "1"))
    except InvalidOperation:
        return Decimal(0)


def _plain(amount: Decimal, resource: str) -> str:
    if resource in ("memory", "ephemeral-storage"):
        return f"{amount / 1024**3:.1f} GiB"
    return f"{amount.normalize():f}"
