"""What KubeRay's operator refuses of a cluster's newer parts, most of which need a feature gate."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

_TLS = ("RAY_USE_TLS", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT")
_TLS_MOUNT = ("ray-tls", "/etc/ray/tls")
_GCS_MOUNT = ("gcs-storage", "/data/gcs")
_GCS_VARIABLES = ("RAY_gcs_storage", "RAY_gcs_storage_path")
_REDIS_FIELDS = ("redisAddress", "redisUsername", "redisPassword", "externalStorageNamespace")
_OWN_CLAIM = ("size", "storageClassName", "accessModes")
_COLLECTOR = "ray-history-collector"
_COLLECTORS_OWN = (
    "POD_IP", "FQ_RAY_IP", "RAY_CLUSTER_NAME", "RAY_CLUSTER_NAMESPACE", "RAY_ROLE", "OWNER_KIND",
    "OWNER_NAME", "EVENTS_PORT",
)  # fmt: skip
_NEEDED = {
    "GCS": ("GCS_BUCKET",),
    "S3": ("S3_REGION",),
    "ALIYUNOSS": ("OSS_BUCKET", "OSS_ENDPOINT", "OSS_REGION"),
}
_AZURE = ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_URL")
_AZURE_NEEDED = {
    "connection_string": _AZURE[:1],
    "workload_identity": _AZURE[1:],
    "default": _AZURE[1:],
}
_GROUP_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_UNRESTRICTED = {"DenyAllEgress": "ingressRules", "DenyAllIngress": "egressRules"}

Spec = Mapping[str, Any]


def refused(spec: Spec, gates: Collection[str]) -> Iterator[str]:
    """List what is wrong with storage of fault tolerance, history, network policy and TLS."""
    if spec.get("gcsFaultToleranceOptions") is not None:
        yield from _storage(spec, gates)
    if spec.get("historyServerOptions") is not None:
        yield from _history(spec, gates)
    if spec.get("networkPolicy") is not None:
        yield from _network(spec, gates)
    if spec.get("tlsOptions") is not None:
        yield from _tls(spec, gates)


def _storage(spec: Spec, gates: Collection[str]) -> Iterator[str]:
    options = spec["gcsFaultToleranceOptions"]
    storage = options.get("storage")
    if options.get("backend") != "rocksdb":
        if storage is not None:
            yield "gcsFaultToleranceOptions.storage: needs backend: rocksdb"
        return
    if "GCSFaultToleranceEmbeddedStorage" not in gates:
        yield "gcsFaultToleranceOptions.backend: rocksdb needs GCSFaultToleranceEmbeddedStorage"
    for field in _REDIS_FIELDS:
        if options.get(field) not in (None, ""):
            yield f"gcsFaultToleranceOptions.{field}: not with backend: rocksdb"
    if (storage or {}).get("claimName") and any(storage.get(field) for field in _OWN_CLAIM):
        yield "gcsFaultToleranceOptions.storage: claimName not with a size, class or access modes"
    yield from _own_storage(_pod(spec["headGroupSpec"]))


def _own_storage(head: Spec) -> Iterator[str]:
    container = head["containers"][0]
    if _names(container.get("env")) & {*_GCS_VARIABLES}:
        yield f"{' and '.join(_GCS_VARIABLES)} are the operator's own"
    volumes = _names(head.get("volumes"))
    if _is_mounted(container.get("volumeMounts"), _GCS_MOUNT) or _GCS_MOUNT[0] in volumes:
        yield f"the volume {_GCS_MOUNT[0]} at {_GCS_MOUNT[1]} is the operator's own"


def _history(spec: Spec, gates: Collection[str]) -> Iterator[str]:
    if "RayClusterHistoryServer" not in gates:
        yield "historyServerOptions: needs the feature gate RayClusterHistoryServer"
    collector = spec["historyServerOptions"].get("collectorOptions")
    if collector is None:
        yield "historyServerOptions: needs collectorOptions"
        return
    if not collector.get("image"):
        yield "historyServerOptions.collectorOptions: needs an image"
    yield from _collector({entry.get("name"): entry for entry in collector.get("env") or ()})
    for group in (spec["headGroupSpec"], *(spec.get("workerGroupSpecs") or ())):
        if _COLLECTOR in _names(_pod(group).get("containers")):
            yield f"the container {_COLLECTOR} is the operator's own"


def _collector(env: Mapping[Any, Spec]) -> Iterator[str]:
    where = "historyServerOptions.collectorOptions.env"
    for name in _COLLECTORS_OWN:
        if name in env:
            yield f"{where}: {name} is the operator's own"
    backend = str(env.get("STORAGE_BACKEND", {}).get("value") or "").upper()
    said = {name for name, entry in env.items() if entry.get("value") or entry.get("valueFrom")}
    if not backend:
        yield f"{where}: needs STORAGE_BACKEND"
    for name in _NEEDED.get(backend, ()):
        if name not in said:
            yield f"{where}: needs {name}"
    if backend == "AZUREBLOB":
        mode = str(env.get("AZURE_STORAGE_AUTH_MODE", {}).get("value") or "").strip().lower()
        if not said & {*_AZURE_NEEDED.get(mode, _AZURE)}:
            yield f"{where}: needs {' or '.join(_AZURE_NEEDED.get(mode, _AZURE))}"


def _network(spec: Spec, gates: Collection[str]) -> Iterator[str]:
    if "RayClusterNetworkPolicy" not in gates:
        yield "networkPolicy: needs the feature gate RayClusterNetworkPolicy"
    policy = spec["networkPolicy"]
    names = [str(group.get("groupName")) for group in spec.get("workerGroupSpecs") or ()]
    for name in names:
        if not _GROUP_NAME.fullmatch(name):
            yield f"worker group {name}: with networkPolicy its name is of a-z, 0-9 and '-'"
    groups = {name: policy[name] for name in ("head", "worker") if policy.get(name)}
    for group in policy.get("workerGroups") or ():
        groups[f"workerGroups.{group.get('groupName')}"] = group
        if group.get("groupName") not in names:
            yield f"networkPolicy.workerGroups: there is no group {group.get('groupName')}"
    free = _UNRESTRICTED.get(policy.get("mode") or "")
    for name, rules in groups.items():
        if free and rules.get(free):
            yield f"networkPolicy.{name}.{free}: not with mode {policy['mode']}"


def _tls(spec: Spec, gates: Collection[str]) -> Iterator[str]:
    if "RayClusterMTLS" not in gates:
        yield "tlsOptions: needs the feature gate RayClusterMTLS"
        return
    if not spec["tlsOptions"].get("enabled"):
        return
    groups = (spec["headGroupSpec"], *(spec.get("workerGroupSpecs") or ()))
    users: list[Spec] = [(_pod(group).get("containers") or [{}])[0] for group in groups]
    for user in [*users, spec.get("autoscalerOptions") or {}]:
        if _names(user.get("env")) & {*_TLS}:
            yield f"{', '.join(_TLS)} are the operator's own with tlsOptions"
        if _is_mounted(user.get("volumeMounts"), _TLS_MOUNT):
            yield f"the volume {_TLS_MOUNT[0]} at {_TLS_MOUNT[1]} is the operator's own"


def _pod(group: Spec) -> Spec:
    return (group.get("template") or {}).get("spec") or {}


def _names(entries: list[Spec] | None) -> set[str]:
    return {str(entry.get("name")) for entry in entries or ()}


def _is_mounted(mounts: list[Spec] | None, known: tuple[str, str]) -> bool:
    name, path = known
    given = [(mount.get("name"), mount.get("mountPath")) for mount in mounts or ()]
    return any(name == there or path == where for there, where in given)
