"""The chart's values of the store."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from cifar_dist.config.endpoints import endpoint_fault
from cifar_dist.submission.sections import Image, Memory, Name, Resources, Section

# Plain http only where it stays inside: one word, Kubernetes' own names, private addresses.
_INSIDE = (
    r"[a-zA-Z][-a-zA-Z0-9]*|[a-z0-9.-]+\.svc(\.cluster\.local)?|127(\.[0-9]{1,3}){3}"
    r"|10(\.[0-9]{1,3}){3}|192\.168(\.[0-9]{1,3}){2}|172\.(1[6-9]|2[0-9]|3[01])(\.[0-9]{1,3}){2}"
)
_ENDPOINT = (
    rf"^$|^(https://[a-zA-Z0-9.-]+|http://({_INSIDE}))(:[0-9]{{1,5}})?(/[A-Za-z0-9_./~-]*)?$"
)

_DEV_PORT = 7070


class Bootstrap(Section):
    """A Job after install and upgrade that makes the bucket."""

    enabled: bool = False
    """Whether the bucket is made; that of store.dev always is. On Amazon make it yourself."""
    abort_uploads_days: Annotated[int, Field(ge=0, le=365)] = 3
    """Days after which unfinished uploads are removed, where the server can; 0 sets no rule."""


class DevStore(Section):
    """A versitygw in the cluster, for development: one pod, no copies."""

    enabled: bool = False
    """Whether it runs; store.existingSecret holds its keys."""
    image: Image = Image(repository="ghcr.io/versity/versitygw", tag="v1.8.0")
    """The image of versitygw."""
    size: Memory = "10Gi"
    """Room for objects."""
    storage_class: Name = ""
    """StorageClass of the volume; empty takes the cluster's default."""
    ephemeral: bool = True
    """Whether all is lost with the pod, the bucket too; false: with the release."""
    resources: Resources = Resources(
        requests={"cpu": "50m", "memory": "128Mi"}, limits={"memory": "1Gi"}
    )
    """What its container has."""


class Store(Section):
    """Where checkpoints, ledgers and reports go."""

    uri: Annotated[
        str,
        Field(
            max_length=1024,
            pattern=r"^$|^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_][A-Za-z0-9._=+/-]*)?$",
        ),
    ] = ""
    """s3://bucket/prefix."""
    endpoint: Annotated[str, Field(max_length=253, pattern=_ENDPOINT)] = ""
    """Address of a server other than Amazon's: https, or http inside the cluster."""
    region: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,63}$")] = "us-east-1"
    """Region that requests are signed for."""
    checksums: Literal["", "when_required", "when_supported"] = ""
    """When the SDK adds checksums of its own; empty: only where S3 demands them."""
    existing_secret: Name = ""
    """Secret with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""
    irsa_role_arn: Annotated[
        str, Field(pattern=r"^$|^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$")
    ] = ""
    """IAM role of the accounts on Amazon EKS, in place of keys."""
    ca_secret: Name = ""
    """Secret with the key ca.crt that signed the server's certificate."""
    bootstrap: Bootstrap = Bootstrap()
    dev: DevStore = DevStore()

    @property
    def is_in_cluster(self) -> bool:
        """Whether the release runs the server."""
        return self.dev.enabled and not self.endpoint

    def address(self, full: str) -> str:
        """Give the address by which pods reach it, of a release whose names begin with `full`.

        Empty for Amazon's.
        """
        return f"http://{full}-store:{_DEV_PORT}" if self.is_in_cluster else self.endpoint

    @field_validator("endpoint")
    @classmethod
    def _is_an_address(cls, endpoint: str) -> str:
        if endpoint and (fault := endpoint_fault(endpoint)):
            raise ValueError(fault)
        return endpoint
