"""What an examination of a set-up found."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from cifar_dist.documents.document import Document

Verdict = Literal["ok", "warning", "failed", "skipped"]


class CheckRow(Document):
    """One check of a set-up."""

    name: str
    verdict: Verdict
    found: str
    remedy: str | None
    """What to do; null where nothing is to be done."""
    exit_code: int
    """What the program would end with for this; 0 unless it failed."""
    seconds: float


class DoctorDocument(Document):
    """The result of `doctor`."""

    schema_: Annotated[Literal["cifar-dist/doctor/1"], Field(alias="schema")] = (
        "cifar-dist/doctor/1"
    )
    checks: list[CheckRow]
    exit_code: int
    """The highest of all checks."""
    seconds: float

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
