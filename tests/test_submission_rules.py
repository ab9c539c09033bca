"""The operator's rules: what it refuses is refused here, what it takes is sent."""

from typing import Any

import pytest

from cifar_dist.submission.rules import dangers, problems
from tests.kubernetes.mutations import CASES, NEW
from tests.kubernetes.specs import changed, generated, sound

CLUSTER = "spec.rayClusterSpec"
HEAD = f"{CLUSTER}.headGroupSpec.template.spec.containers.0"
COLLECTOR = {"image": "collector:1", "env": [{"name": "STORAGE_BACKEND", "value": "s3"}]}
EMBEDDED = {f"{CLUSTER}.gcsFaultToleranceOptions": {"backend": "rocksdb"}}
GATES = (
    "GCSFaultToleranceEmbeddedStorage", "RayClusterNetworkPolicy", "RayClusterMTLS",
    "RayClusterHistoryServer",
)  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "said"), CASES, ids=[name for name, *_ in CASES])
def test_a_change_is_judged_as_the_operator_judges_it(
    name: str, changes: dict[str, Any], said: str | None
) -> None:
    found = problems(changed(sound(), changes))
    assert found == [] if said is None else any(said in line for line in found), name


@pytest.mark.parametrize(("name", "changes"), [case[:2] for case in NEW])
def test_an_older_operator_drops_what_it_does_not_know(name: str, changes: dict[str, Any]) -> None:
    assert problems(changed(sound(), changes), version=(1, 6)) == [], name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (EMBEDDED, None),
        ({f"{CLUSTER}.gcsFaultToleranceOptions": {**EMBEDDED[f"{CLUSTER}.gcsFaultToleranceOptions"],
                                                 "redisAddress": "r"}}, "redisAddress"),
        ({**EMBEDDED, f"{HEAD}.env": [{"name": "RAY_gcs_storage", "value": "x"}]}, "own"),
        ({**EMBEDDED, f"{HEAD}.volumeMounts": [{"name": "x", "mountPath": "/data/gcs"}]}, "own"),
        ({f"{CLUSTER}.networkPolicy": {"mode": "DenyAll"}}, None),
        ({f"{CLUSTER}.networkPolicy": {"mode": "DenyAllEgress",
                                       "head": {"ingressRules": [{}]}}}, "head.ingressRules"),
        ({f"{CLUSTER}.networkPolicy": {"workerGroups": [{"groupName": "no"}]}}, "no group no"),
        ({f"{CLUSTER}.tlsOptions": {"enabled": True}}, None),
        ({f"{CLUSTER}.tlsOptions": {"enabled": True},
          f"{HEAD}.env": [{"name": "RAY_USE_TLS", "value": "1"}]}, "RAY_USE_TLS"),
        ({f"{CLUSTER}.tlsOptions": {"enabled": True},
          f"{HEAD}.volumeMounts": [{"name": "ray-tls", "mountPath": "/x"}]}, "ray-tls"),
        ({f"{CLUSTER}.historyServerOptions": {}}, "collectorOptions"),
        ({f"{CLUSTER}.historyServerOptions": {"collectorOptions": COLLECTOR}}, "S3_REGION"),
        ({f"{CLUSTER}.historyServerOptions": {"collectorOptions": {**COLLECTOR, "image": ""}}},
         "needs an image"),
    ],
)  # fmt: skip
def test_an_open_gate_leaves_the_rules_behind_it(changes: dict[str, Any], said: str | None) -> None:
    found = problems(changed(sound(), changes), GATES)
    assert found == [] if said is None else any(said in line for line in found), found


def test_a_closed_gate_is_named() -> None:
    rules = {"spec.deletionStrategy": {"deletionRules": [{"policy": "DeleteSelf"}]}}
    found = problems(changed(sound(), rules), ["-RayJobDeletionPolicy"])
    assert any("RayJobDeletionPolicy" in line for line in found)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spec.submissionMode": "HttpMode"}, "HttpMode"),
        ({f"{CLUSTER}.authOptions": {}}, "lets anybody in"),
        ({"spec.preRunningDeadlineSeconds": None}, "preRunningDeadlineSeconds"),
    ],
)
def test_what_the_operator_takes_and_nobody_wants_is_named(
    changes: dict[str, Any], said: str
) -> None:
    manifest = changed(sound(), changes)
    assert problems(manifest) == []
    assert said in dangers(manifest)[0]


def test_a_cluster_of_its_own_is_judged_by_the_same_rules() -> None:
    spec = sound()["spec"]["rayClusterSpec"]
    manifest = {"kind": "RayCluster", "metadata": {"name": "c" * 53}, "spec": spec}
    assert problems(manifest) == []
    upgraded = {**spec, "upgradeStrategy": {"type": "Rolling"}}
    assert "upgradeStrategy" in problems({**manifest, "spec": upgraded})[0]


def test_generated_specs_are_the_same_again_and_some_of_each_verdict() -> None:
    specs = generated(7, 240)
    assert specs == generated(7, 240)
    assert len({spec.manifest["metadata"]["name"] for spec in specs}) == 240
    sound_ones = [spec for spec in specs if not spec.problems]
    assert 30 <= len(sound_ones) <= 210
