"""What KubeRay's operator refuses about the end of a RayJob: time to live and deletion rules."""

from collections.abc import Iterator, Mapping
from typing import Any

from cifar_dist.submission.rules_cluster import Operator, is_autoscaling

_ORDER = ("DeleteWorkers", "DeleteCluster", "DeleteSelf")
_CLUSTER_POLICIES = ("DeleteCluster", "DeleteWorkers")


def refused(spec: Mapping[str, Any], operator: Operator) -> Iterator[str]:
    """List what is wrong with the deletion of a RayJob's cluster."""
    seconds = spec.get("ttlSecondsAfterFinished") or 0
    if seconds < 0:
        yield "ttlSecondsAfterFinished: must not be negative"
    if seconds > 0 and not spec.get("shutdownAfterJobFinishes"):
        yield "ttlSecondsAfterFinished: needs shutdownAfterJobFinishes: true"
    if spec.get("deletionStrategy") is not None:
        yield from _strategy(spec, operator)


def _strategy(spec: Mapping[str, Any], operator: Operator) -> Iterator[str]:
    strategy = spec["deletionStrategy"]
    if "RayJobDeletionPolicy" not in operator.gates:
        yield "deletionStrategy: needs the feature gate RayJobDeletionPolicy"
    rules = strategy.get("deletionRules") or []
    is_old = strategy.get("onSuccess") is not None or strategy.get("onFailure") is not None
    if rules and spec.get("shutdownAfterJobFinishes"):
        yield "deletionStrategy.deletionRules: not with shutdownAfterJobFinishes: true"
    if rules and is_old:
        yield "deletionStrategy: deletionRules not with onSuccess and onFailure"
    if is_old:
        yield from _old(spec, strategy)
    elif rules:
        yield from _rules(spec, rules)
    else:
        yield "deletionStrategy: needs deletionRules, or both onSuccess and onFailure"


def _old(spec: Mapping[str, Any], strategy: Mapping[str, Any]) -> Iterator[str]:
    policies = []
    for field in ("onSuccess", "onFailure"):
        policy = (strategy.get(field) or {}).get("policy")
        if policy is None:
            yield f"deletionStrategy.{field}: needs a policy"
        elif spec.get("clusterSelector") and policy in _CLUSTER_POLICIES:
            yield f"deletionStrategy.{field}: {policy} not with clusterSelector"
        policies.append(policy)
    if "DeleteWorkers" in policies and is_autoscaling(spec.get("rayClusterSpec")):
        yield "deletionStrategy: DeleteWorkers not with autoscaling"
    if "DeleteNone" in policies and spec.get("shutdownAfterJobFinishes"):
        yield "deletionStrategy: DeleteNone not with shutdownAfterJobFinishes: true"


def _rules(spec: Mapping[str, Any], rules: list[dict[str, Any]]) -> Iterator[str]:
    seconds: dict[tuple[str, str], dict[str, int]] = {}
    for index, rule in enumerate(rules):
        where = f"deletionStrategy.deletionRules.{index}"
        policy, condition = str(rule.get("policy")), rule.get("condition") or {}
        if fault := _fault(spec, policy, condition):
            yield f"{where}: {fault}"
            continue
        kind = "jobStatus" if condition.get("jobStatus") is not None else "jobDeploymentStatus"
        known = seconds.setdefault((kind, str(condition[kind])), {})
        if policy in known:
            yield f"{where}: a second {policy} at {kind} {condition[kind]}"
        else:
            known[policy] = condition.get("ttlSeconds") or 0
    for (kind, state), known in seconds.items():
        times = [known[policy] for policy in _ORDER if policy in known]
        if times != sorted(times):
            yield (
                f"deletionStrategy.deletionRules: at {kind} {state} workers go before the cluster, "
                "and that before the job"
            )


def _fault(spec: Mapping[str, Any], policy: str, condition: Mapping[str, Any]) -> str | None:
    stated = [condition.get(kind) is not None for kind in ("jobStatus", "jobDeploymentStatus")]
    if sum(stated) != 1:
        return "its condition needs one of jobStatus and jobDeploymentStatus"
    if (condition.get("ttlSeconds") or 0) < 0:
        return "ttlSeconds must not be negative"
    if spec.get("clusterSelector") and policy in _CLUSTER_POLICIES:
        return f"{policy} not with clusterSelector"
    if policy == "DeleteWorkers" and is_autoscaling(spec.get("rayClusterSpec")):
        return "DeleteWorkers not with autoscaling"
    return None
