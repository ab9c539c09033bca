"""The base of every document: frozen, closed, finite."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Split = Literal["train", "validation", "test"]


class Document(BaseModel):
    """A frozen value without room for misspelt fields; numbers in it are finite or null."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        defer_build=True,  # a command needs two or three of them
    )
