"""The palette that a setting names, read once: jobs get its colors and not its path. Standard library only."""

import dataclasses
from pathlib import PurePath

from colorquant.errors import InvalidLocation, InvalidSetting, UnsupportedImage
from colorquant.hex_colors import Color, colors_text, distinct
from colorquant.palettes.formats import parse_palette
from colorquant.settings import Settings
from colorquant.storage import allow, is_refusal, open_stream
from colorquant.text import printable

# A GIMP palette of 256 colors with long names has some 20 KB, a picture of a palette less than that.
_MAX_BYTES = 1 << 20
_MAX_PIXELS = 1 << 20


def with_colors(settings: Settings) -> Settings:
    """The settings with the colors of the file that ``palette`` names. Raises InvalidSetting as ``read_palette``.

    Colors that are to be kept must be colors of the palette.
    """
    if not settings.is_palette_path and not settings.colors:
        return settings
    colors = settings.colors or read_palette(settings.palette)
    if missing := [color for color in settings.kept if color not in colors]:
        raise InvalidSetting(f"keep: {colors_text(missing)} is not in the palette: add it there, or leave keep out.")
    return dataclasses.replace(settings, palette=colors_text(colors))


def read_palette(path: str) -> tuple[Color, ...]:
    """The colors of a palette file, in its order.

    Parameters
    ----------
    path : str
        Path or URI of a file in one of the formats of ``formats``; or of a PNG whose pixels have the colors,
        row by row.

    Raises
    ------
    InvalidSetting
        Where there is no such file, it is not a palette, has two equal colors, or more than 256. The message says so.
    OSError
        Where the file cannot be read for a reason that may go away.
    """
    what = f"palette: {printable(path)!r}"
    try:
        allow(path)
        with open_stream(path) as stream:
            content = stream.read(_MAX_BYTES + 1)
    except InvalidLocation as error:
        raise InvalidSetting(f"palette: {error}") from None
    except OSError as error:
        if not is_refusal(error) and not isinstance(error, FileNotFoundError):
            raise
        raise InvalidSetting(f"{what} cannot be read: {error.strerror or error}.") from None
    if len(content) > _MAX_BYTES:
        raise InvalidSetting(f"{what} is not a palette: it has more than {_MAX_BYTES:,} bytes.")
    try:
        colors = parse_palette(content, PurePath(path).suffix.lower())
        colors = _colors_of_pixels(path) if colors is None else colors
        if not colors:
            raise ValueError("has no colors")
        try:
            return distinct([color if color[3] else (0, 0, 0, 0) for color in colors])
        except ValueError as error:
            raise ValueError(f"is not a palette: {error}") from None
    except ValueError as error:
        raise InvalidSetting(f"{what} {error}.") from None


def _colors_of_pixels(path: str) -> list[Color]:
    """The distinct colors of a PNG's pixels, in the order of reading: how palettes are often published."""
    import numpy as np

    from colorquant.decode import read_image
    from colorquant.limits import Limits

    try:
        pixels = read_image(path, Limits(pixels=_MAX_PIXELS)).pixels
    except UnsupportedImage as error:
        raise ValueError(f"is not a palette: {error}".rstrip(".")) from None
    flat = pixels.reshape(-1, pixels.shape[2])
    _, first = np.unique(flat, axis=0, return_index=True)
    rows = np.full((len(first), 4), 255, np.uint8)
    rows[:, : flat.shape[1]] = flat[np.sort(first)]
    return [(int(red), int(green), int(blue), int(alpha)) for red, green, blue, alpha in rows.tolist()]
