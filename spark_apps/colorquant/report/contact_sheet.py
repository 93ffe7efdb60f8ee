"""A contact sheet: one PNG with the original and every k side by side, drawn by Matplotlib."""

import math
import textwrap
import warnings
from collections.abc import Sequence
from threading import Lock

import imagecodecs
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from colorquant.pixels import Pixels
from colorquant.report.rows import Row
from colorquant.text import byte_size, printable, psnr_text, shorten

_DPI = 100
_CAPTION = 46
_MARGIN = 24
_HEADER = 56
_MAX_CELL = 400
_MIN_CELL = 120
# Of a sheet. It bounds the memory for drawing one: some copies with 4 bytes a pixel.
_MAX_PIXELS = 12_000_000
# A third of the time of level 6, and no more bytes.
_LEVEL = 3
# Matplotlib may be used by one thread at a time.
_MATPLOTLIB = Lock()
_INK, _QUIET, _EMPTY = "#1c1f23", "#5d646c", "#ecece7"


def contact_sheet(name: str, original: Image.Image | None, versions: Sequence[tuple[Row, Image.Image | None]]) -> bytes:
    """Draw the sheet of one image. Several threads may do so.

    Parameters
    ----------
    name : str
        The image's name.
    original : PIL.Image.Image or None
        Preview of the original, RGB or RGBA; None where it cannot be shown. A sheet shows all on white.
    versions : sequence of (Row, PIL.Image.Image or None)
        Each output's row and preview. An empty box stands for a preview that is None.

    Returns
    -------
    bytes
        A PNG of at most about 12 megapixels; the same bytes for the same input and versions of packages.
    """
    with _MATPLOTLIB:
        drawn = _drawn(name, original, versions)
    return bytes(imagecodecs.png_encode(drawn, level=_LEVEL))


def _drawn(name: str, original: Image.Image | None, versions: Sequence[tuple[Row, Image.Image | None]]) -> Pixels:
    """The sheet's pixels, uint8 (H, W, 3)."""
    pictures = [original, *(preview for _, preview in versions)]
    columns = _columns(len(pictures))
    lines = math.ceil(len(pictures) / columns)
    cell = int(min(_MAX_CELL, max(_MIN_CELL, math.sqrt(_MAX_PIXELS / (columns * lines)) - _CAPTION - _MARGIN)))
    shown = [_fitted(picture, cell) for picture in pictures]
    tallest = max([cell // 4, *(picture.height for picture in shown if picture)])
    width = max(columns * (cell + _MARGIN) + _MARGIN, 480)
    height = _HEADER + lines * (tallest + _CAPTION + _MARGIN)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    title = shorten(printable(name), max(20, width // 11))
    _write(figure, _MARGIN, height - 34, title, 13, _INK, weight="bold")
    captions = [_original_caption(versions, shown[0]), *(_caption(row) for row, _ in versions)]
    for index, (picture, caption) in enumerate(zip(shown, captions, strict=True)):
        left = _MARGIN + index % columns * (cell + _MARGIN)
        bottom = height - _HEADER - (index // columns + 1) * (tallest + _CAPTION + _MARGIN) + _CAPTION + _MARGIN
        _draw(figure, picture, left, bottom, cell, tallest, caption)
    with warnings.catch_warnings():
        # Characters that the bundled font lacks are drawn as boxes; the log need not say so.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _columns(count: int) -> int:
    """Number of pictures in a line.

    All, if they are few; else so many that the sheet is a little wider than high, with a full last line.
    """
    if count <= 5:
        return count
    middle = math.ceil(math.sqrt(count * 1.3))
    return min((middle, middle - 1, middle + 1), key=lambda columns: -count % columns)


def _fitted(picture: Image.Image | None, cell: int) -> Image.Image | None:
    """The picture on white, scaled to a cell: down by averaging, or up by a whole factor without smoothing."""
    if picture is None:
        return None
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    factor = cell // max(picture.size)
    if factor >= 2:
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    smaller = picture.copy()
    smaller.thumbnail((cell, cell), Image.Resampling.BOX, reducing_gap=None)
    return smaller


def _draw(
    figure: Figure, picture: Image.Image | None, left: int, bottom: int, cell: int, tallest: int, caption: Sequence[str]
) -> None:
    """Draw a picture and its caption on the figure, without resampling."""
    if picture is None:
        box = Rectangle((left, bottom), cell, tallest, transform=None, facecolor=_EMPTY, edgecolor="none")
        figure.add_artist(box)
        _write(figure, left + 16, bottom + tallest / 2 - 4, "no picture", 9, _QUIET)
    else:
        figure.figimage(np.asarray(picture), left, bottom + (tallest - picture.height) // 2, origin="upper")
    _write(figure, left, bottom - 17, shorten(caption[0], cell // 7), 9, _INK, weight="bold")
    for number, line in enumerate(caption[1:3]):
        _write(figure, left, bottom - 31 - 13 * number, shorten(line, cell // 5), 7.5, _QUIET)


def _write(figure: Figure, x: float, y: float, text: str, size: float, color: str, weight: str = "normal") -> None:
    # A file name may contain $ and _, which Matplotlib would read as mathematics.
    figure.text(
        x / figure.bbox.width,
        y / figure.bbox.height,
        text,
        fontsize=size,
        color=color,
        fontweight=weight,
        parse_math=False,
        family="DejaVu Sans",
    )


def _original_caption(versions: Sequence[tuple[Row, Image.Image | None]], shown: Image.Image | None) -> tuple[str, ...]:
    row = next((row for row, _ in versions if not row.failed), None)
    if row is None:
        return ("original",)
    scaled = shown is not None and shown.size != (row.width, row.height)
    size = f"{row.width} x {row.height}" + (f", shown at {shown.width} x {shown.height}" if shown and scaled else "")
    return ("original", size, byte_size(row.original_bytes or 0))


def _caption(row: Row) -> tuple[str, ...]:
    if row.failed:
        return (f"k = {row.size}: failed", *textwrap.wrap(printable(" ".join((row.reason or "").split())), 66)[:2])
    ratio = f"ratio {row.compression_ratio:.2f}, {byte_size(row.compressed_bytes or 0)}"
    return (f"k = {row.k}", ratio, f"{psnr_text(row.psnr_db)}, SSIM {row.ssim:.4f}")
