"""Boxes: the parts of AVIF and JPEG 2000 files, and what they say about colors and samples.

Sources: ISO/IEC 14496-12 (boxes), 23008-12 (properties of items), 15444-1, annexes A and I (JPEG 2000).
"""

from collections.abc import Iterator

_AVIF_CODE_POINTS = b"nclx"
_SIZ = b"\xff\x4f\xff\x51"


def boxes(content: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """The type of each box between two offsets, and where its content starts and ends; until one is damaged."""
    limit = len(content) if end is None else end
    while start + 8 <= limit:
        size, name, at = int.from_bytes(content[start : start + 4]), content[start + 4 : start + 8], start + 8
        if size == 1:
            size, at = int.from_bytes(content[at : at + 8]), at + 8
        stop = limit if size == 0 else start + size
        if not at <= stop <= limit:
            return
        yield name, at, stop
        start = stop


def code_points_of_avif(content: bytes) -> tuple[int, int] | None:
    """Color primaries and transfer characteristics (ITU-T H.273) of an AVIF's primary item; None where it has none."""
    meta = next(((start + 4, end) for name, start, end in boxes(content) if name == b"meta"), (0, 0))
    parts = {name: (start, end) for name, start, end in boxes(content, *meta)}
    properties: list[tuple[int, int]] = []
    wanted: set[int] = set()
    for name, start, end in boxes(content, *parts.get(b"iprp", (0, 0))):
        if name == b"ipco":
            properties = [(at, stop) if kind == b"colr" else (0, 0) for kind, at, stop in boxes(content, start, end)]
        elif name == b"ipma" and b"pitm" in parts:
            wanted |= _properties_of(content[start:end], _primary_item(content[slice(*parts[b"pitm"])]))
    for index in sorted(wanted):
        at, stop = properties[index - 1] if 0 < index <= len(properties) else (0, 0)
        if content[at : at + 4] == _AVIF_CODE_POINTS and stop - at >= 8:
            return int.from_bytes(content[at + 4 : at + 6]), int.from_bytes(content[at + 6 : at + 8])
    return None


def _primary_item(pitm: bytes) -> int:
    return int.from_bytes(pitm[4:6] if pitm[0] == 0 else pitm[4:8])


def _properties_of(ipma: bytes, item: int) -> set[int]:
    """The numbers, from 1 on, of an item's properties."""
    id_size, index_size = (2 if ipma[0] == 0 else 4), 1 + (ipma[3] & 1)
    found, at = set[int](), 8
    for _ in range(int.from_bytes(ipma[4:8])):
        if at + id_size >= len(ipma):
            break
        number, count, at = int.from_bytes(ipma[at : at + id_size]), ipma[at + id_size], at + id_size + 1
        for _ in range(count):
            # The highest bit says whether a reader must know the property.
            index = int.from_bytes(ipma[at : at + index_size]) & ((1 << (8 * index_size - 1)) - 1)
            at += index_size
            if number == item:
                found.add(index)
    return found


def color_boxes_of_jpeg2000(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Method and value of each color specification of a JP2 file: 1 for a number, 2 or 3 for an ICC profile."""
    for start, end in _in_jp2_header(content, b"colr"):
        yield content[start], content[start + 3 : end]


def has_palette(content: bytes) -> bool:
    """Whether a JP2 file has a palette."""
    return any(True for _ in _in_jp2_header(content, b"pclr"))


def depths_of_jpeg2000(content: bytes) -> list[tuple[int, bool]]:
    """Bits of each channel as it is shown, and whether it is signed: of the palette, or else of the codestream."""
    for start, end in _in_jp2_header(content, b"pclr"):
        return [_depth(code) for code in content[start + 3 : min(end, start + 3 + content[start + 2])]]
    streams = [start for name, start, _ in boxes(content) if name == b"jp2c"]
    at = streams[0] if streams else 0
    if content[at : at + 4] != _SIZ:
        raise ValueError("it has no codestream")
    count = int.from_bytes(content[at + 40 : at + 42])
    return [_depth(code) for code in content[at + 42 : at + 42 + 3 * count : 3]]


def _depth(code: int) -> tuple[int, bool]:
    return (code & 0x7F) + 1, bool(code & 0x80)


def _in_jp2_header(content: bytes, wanted: bytes) -> Iterator[tuple[int, int]]:
    if content[4:8] != b"jP  ":
        return
    for name, start, end in boxes(content):
        if name == b"jp2h":
            for inner, at, stop in boxes(content, start, end):
                if inner == wanted and stop - at > 3:
                    yield at, stop
            return
