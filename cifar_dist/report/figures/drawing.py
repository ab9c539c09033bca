"""How every figure is drawn: its colors, its type, and the two forms that it is kept in."""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cifar_dist.report.guarded import guarded
from cifar_dist.report.pictures import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# After Okabe and Ito, told apart with every kind of color blindness; dashes repeat the message.
# The blue is lighter than theirs, to be seen on a dark page too.
BLUE, ORANGE, PURPLE, GRAY = "#2f8fd0", "#d55e00", "#cc79a7", "#8a8a8a"
INK = "#1d2126"
"""Becomes the page's own text color, light or dark."""
DPI = 150


@contextmanager
def style() -> Iterator[None]:
    """Set what figures look like; they are made and saved inside."""
    import matplotlib as mpl

    ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    settings: Any = {
        "font.size": 11,
        "text.parse_math": False,  # a $ in a name is a dollar sign
        "svg.fonttype": "none",
        "svg.hashsalt": "cifar-dist",  # else ids differ from one rendering to the next
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": INK,
        "grid.alpha": 0.15,
        **dict.fromkeys(ink, INK),
    }
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # else a matplotlibrc of the user's would decide
        mpl.rcParams.update(settings)
        # A name may use letters that the font lacks; they print as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* nativ")
        yield


def drawn(modules: Sequence[ModuleType], document: object, known: object) -> dict[str, Picture]:
    """Draw the pictures of each module, by name; one that fails is left out with all of its own."""
    found: list[Picture] = []
    with style():
        for module in modules:
            figures = f"the figures of {module.__name__.rpartition('.')[2]}"
            found += guarded(figures, _pictures, module, document, known) or []
    return {picture.name: picture for picture in found}


def picture(name: str, alt: str, figure: "Figure") -> Picture:
    """Keep a figure made within `style` as PNG, and as markup that follows the page's colors."""
    pixels = png(figure)
    figure.set_layout_engine("none")  # it is laid out
    return Picture(name, alt, pixels, svg=markup(name, figure))


def photograph(name: str, alt: str, figure: "Figure") -> Picture:
    """Keep a figure of photographs as a PNG of 256 colors, a third as large as one of all."""
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})  # at the figure's own DPI
    small = io.BytesIO()
    with Image.open(buffer) as drawn:
        plain = drawn.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        plain.save(small, "PNG", optimize=True)
    return Picture(name, alt, small.getvalue())


def png(figure: "Figure") -> bytes:
    """Render a figure on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def markup(name: str, figure: "Figure") -> str:
    """Render an <svg> without a background; `name` keeps its ids apart from other pictures'."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, dpi=DPI, metadata=nothing)
    svg = "<svg" + buffer.getvalue().partition("<svg")[2]
    head, _, body = svg.partition(">")
    head = re.sub(r'\s(xmlns(:xlink)?|width|height|version)="[^"]*"', "", head)
    body = body.replace(INK, "currentColor")
    # Ids are unique within a picture, not within a page.
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", body)
    return f'{head} aria-hidden="true">{body}'


def _pictures(module: ModuleType, document: object, known: object) -> list[Picture]:
    return list(module.pictures(document, known))
