"""What a model saw in single images, and where."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from cifar_dist.documents.document import Document, Split
from cifar_dist.documents.insight import SkippedFile


class ExplainedImage(Document):
    """One image, and the picture that shows its map."""

    image: str
    """Its path, or its number in the split."""
    true: str | None
    """Null for a file, whose class is not known."""
    predicted: str
    confidence: float
    """The probability of the predicted class."""
    target: str
    """The class that the map is of."""
    file: str
    """The picture's name in the folder."""


class ExplainDocument(Document):
    """The result of `explain`."""

    schema_: Annotated[Literal["cifar-dist/explain/1"], Field(alias="schema")] = (
        "cifar-dist/explain/1"
    )
    weights: str
    model: str
    layer: str
    method: Literal["cam", "grad_cam"]
    positions: tuple[int, int]
    """Height and width of a map."""
    split: Split | None
    """Where the images come from; null for files."""
    folder: str
    files: list[str]
    """All that was written."""
    images: list[ExplainedImage]
    """Of galleries, every image that one of them shows; `file` is then the first of these."""
    skipped: list[SkippedFile]

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
