"""What was submitted to a cluster, and how it stands."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from cifar_dist.documents.document import Document

SubmittedState = Literal[
    "waiting", "suspended", "starting", "running", "retrying", "ending",
    "succeeded", "failed", "stopped", "preempted", "refused",
]  # fmt: skip


class SubmissionRow(Document):
    """One submitted job."""

    name: str
    kind: str | None
    """tune or train."""
    state: SubmittedState
    age_seconds: float | None
    """Since it was submitted."""
    workers_ready: int
    workers_wanted: int
    """Now; an autoscaler changes it."""
    run: str | None
    """What its pods and records are labeled with; the id in the store ends in digits of its own."""
    exit_code: int | None = None
    """The program's; null until it ended."""
    reason: str | None = None
    """Why it ended as it did."""
    causes: list[str] = Field(default_factory=list)
    """What it waits for, if a single job was asked for."""


class SubmissionsDocument(Document):
    """The submitted jobs of a namespace, or of a Ray cluster."""

    schema_: Annotated[Literal["cifar-dist/submissions/1"], Field(alias="schema")] = (
        "cifar-dist/submissions/1"
    )
    cluster: str | None
    """Context of kubectl's configuration, or a Ray cluster's address; null: the current context."""
    namespace: str | None
    """Null for a Ray cluster by its address."""
    submissions: list[SubmissionRow]

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class SubmissionLogDocument(Document):
    """The last lines that a submitted job printed."""

    schema_: Annotated[Literal["cifar-dist/submission-log/1"], Field(alias="schema")] = (
        "cifar-dist/submission-log/1"
    )
    name: str
    lines: list[str]

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class PlatformDocument(Document):
    """A platform that was installed, or whose dashboard was opened."""

    schema_: Annotated[Literal["cifar-dist/platform/1"], Field(alias="schema")] = (
        "cifar-dist/platform/1"
    )
    release: str
    namespace: str
    context: str | None
    """kubectl's; null for its current one."""
    store: str | None
    cluster: str | None
    """A RayCluster: the platform's own, or the one whose dashboard was opened."""
    dashboard: str | None
    """Its address on this machine, while the command runs."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
