"""The sections of the chart's values: what each key may hold."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel


class Section(BaseModel):
    """Closed, frozen, written in camelCase as charts are."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        serialize_by_alias=True,
        strict=True,
        use_attribute_docstrings=True,
    )


_DNS = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
QUANTITY = r"^[0-9]{1,12}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"

Text = Annotated[str, Field(max_length=1024)]
Name = Annotated[str, Field(max_length=253, pattern=rf"^$|^{_DNS}(\.{_DNS})*$")]
Address = Annotated[str, Field(max_length=253, pattern=r"^$|^https?://[^@\s]+$")]
Cidr = Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]{2,39}/[0-9]{1,3}$")]
Port = Annotated[int, Field(ge=1, le=65_535)]
Replicas = Annotated[int, Field(ge=0, le=10_000)]
Seconds = Annotated[int, Field(ge=0, le=31_536_000)]
Quantity = Annotated[str, Field(pattern=QUANTITY)] | Annotated[int, Field(ge=0)]
Memory = Annotated[str, Field(pattern=r"^([1-9][0-9]{2,8}Mi|[1-9][0-9]{0,5}Gi)$")]
Free = dict[str, Any]
_LABEL = r"^$|^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
Labels = dict[str, Annotated[str, Field(max_length=63, pattern=_LABEL)]]
Annotations = dict[str, Annotated[str, Field(max_length=65_536)]]
Many: Any = Field(default_factory=list, max_length=256)
Auto = Literal["auto"] | bool


class Image(Section):
    """An image."""

    repository: Annotated[str, Field(pattern=r"^[a-z0-9][a-zA-Z0-9._:/-]*[a-z0-9]$")] = (
        "localhost/cifar-dist"
    )
    """Where it lies; no registry is asked for localhost/."""
    tag: Annotated[
        str,
        Field(
            pattern=r"^$|^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$",
            json_schema_extra={"not": {"const": "latest"}},
        ),
    ] = ""
    """Version, never latest; empty: the chart's appVersion."""
    digest: Annotated[str, Field(pattern=r"^$|^sha256:[0-9a-f]{64}$")] = ""
    """What pins the image's bytes; stronger than the tag."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When the kubelet asks the registry."""
    pull_secrets: list[Name] = Many
    """Names of Secrets for the registry."""

    @field_validator("tag")
    @classmethod
    def _is_pinned(cls, tag: str) -> str:
        if tag == "latest":
            raise ValueError("must name a version, as latest changes under a running sweep")
        return tag


class Auth(Section):
    """Who may use Ray."""

    mode: Literal["token", "disabled"] = "token"
    """Ray's own authentication; disabled leaves every port open to whoever reaches it."""
    existing_secret: Name = ""
    """Secret with the key auth_token; empty lets KubeRay make one named as the RayCluster."""


class Ray(Section):
    """Ray itself."""

    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")] = "2.60.0"
    """Ray's version in the image; KubeRay chooses probes and checks tokens by it."""
    auth: Auth = Auth()
    drain_seconds: Annotated[int, Field(ge=0, le=3600)] = 90
    """Time that a busy worker has to commit after it was told to go."""


class Resources(Section):
    """Requests and limits of one container."""

    requests: dict[str, Quantity] = Field(default_factory=dict)
    """What the scheduler reserves."""
    limits: dict[str, Quantity] = Field(default_factory=dict)
    """What the kubelet allows; Ray counts CPUs and GPUs by these."""


def reserved(quantities: dict[str, str]) -> Resources:
    """Ask for as much as is allowed, so that nothing is taken away under load."""
    return Resources(requests=dict(quantities), limits=dict(quantities))


class Job(Section):
    """One run, which `cifar-dist submit` fills in."""

    render: bool = False
    """Whether the RayJob is rendered; a release is the platform alone."""
    name: Annotated[str, Field(pattern=r"^$|^[a-z]([-a-z0-9]{0,45}[a-z0-9])?$")] = ""
    """Name of the RayJob, at most 47 characters."""
    kind: Literal["tune", "train"] = "tune"
    """What the run does."""
    entrypoint: Annotated[str, Field(max_length=16_384)] = ""
    """The command line that Ray runs on the head."""
    env: dict[str, Annotated[str, Field(max_length=131_072)]] = Field(default_factory=dict)
    """Variables of the head's container, by name."""
    labels: Labels = Field(default_factory=dict)
    """Labels of the RayJob."""
    annotations: Annotations = Field(default_factory=dict)
    """Annotations of the RayJob."""
    submission_mode: Literal["HTTPMode"] = "HTTPMode"
    """How KubeRay submits; the other modes need pods that Pod Security restricted refuses."""
    backoff_limit: Annotated[int, Field(ge=0, le=100)] = 0
    """New clusters after a failed run; what a lost head or worker needs is retried anyway."""
    active_deadline_seconds: Annotated[int, Field(ge=1, le=31_536_000)] = 604_800
    """The longest that a run may take."""
    pre_running_deadline_seconds: Annotated[int, Field(ge=1, le=604_800)] = 1_800
    """The longest wait for images, nodes and quota."""
    ttl_seconds: Seconds = 600
    """How long the cluster of a finished run stays."""
    suspend: bool = False
    """Whether the run waits until somebody resumes it."""
    metadata: dict[str, Text] = Field(default_factory=dict)
    """What Ray's jobs API tells of the run."""


class Account(Section):
    """A service account."""

    annotations: Annotations = Field(default_factory=dict)
    """Annotations of the account."""
