"""What `explain` says in a terminal."""

from cifar_dist.documents import ExplainDocument
from cifar_dist.report.columns import aligned, printable
from cifar_dist.report.formats import DASH, counted, percent

_SHOWN = 40  # rows; the document has all
METHODS = {"cam": "class activation map", "grad_cam": "Grad-CAM"}
"""How a method is called in a sentence."""


def explain_text(document: ExplainDocument) -> str:
    """One row per image, then the method, the layer and where the pictures lie."""
    rows = [
        [
            row.image,
            row.true or DASH,
            row.predicted,
            percent(row.confidence, 1),
            row.target,
            row.file,
        ]
        for row in document.images[:_SHOWN]
    ]
    header = ["image", "true", "predicted", "confidence", "map of", "file"]
    lines = [aligned(header, rows, left=(0, 1, 2, 4, 5))]
    if len(document.images) > _SHOWN:
        lines.append(f"… and {counted(len(document.images) - _SHOWN, 'image')} more")
    height, width = document.positions
    lines.append(
        f"{METHODS[document.method]} of layer {document.layer}, {height}×{width} positions; "
        f"{counted(len(document.files), 'picture')} in {printable(document.folder)}"
    )
    return "\n".join(lines)
