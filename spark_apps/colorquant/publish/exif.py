"""EXIF data, which are a small TIFF: the few entries that a picture needs to look as it does. Standard library only."""

import struct
from dataclasses import dataclass

#: Tags of entries: of the author, the rights, and the directories of the camera, of positions and of standards.
ARTIST, COPYRIGHT = 315, 33432
EXIF_IFD, GPS_IFD, INTEROP_IFD = 34665, 34853, 40965
#: Bytes of a value of each type.
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

_ORIENTATION, _RESOLUTION = 274, (282, 283, 296)
# Where there is no profile, these two tell sRGB from Adobe RGB.
_COLOR_SPACE, _INTEROP_INDEX = 40961, 1
# Programs write this when they do not know the resolution.
_DEFAULT_DPI = 72
_MAX_ENTRY_BYTES = 4096


@dataclass(frozen=True)
class Tiff:
    """How the numbers of a TIFF, or of EXIF data, are written."""

    order: str
    big: bool = False

    @classmethod
    def of(cls, header: bytes) -> "Tiff":
        """Raises ValueError where it is the header of none."""
        order = {b"II": "<", b"MM": ">"}.get(header[:2])
        if order is None or len(header) < 8:
            raise ValueError("it is no TIFF")
        return cls(order, struct.unpack_from(f"{order}H", header, 2)[0] == 43)

    @property
    def word(self) -> str:
        """The format of an address or a count."""
        return f"{self.order}{'Q' if self.big else 'I'}"

    @property
    def entry_bytes(self) -> int:
        """Tag, type, count, and the value or its address."""
        return 20 if self.big else 12

    def entry(self, entry: bytes) -> tuple[int, int, int, bytes]:
        """Tag, type, bytes of the value, and the field with the value or its address."""
        tag, kind = struct.unpack_from(f"{self.order}HH", entry)
        (count,) = struct.unpack_from(self.word, entry, 4)
        return tag, kind, count * SIZES.get(kind, 1), entry[12:] if self.big else entry[8:]


def least_exif(exif: bytes, texts: bool) -> bytes:
    """EXIF data with the entries that a picture needs to look as it does; empty where there are none."""
    try:
        tiff = Tiff(Tiff.of(exif).order)
        (first,) = struct.unpack_from(f"{tiff.order}I", exif, 4)
        main = _entries(exif, tiff, first)
        camera = _entries(exif, tiff, _address(tiff, main, EXIF_IFD))
        interop = _entries(exif, tiff, _address(tiff, camera, INTEROP_IFD))
    except (ValueError, struct.error):
        return b""  # Viewers ignore damaged EXIF data.
    wanted = (_ORIENTATION, *_RESOLUTION, *((ARTIST, COPYRIGHT) if texts else ()))
    kept = {tag: main[tag] for tag in wanted if tag in main}
    spaces = {tag: camera[tag] for tag in (_COLOR_SPACE,) if tag in camera}
    indexes = {tag: interop[tag] for tag in (_INTEROP_INDEX,) if tag in interop}
    if kept.keys() <= set(_RESOLUTION) and not spaces and not indexes and _is_default_resolution(tiff, kept):
        return b""
    header = exif[:4] + struct.pack(f"{tiff.order}I", 8)
    return header + _written(tiff, [kept, spaces, indexes], 8)


def _is_default_resolution(tiff: Tiff, kept: dict[int, tuple[int, bytes]]) -> bool:
    values = [kept[tag][1] for tag in _RESOLUTION[:2] if tag in kept]
    numbers = [struct.unpack(f"{tiff.order}II", value) for value in values if len(value) == 8]
    return all(above == _DEFAULT_DPI * below for above, below in numbers)


def _entries(exif: bytes, tiff: Tiff, at: int) -> dict[int, tuple[int, bytes]]:
    """Type and value of each entry of a directory, by its tag; none at address 0."""
    if not 8 <= at <= len(exif) - 2:
        return {}
    found: dict[int, tuple[int, bytes]] = {}
    (count,) = struct.unpack_from(f"{tiff.order}H", exif, at)
    for start in range(at + 2, min(at + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, size, field = tiff.entry(exif[start : start + 12])
        (address,) = struct.unpack(f"{tiff.order}I", field)
        value = field[:size] if size <= 4 else exif[address : address + size]
        if kind in SIZES and len(value) == size <= _MAX_ENTRY_BYTES:
            found.setdefault(tag, (kind, value))
    return found


def _address(tiff: Tiff, entries: dict[int, tuple[int, bytes]], tag: int) -> int:
    value = entries.get(tag, (4, b""))[1]
    return int(struct.unpack(f"{tiff.order}I", value)[0]) if len(value) == 4 else 0


def _written(tiff: Tiff, directories: list[dict[int, tuple[int, bytes]]], at: int) -> bytes:
    """Main, Exif and Interop directory, the first at an address; each of the others only where it has entries."""
    main, *below = directories
    pointer = (EXIF_IFD, INTEROP_IFD)[2 - len(below)] if below else 0
    entries = dict(main)
    has_more = any(below)
    if has_more:
        entries[pointer] = (4, b"\0\0\0\0")
    values_at = at + 2 + 12 * len(entries) + 4
    table, values = b"", b""
    sizes = sum(len(value) + len(value) % 2 for _, value in entries.values() if len(value) > 4)
    for tag, (kind, value) in sorted(entries.items()):
        if has_more and tag == pointer:
            value = struct.pack(f"{tiff.order}I", values_at + sizes)
        field = value.ljust(4, b"\0")
        if len(value) > 4:
            field = struct.pack(f"{tiff.order}I", values_at + len(values))
            values += value + b"\0" * (len(value) % 2)
        count = len(entries[tag][1]) // SIZES[kind]
        table += struct.pack(f"{tiff.order}HHI", tag, kind, count) + field
    directory = struct.pack(f"{tiff.order}H", len(entries)) + table + b"\0\0\0\0" + values
    return directory + (_written(tiff, below, at + len(directory)) if has_more else b"")
