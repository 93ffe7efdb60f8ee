"""Colors as people write them: ``#d62728``, ``d62728``, ``#fff``, ``#d6272880`` with alpha. Standard library only."""

import re
from collections.abc import Iterable, Sequence

from colorquant.limits import MAX_COLORS

#: Red, green, blue and alpha, each 0 to 255.
Color = tuple[int, int, int, int]

OPAQUE = 255
_HEX = re.compile(r"#?([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})")


def parse_color(text: str) -> Color:
    """A color of three, six or eight hex digits, with or without ``#``. Raises ValueError with a sentence."""
    match = _HEX.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text.strip()!r} is not a color: write #rrggbb, or #rrggbbaa with alpha")
    digits = match[1] if len(match[1]) > 3 else "".join(2 * digit for digit in match[1])
    red, green, blue, alpha = bytes.fromhex(f"{digits}ff"[:8])
    # All fully transparent colors look alike, and are one.
    return (red, green, blue, alpha) if alpha else (0, 0, 0, 0)


def parse_colors(text: str) -> tuple[Color, ...]:
    """Colors separated by commas, in their order; none for an empty text. Raises ValueError as ``distinct``."""
    return distinct([parse_color(part) for part in text.split(",")] if text.strip() else [])


def distinct(colors: Sequence[Color]) -> tuple[Color, ...]:
    """The same colors. Raises ValueError with a sentence where two are equal, or there are more than 256."""
    if len(colors) > MAX_COLORS:
        raise ValueError(f"there are {len(colors):,} colors, and a palette has at most {MAX_COLORS}")
    first: dict[Color, int] = {}
    for number, color in enumerate(colors, 1):
        if first.setdefault(color, number) != number:
            raise ValueError(f"colors {first[color]} and {number} are both {color_text(color)}: name each once")
    return tuple(colors)


def color_text(color: Color) -> str:
    """``#d62728``, or ``#d6272880`` for a color that is not opaque."""
    digits = bytes(color).hex()
    return f"#{digits[:6] if color[3] == OPAQUE else digits}"


def colors_text(colors: Iterable[Color]) -> str:
    """Colors separated by commas, as ``parse_colors`` takes them."""
    return ",".join(map(color_text, colors))
