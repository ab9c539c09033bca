"""What a learning-rate range test found."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from cifar_dist.documents.document import Document
from cifar_dist.documents.results import DataFacts


class LrRow(Document):
    """One step of the test."""

    lr: float
    loss: float
    """Mean training loss of the step's batch, as optimized."""
    smoothed_loss: float
    """Mean over the neighboring steps."""


class LrRangeDocument(Document):
    """The result of `train --lr-find`."""

    schema_: Annotated[Literal["cifar-dist/lr-range/1"], Field(alias="schema")] = (
        "cifar-dist/lr-range/1"
    )
    job: dict[str, Any]
    data: DataFacts
    parameters: int
    precision: str
    device: str
    rows: Annotated[list[LrRow], Field(min_length=1)]
    steepest_lr: float
    """Where the smoothed loss falls fastest."""
    divergence_lr: float | None
    """Where it rises above the untrained model's again; null if it did not by the last step."""
    suggested_lr: float
    """The steepest, but at most a tenth of the divergence."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
