"""The chart's values of pods: the head and groups of workers."""

from typing import Annotated

from pydantic import Field

from cifar_dist.submission.sections import (
    QUANTITY,
    Account,
    Annotations,
    Free,
    Labels,
    Many,
    Memory,
    Name,
    Replicas,
    Resources,
    Seconds,
    Section,
    reserved,
)

_CPU = {"cpu": "2", "memory": "8Gi", "ephemeral-storage": "16Gi"}


class Head(Section):
    """The pod that drives and computes nothing."""

    num_cpus: Annotated[str, Field(pattern=r"^[0-9]{1,4}$")] = "0"
    """CPUs that Ray may give to work on the head."""
    resources: Resources = reserved(_CPU)
    """What the head has; 8Gi hold the driver, the dashboard and a sweep of thousands of trials."""
    shm: Memory = "1Gi"
    """Shared memory, counted against the memory limit."""
    tmp: Memory = "8Gi"
    """Room below /tmp, the only folder that can be written."""
    labels: Labels = Field(default_factory=dict)
    """More labels of the pod."""
    annotations: Annotations = Field(default_factory=dict)
    """More annotations of the pod."""
    node_selector: Labels = Field(default_factory=dict)
    """Labels that its node must have."""
    tolerations: list[Free] = Many
    """Taints that it may ignore."""
    affinity: Free = Field(
        default_factory=lambda: {
            "nodeAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 100,
                        "preference": {
                            "matchExpressions": [
                                {"key": "nvidia.com/gpu.present", "operator": "DoesNotExist"}
                            ]
                        },
                    }
                ]
            }
        }
    )
    """Where it likes to be: away from GPU nodes."""
    priority_class_name: Name = ""
    """PriorityClass; empty takes the chart's own where priorityClass.create is true."""
    termination_grace_period_seconds: Annotated[int, Field(ge=1, le=3600)] = 120
    """Time between the first and the last signal; longer than ray.drainSeconds."""
    extra_env: list[Free] = Many
    """More variables, as Kubernetes writes them."""
    service_account: Account = Account()


class WorkerGroup(Section):
    """Pods of one kind; the key is the group's name."""

    enabled: bool = False
    """Whether the group exists."""
    min_replicas: Replicas = 0
    """The fewest pods."""
    max_replicas: Replicas = 4
    """The most pods."""
    replicas: Replicas | None = None
    """A fixed number of pods; null: the autoscaler's choice, or the most without it."""
    resources: Resources = Resources()
    """What one pod has; equal requests and limits keep it from eviction."""
    ray_resources: dict[str, Annotated[str, Field(pattern=QUANTITY)]] = Field(default_factory=dict)
    """What Ray counts in place of the limits, such as GPU for MIG profiles with a suffix."""
    labels: Labels = Field(default_factory=dict)
    """More labels of pods and of Ray's nodes."""
    annotations: Annotations = Field(default_factory=dict)
    """More annotations of the pods."""
    spot: bool = False
    """Whether nodes may be taken away: tolerates spotTolerations and can be evicted."""
    tolerations: list[Free] = Many
    """Taints that pods may ignore; that of GPU nodes is added where GPUs are asked for."""
    node_selector: Labels = Field(default_factory=dict)
    """Labels that nodes must have."""
    affinity: Free = Field(default_factory=dict)
    """Where pods like to be."""
    spread: bool = False
    """Whether pods of one run rather lie on different nodes."""
    topology_spread_constraints: list[Free] = Many
    """How pods lie over zones; none, as zones between workers slow their exchange."""
    shm: Memory = "2Gi"
    """Shared memory, counted against the memory limit."""
    tmp: Memory = "10Gi"
    """Room below /tmp: images, spilled objects, logs."""
    termination_grace_period_seconds: Annotated[int, Field(ge=1, le=3600)] = 120
    """Time between the first and the last signal; longer than ray.drainSeconds."""
    idle_timeout_seconds: Seconds | None = None
    """Idle time before a pod goes; null: autoscaling.idleTimeoutSeconds."""
    priority_class_name: Name = ""
    """PriorityClass; empty takes the chart's own where priorityClass.create is true."""
    extra_env: list[Free] = Many
    """More variables, as Kubernetes writes them."""
