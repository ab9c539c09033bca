"""A data card: what a source is, where it came from, its hashes and its statistics."""

from cifar_dist.documents import DataDocument
from cifar_dist.report.tables import statistics_table


def data_card(document: DataDocument) -> str:
    """Give the card as text for people; hashes are whole, so that they can be compared."""
    return "\n".join(f"{name:<19} {value}" for name, value in _lines(document)) + (
        f"\n\n{statistics_table(document)}"
    )


def _lines(document: DataDocument) -> list[tuple[str, str]]:
    data, origin = document.data, document.origin
    lines = [("source", ascii(data.source)[1:-1])]
    if origin is not None:
        lines += [
            ("made from", origin.kind),
            ("converted to RGB", f"{origin.converted_images:,} images"),
            ("resized to 32×32", f"{origin.resized_images:,} images"),
        ]
    lines += [
        ("training images", f"{data.train_images:,}"),
        ("validation images", f"{data.validation_images:,}"),
        ("test images", f"{data.test_images:,}"),
        ("data SHA-256", data.sha256),
        ("validation SHA-256", data.split_sha256),
    ]
    if origin is not None:
        lines += [(f"file {ascii(name)[1:-1]}", digest) for name, digest in origin.files.items()]
    if document.citation:
        lines.append(("cite", document.citation))
    return [*lines, ("cache", document.cache)]
