"""What a run on a Kubernetes cluster was asked for and came to."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from cifar_dist.documents.doctor import CheckRow
from cifar_dist.documents.document import Document

SubmissionState = Literal["rendered", "refused", "created", "found", "submitted", "ended"]


class SubmissionDocument(Document):
    """The result of `submit tune` and `submit train`."""

    schema_: Annotated[Literal["cifar-dist/submission/1"], Field(alias="schema")] = (
        "cifar-dist/submission/1"
    )
    name: str
    """The RayJob's; with --ray the submission's id."""
    namespace: str | None
    """Null with --ray."""
    context: str | None
    """kubectl's; null for its current one, and where no cluster was asked."""
    kind: Literal["tune", "train"]
    command: str
    """What the head runs."""
    store: str
    data: str
    manifest: dict[str, Any] | None
    """The whole RayJob; null with --ray."""
    manifest_sha256: str | None
    """Of its JSON with sorted keys and without spaces."""
    checks: list[CheckRow]
    state: SubmissionState
    """rendered: only shown; refused: a check failed; found: the same was submitted before."""
    outcome: str | None
    """How it ended, or where it stood when it was found; null where nobody looked."""
    reason: str | None
    exit_code: int
    """What the program ends with."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
