"""A figure of a report: a file beside the page, and what the page shows of it."""

import base64
from dataclasses import dataclass
from typing import Literal

MEDIA = {"png": "image/png", "gif": "image/gif"}
"""Types of files, by their ending."""


@dataclass(frozen=True)
class Picture:
    """One figure; `name` is its file's stem, `alt` says in words what it shows."""

    name: str
    alt: str
    data: bytes
    kind: Literal["png", "gif"] = "png"
    svg: str | None = None
    """Markup that takes the page's colors; the page shows it in the place of the file's pixels."""

    @property
    def file(self) -> str:
        """Its file's name."""
        return f"{self.name}.{self.kind}"

    @property
    def uri(self) -> str:
        """The file as a data: address."""
        return f"data:{MEDIA[self.kind]};base64,{base64.b64encode(self.data).decode()}"
