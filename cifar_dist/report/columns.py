"""Text in columns: plain, aligned, safe for a terminal."""

from collections.abc import Iterable, Sequence


def aligned(
    header: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)
) -> str:
    """Write a header, a rule and rows; the columns of `left` are aligned left, others right."""
    cells = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:]])


def printable(text: str) -> str:
    """Replace what would steer a terminal: names come from folders and stores."""
    return "".join(character if character.isprintable() else "?" for character in text)
