"""The formats of palette files: to colors and back. Standard library only.

- PNG with a palette: chunks ``PLTE`` and ``tRNS`` (PNG 3, section 11);
- GIMP palette (``.gpl``): a line of three numbers for each color, and texts;
- Adobe color table (``.act``): 256 colors of three bytes, then how many there are and which one is transparent;
- JASC palette (``.pal``, Paint Shop Pro): three or four numbers for each color;
- RIFF palette (``.pal``, Windows): four bytes for each color, the last one flags;
- text: a color in hex digits on each line, as ``.hex`` files have it; ``;`` and ``//`` begin comments.
"""

import re
import struct
from collections.abc import Iterable

from colorquant.hex_colors import OPAQUE, Color, color_text, parse_color

_PNG = b"\x89PNG\r\n\x1a\n"
_ACT_BYTES = (768, 772)
_INDEXED = 3


def parse_palette(content: bytes, suffix: str) -> list[Color] | None:
    """The colors of a palette file, in its order; None for a PNG whose colors are pixels.

    The content decides on the format, except for ``.act``, which has no signature.

    Raises
    ------
    ValueError
        For anything else. The message continues a sentence that begins with the file.
    """
    if content.startswith(_PNG):
        return _of_png(content)
    if content.startswith(b"RIFF") and content[8:12] == b"PAL ":
        return _of_riff(content)
    if suffix == ".act":
        return _of_act(content)
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError("is not a palette: it takes .png, .gpl, .act, .pal, or hex colors as text") from None
    first = next((line.strip() for line in lines if line.strip()), "")
    if first == "GIMP Palette":
        return _of_gpl(lines)
    if first == "JASC-PAL":
        return _of_jasc(lines)
    return _of_text(lines)


def gpl_file(colors: Iterable[Color], name: str) -> bytes:
    """A GIMP palette. The format has no alpha: a color that is not opaque says so in its name."""
    rows = [f"{red:3} {green:3} {blue:3}\t{color_text((red, green, blue, a))}" for red, green, blue, a in colors]
    return "\n".join(["GIMP Palette", f"Name: {name}", "#", *rows, ""]).encode()


def hex_file(colors: Iterable[Color]) -> bytes:
    """A text with a color on each line."""
    return "".join(f"{color_text(color)}\n" for color in colors).encode()


def _of_png(content: bytes) -> list[Color] | None:
    palette: list[Color] | None = None
    start, color_type = len(_PNG), -1
    while start + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, start)
        body = content[start + 8 : start + 8 + length]
        if len(body) < length:
            raise ValueError("is a PNG that ends too early")
        if name == b"IHDR" and length == 13:
            color_type = body[9]
        elif name == b"PLTE" and color_type == _INDEXED:
            palette = [(body[at], body[at + 1], body[at + 2], OPAQUE) for at in range(0, length - length % 3, 3)]
        elif name == b"tRNS" and palette:
            palette = [(*color[:3], alpha) for color, alpha in zip(palette, body, strict=False)] + palette[length:]
        elif name == b"IDAT":
            break
        start += length + 12
    if color_type == _INDEXED and not palette:
        raise ValueError("is a PNG without its palette")
    return palette


def _of_riff(content: bytes) -> list[Color]:
    start = 12
    while start + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, start)
        if name == b"data" and length >= 4:
            _, count = struct.unpack_from("<HH", content, start + 8)
            colors = content[start + 12 : start + 12 + 4 * count]
            if len(colors) < 4 * count:
                break
            return [(colors[at], colors[at + 1], colors[at + 2], OPAQUE) for at in range(0, 4 * count, 4)]
        start += 8 + length + length % 2
    raise ValueError("is a RIFF palette that ends too early")


def _of_act(content: bytes) -> list[Color]:
    if len(content) not in _ACT_BYTES:
        raise ValueError(f"is not an Adobe color table: it has {len(content):,} bytes, not 768 or 772")
    count, transparent = struct.unpack(">HH", content[768:]) if len(content) > 768 else (256, 0xFFFF)
    if not 1 <= count <= 256:
        raise ValueError(f"is not an Adobe color table: it says that it has {count:,} colors")
    return [
        (*content[3 * index : 3 * index + 3], OPAQUE) if index != transparent else (0, 0, 0, 0)
        for index in range(count)
    ]


def _of_gpl(lines: list[str]) -> list[Color]:
    colors: list[Color] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text in ("", "GIMP Palette") or text.startswith("#") or re.match(r"[A-Za-z]+:", text):
            continue
        colors.append(_of_numbers(text.split()[:3], number))
    return colors


def _of_jasc(lines: list[str]) -> list[Color]:
    rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    if len(rows) < 3 or len(rows[2][1]) != 1 or not rows[2][1][0].isdigit() or len(rows) - 3 != int(rows[2][1][0]):
        raise ValueError("is a JASC palette whose third line is not the number of its colors")
    return [_of_numbers(parts, number) for number, parts in rows[3:]]


def _of_numbers(parts: list[str], line: int) -> Color:
    if len(parts) not in (3, 4) or not all(re.fullmatch("[0-9]{1,3}", part) and int(part) <= 255 for part in parts):
        raise ValueError(f"is not a palette: line {line} does not begin with three numbers from 0 to 255")
    red, green, blue, alpha = (*map(int, parts), OPAQUE)[:4]
    return (red, green, blue, alpha)


def _of_text(lines: list[str]) -> list[Color]:
    colors = []
    for number, line in enumerate(lines, 1):
        text = re.split(r";|//", line)[0].strip()
        if text:
            try:
                colors.append(parse_color(text))
            except ValueError as error:
                raise ValueError(f"is not a palette: line {number}, {error}") from None
    return colors
