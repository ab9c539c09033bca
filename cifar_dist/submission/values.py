"""The chart's values: one closed model, its defaults, and the JSON Schema that helm checks by."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from cifar_dist.errors import ConfigError
from cifar_dist.problems import sentences
from cifar_dist.submission.chart import merged
from cifar_dist.submission.edges import Exposure, Monitoring, NetworkPolicy
from cifar_dist.submission.pods import Head, WorkerGroup
from cifar_dist.submission.sections import (
    Free,
    Image,
    Job,
    Labels,
    Many,
    Name,
    Port,
    Ray,
    Resources,
    Seconds,
    Section,
    Text,
    reserved,
)
from cifar_dist.submission.storage import Store

_GPU = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "60Gi", "nvidia.com/gpu": "1"}
_HOUR = Annotated[float, Field(ge=0, le=1_000_000)]
_GROUP = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]
_SHORT = Annotated[str, Field(pattern=r"^$|^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]


class Autoscaling(Section):
    """Ray's own autoscaler, in the head's pod."""

    enabled: bool = True
    """Whether groups whose minReplicas is below their maxReplicas are scaled by demand."""
    idle_timeout_seconds: Seconds = 300
    """Idle time before a worker's pod goes."""
    upscaling_mode: Literal["Default", "Aggressive", "Conservative"] = "Default"
    """How fast pods are added."""
    resources: Resources = reserved({"cpu": "500m", "memory": "512Mi"})
    """What the autoscaler's container has."""


class Redis(Section):
    """A Redis that keeps the state of Ray's head."""

    address: Text = ""
    """host:port."""
    existing_secret: Name = ""
    """Secret with the key password."""


class EmbeddedStorage(Section):
    """A volume that keeps the state of Ray's head."""

    size: Annotated[str, Field(pattern=r"^$|^[1-9][0-9]{0,5}Gi$")] = ""
    """Size of the volume."""
    storage_class: Name = ""
    """StorageClass of the volume; empty takes the cluster's default."""


class GcsFaultTolerance(Section):
    """Whether a long-lived RayCluster survives its head; runs resume from the store instead."""

    enabled: bool = False
    """Whether the head's state is kept."""
    backend: Literal["redis", "rocksdb"] = "redis"
    """Where it is kept; rocksdb needs alpha.embeddedStorage."""
    redis: Redis = Redis()
    storage: EmbeddedStorage = EmbeddedStorage()


class Queue(Section):
    """Runs that wait for their turn."""

    type: Literal["none", "kueue", "volcano", "yunikorn", "kai"] = "none"
    """Who queues; all need autoscaling.enabled=false."""
    name: Name = ""
    """Name of the queue."""
    priority_class: Name = ""
    """Priority in the queue, for kueue and volcano."""
    cluster_queue: Name = ""
    """Kueue's ClusterQueue for which a LocalQueue is made; empty makes none."""


class PriorityClass(Section):
    """A PriorityClass of the release; it belongs to the whole cluster."""

    create: bool = False
    """Whether it is made and used by head and workers."""
    value: Annotated[int, Field(ge=-2_000_000_000, le=1_000_000_000)] = 1_000
    """Higher ones go first."""
    preemption_policy: Literal["Never", "PreemptLowerPriority"] = "Never"
    """Whether others are removed to make room."""


class Submitter(Section):
    """The account that `cifar-dist submit` needs, and who else has its rights."""

    port_forward: bool = True
    """Whether it may forward ports, as `submit stop` does to let a driver commit."""
    subjects: list[Free] = Many
    """Users, groups and accounts that get the same rights, as a RoleBinding writes them."""


class Security(Section):
    """What every container runs as: Pod Security restricted."""

    pod_security_context: Free = Field(
        default_factory=lambda: {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    )
    """Of each pod."""
    container_security_context: Free = Field(
        default_factory=lambda: {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
    )
    """Of each container."""


class Cron(Section):
    """The same run again and again, as a RayCronJob."""

    enabled: bool = False
    """Whether it is made; needs the operator's feature gate RayCronJob and job.entrypoint."""
    schedule: Annotated[str, Field(pattern=r"^[0-9A-Za-z*/,@ -]{5,100}$")] = "0 2 * * *"
    """When, as cron writes it."""
    time_zone: Annotated[str, Field(pattern=r"^$|^[A-Za-z0-9_+/-]{1,64}$")] = ""
    """Time zone, for KubeRay 1.7 and newer; empty takes the operator's."""
    suspend: bool = False
    """Whether it pauses."""


class Alpha(Section):
    """What needs a feature gate of the operator."""

    cron: Cron = Cron()
    embedded_storage: bool = False
    """Whether the gate GCSFaultToleranceEmbeddedStorage of KubeRay 1.7 is on, for rocksdb."""


class Enabled(Section):
    """A switch."""

    enabled: bool = False
    """Whether it is made."""


class Prepull(Section):
    """A DaemonSet that keeps the image on nodes, so that workers start at once."""

    enabled: bool = False
    """Whether it is made."""
    node_selector: Labels = Field(default_factory=dict)
    """Nodes that hold the image."""
    tolerations: list[Free] = Many
    """Taints that it may ignore."""


class Data(Section):
    """Where images come from."""

    uri: Annotated[str, Field(max_length=1024, pattern=r"^$|^s3://[a-z0-9][A-Za-z0-9._=+/-]*$")] = (
        ""
    )
    """What `cifar-dist data push` published; runs without --data use it."""


class Metrics(Section):
    """What the driver tells Prometheus."""

    port: Port = 9400
    """Port of the head's pod."""


class Logging(Section):
    """What pods write."""

    format: Literal["json", "text"] = "json"
    """One JSON object a line, or text for people."""


class Prices(Section):
    """What an hour costs, for the figures of money spent."""

    cpu_hour: _HOUR | None = None
    """Price of a CPU for an hour; null shows no money."""
    gpu_hour: _HOUR | None = None
    """Price of a GPU for an hour; null shows no money."""


def _groups() -> dict[str, WorkerGroup]:
    cpus = {"cpu": "2", "memory": "6Gi", "ephemeral-storage": "16Gi"}
    return {
        "cpu": WorkerGroup(enabled=True, resources=reserved(cpus)),
        "gpu": WorkerGroup(resources=reserved(_GPU), shm="8Gi", tmp="40Gi", spread=True),
    }


def _spot_tolerations() -> list[Free]:
    return [
        {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}
        for key, value in (
            ("cloud.google.com/gke-spot", "true"),
            ("kubernetes.azure.com/scalesetpriority", "spot"),
            ("eks.amazonaws.com/capacityType", "SPOT"),
            ("karpenter.sh/capacity-type", "spot"),
        )
    ]


class Values(Section):
    """All that the chart can be told."""

    name_override: _SHORT = ""
    """In place of the chart's name in names and labels."""
    fullname_override: _SHORT = ""
    """In place of release and chart in names."""
    common_labels: Labels = Field(default_factory=dict)
    """Labels of every object."""
    image: Image = Image()
    """The image of head, workers, bootstrap and tests, built by deploy/Dockerfile."""
    ray: Ray = Ray()
    mode: Literal["job", "cluster"] = "job"
    """job: each run has a cluster of its own; cluster: also one that stays, to work in."""
    job: Job = Job()
    head: Head = Head()
    worker_groups: dict[_GROUP, WorkerGroup] = Field(default_factory=_groups, max_length=64)
    """Workers by group; overlays merge into it, and a new key adds a group."""
    spot_tolerations: list[Free] = Field(default_factory=_spot_tolerations)
    """Taints of spot nodes, by provider; groups with spot: true tolerate them."""
    autoscaling: Autoscaling = Autoscaling()
    gcs_fault_tolerance: GcsFaultTolerance = GcsFaultTolerance()
    queue: Queue = Queue()
    store: Store = Store()
    data: Data = Data()
    metrics: Metrics = Metrics()
    logging: Logging = Logging()
    prices: Prices = Prices()
    security: Security = Security()
    submitter: Submitter = Submitter()
    network_policy: NetworkPolicy = NetworkPolicy()
    monitoring: Monitoring = Monitoring()
    exposure: Exposure = Exposure()
    prepull: Prepull = Prepull()
    pdb: Enabled = Enabled()
    """A PodDisruptionBudget that lets nobody drain a head's node while it runs."""
    priority_class: PriorityClass = PriorityClass()
    alpha: Alpha = Alpha()
    extra_objects: list[Free] = Many
    """More objects of the namespace, as they are."""
    global_: Free = Field(default_factory=dict, alias="global")
    """What helm hands to every chart; unused."""


def default_values() -> dict[str, Any]:
    """Give the values that the chart comes with, as plain data."""
    return Values().model_dump(mode="json", exclude={"global_"})


def complete(*layers: Mapping[str, Any]) -> Values:
    """Lay values over the defaults as helm does: maps merge, null removes. Raises ConfigError."""
    try:
        return Values.model_validate(_without_nulls(merged(default_values(), *layers)))
    except ValidationError as error:
        raise ConfigError("\n".join(sentences(error.errors()))) from error


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nulls(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value is not None
    }
