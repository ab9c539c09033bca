"""Activation maps as color over their image: alone, beside it, and as a film that loops."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cifar_dist.report.columns import printable

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

COLORS = "viridis"
"""The color map: it is read alike with every kind of color blindness, and in gray."""
SCALE = 5
"""How much larger than life an image is shown; a whole number keeps its pixels squares."""

_SHARE = 0.55  # of the color; the rest is the image
_GAP, _LINE, _BAR, _FONT = 6, 17, 10, 12  # pixels
_INK, _PAPER = "#1d2126", "#ffffff"
_BAR_ENDS = ("none", "most")
_GRAYS, _STEPS = 6, 7  # of a film: what changes is stored for each frame, so it is kept coarse
_FILM_SCALE, _FILM_COLORS = 4, 128
_PALETTE_EVERY = 4  # frames; their colors are few and much the same
_FRAME_MILLISECONDS, _LAST_MILLISECONDS = 350, 1500
_FILM_BYTES = 48_000  # a film above it goes on with every other frame
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def heat(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Give the colors uint8 [..., 3] of values in 0…1."""
    from matplotlib import colormaps

    colors: NDArray[np.uint8] = colormaps[COLORS](values, bytes=True)[..., :3]
    return colors


def enlarged(image: NDArray[np.uint8], scale: int = SCALE) -> NDArray[np.uint8]:
    """Turn an image uint8 [3, height, width] into a larger one, channels last."""
    return image.transpose(1, 2, 0).repeat(scale, 0).repeat(scale, 1)


def overlay(
    image: NDArray[np.uint8], activation: NDArray[np.float32], scale: int = SCALE
) -> NDArray[np.uint8]:
    """Lay a map [h, w], 0…1, over an image uint8 [3, height, width]; channels come last."""
    shown = enlarged(image, scale)
    return _mixed(heat(spread(activation, *shown.shape[:2])), shown)


def spread(activation: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Enlarge a map bilinearly."""
    from PIL import Image

    small = Image.fromarray(np.ascontiguousarray(activation, np.float32))
    large = small.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(large, np.float32).clip(0, 1)


def side_by_side(
    image: NDArray[np.uint8], activation: NDArray[np.float32], lines: Sequence[str]
) -> bytes:
    """Give a PNG: an image, its overlay with a color bar, and lines of text below them."""
    from PIL import Image

    shown = enlarged(image)
    height, width = shown.shape[:2]
    canvas = _panel(shown, overlay(image, activation), lines, _BAR + _LINE)
    left, top = width + _GAP, height + _GAP // 2
    bar = heat(np.linspace(0, 1, width))[None].repeat(_BAR, 0)
    canvas.paste(Image.fromarray(bar), (left, top))
    _write(canvas, _BAR_ENDS[0], (left, top + _BAR))
    _write(canvas, _BAR_ENDS[1], (canvas.width, top + _BAR), anchor="ra")
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def film(
    image: NDArray[np.uint8], maps: NDArray[np.float32], lines: Sequence[Sequence[str]]
) -> bytes:
    """Give a GIF: an image beside its maps [n, h, w] in turn, with lines of text below each.

    If it grows too large, every other frame is left out; the last one always stays.
    """
    frames = [
        _panel(enlarged(image, _FILM_SCALE), tinted(image, activation), texts)
        for activation, texts in zip(maps, lines, strict=True)
    ]
    while len(made := _looping(frames)) > _FILM_BYTES and len(frames) > 1:
        frames = frames[-1::-2][::-1]
    return made


def tinted(image: NDArray[np.uint8], activation: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay a map over an image in few grays and few colors, as a film does."""
    grays = (image.transpose(1, 2, 0) @ np.array(_LUMA) / 255 * (_GRAYS - 1)).round()
    steps = (spread(activation, *image.shape[1:]) * (_STEPS - 1)).round()
    shown = (grays / (_GRAYS - 1) * 255).astype(np.uint8)[..., None]
    small = _mixed(heat(steps / (_STEPS - 1)), shown)
    return small.repeat(_FILM_SCALE, 0).repeat(_FILM_SCALE, 1)


def _mixed(colors: NDArray[np.uint8], shown: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (_SHARE * colors + (1 - _SHARE) * shown).round().astype(np.uint8)


def _panel(
    left: NDArray[np.uint8], right: NDArray[np.uint8], lines: Sequence[str], between: int = 0
) -> "Image.Image":
    """Lay two images side by side, and lines of text `between` pixels below them."""
    from PIL import Image

    (height, width), offset = left.shape[:2], left.shape[1] + _GAP
    text = height + _GAP // 2 + between
    size = (offset + width, text + _GAP // 2 + _LINE * len(lines))
    canvas = Image.new("RGB", size, _PAPER)
    canvas.paste(Image.fromarray(left), (0, 0))
    canvas.paste(Image.fromarray(right), (offset, 0))
    for number, line in enumerate(lines):
        _write(canvas, line, (0, text + _LINE * number))
    return canvas


def _write(canvas: "Image.Image", text: str, at: tuple[int, int], anchor: str = "la") -> None:
    from PIL import ImageDraw

    font, fits = _font(), printable(text)
    while font.getlength(fits) > canvas.width and len(fits) > 1:
        fits = f"{fits[:-2]}…"
    draw = ImageDraw.Draw(canvas)
    draw.fontmode = "1"  # without soft edges, whose grays would take colors from the image
    draw.text(at, fits, fill=_INK, font=font, anchor=anchor)


def _font() -> "FreeTypeFont | ImageFont":
    import matplotlib as mpl
    from PIL import ImageFont

    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), _FONT)


def _looping(frames: Sequence["Image.Image"]) -> bytes:
    from PIL import Image

    # One palette for all, so that of each frame only what changed is stored.
    together = np.concatenate([np.asarray(frame) for frame in frames[::-_PALETTE_EVERY]])
    palette = Image.fromarray(together).quantize(_FILM_COLORS, dither=Image.Dither.NONE)
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    times = [_FRAME_MILLISECONDS] * len(others) + [_LAST_MILLISECONDS]
    buffer = io.BytesIO()
    first.save(
        buffer, "GIF", save_all=True, append_images=others, duration=times, loop=0, optimize=True
    )
    return buffer.getvalue()
