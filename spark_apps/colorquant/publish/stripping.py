"""Originals without their private metadata: the bytes of the pixels stay as they are. Standard library only.

Positions, cameras, times, thumbnails, previews and texts go. What changes how the picture looks stays: its orientation,
its color profile and its resolution; on request copyright and author too. The parts of a JPEG, PNG, WebP or GIF that
are known to be needed are copied, so that unknown ones go. In TIFF and JPEG 2000, whose parts lie at addresses, private
ones are overwritten. An AVIF is left alone if it has none, and refused if it has.

Formats: JPEG, ITU-T T.81; Exif 3.0, CIPA DC-008; PNG, W3C; WebP, RFC 9649; GIF89a; TIFF 6.0 and BigTIFF; JPEG 2000,
ISO 15444-1.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from itertools import islice

from colorquant.errors import Unpublishable
from colorquant.publish.exif import ARTIST, COPYRIGHT, EXIF_IFD, GPS_IFD, INTEROP_IFD, SIZES, Tiff, least_exif

_PIECE_BYTES = 2**20
# Of a file that is rewritten: it is held in memory, twice.
_MAX_BYTES = 2**29
_MAX_ADDRESS = 2**62

_MAX_IFDS, _MAX_ENTRIES, _MAX_HOLES = 1000, 4096, 4096
# Of a TIFF: description, maker, model, software, time, artist, computer, XMP, IPTC, Photoshop's two, Exif, GPS,
# copyright.
_PRIVATE_TAGS = {270, 271, 272, 305, 306, 315, 316, 700, 33723, 34377, 37724, EXIF_IFD, GPS_IFD, COPYRIGHT}
_SUB_IFDS = 330

_MARKER = re.compile(rb"\xff[^\xff]", re.DOTALL)
# Within entropy-coded data, a zero is stuffed after a byte 255, and restarts have markers of their own.
_MARKER_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs acTL fcTL fdAT".split()
)
_PNG_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})
_GIF_EXTENSIONS = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")
_PRIVATE_BOXES = (b"uuid", b"xml ", b"uinf", b"asoc", b"lbl ")
_MAX_META_BYTES = 2**20
_BARE = (b"BM", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")
_JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"


def stripped(original: BufferedIOBase, texts: bool, seen: Callable[[bytes], object]) -> Iterator[bytes]:
    """The pieces of an image file without its private metadata.

    Parameters
    ----------
    original : binary file
        At its start; it can be sought.
    texts : bool
        Whether copyright and author stay.
    seen : callable
        Called with all bytes of the original, in order and once, whatever is left out.

    Raises
    ------
    Unpublishable
        The metadata cannot be told from the pixels: an AVIF with metadata, an unknown format, or damage.
    """
    beginning = original.read(16)
    original.seek(0)
    kind, rewritten = _rewriter_of(beginning)
    try:
        if rewritten is not None:
            content = original.read(_MAX_BYTES + 1)
            if len(content) > _MAX_BYTES:
                raise Unpublishable(
                    f"is a {kind} file of more than {_MAX_BYTES:,} bytes, too large to take its metadata out; remove "
                    "them, or publish originals with metadata=original"
                )
            seen(content)
            yield from rewritten(content, texts)
            return
        holes = _holes_in(original, kind, texts)
    except (ValueError, struct.error, IndexError) as error:
        raise Unpublishable(
            f"is a {kind} file whose metadata cannot be told from its pixels ({error}); save it again, or publish "
            "originals with metadata=original"
        ) from None
    original.seek(0)
    yield from _patched(original, holes, seen)


def _rewriter_of(beginning: bytes) -> tuple[str, Callable[[bytes, bool], Iterable[bytes]] | None]:
    if beginning[:3] == b"\xff\xd8\xff":
        return "JPEG", _jpeg
    if beginning[:8] == _PNG:
        return "PNG", _png
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "WebP", _webp
    if beginning[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF", _gif
    if beginning[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF", None
    if beginning[:12] == _JP2:
        return "JPEG 2000", None
    if beginning[4:8] == b"ftyp":
        return "AVIF", None
    if beginning[:2] in _BARE or beginning[:4] == b"\xff\x4f\xff\x51":
        return "without metadata", None  # BMP, PPM, and a codestream of JPEG 2000 without its boxes.
    raise Unpublishable("is not an image of a known format; correct it, or publish originals with metadata=original")


def _jpeg(content: bytes, texts: bool) -> Iterator[bytes]:
    kept: list[bytes] = []
    exif = b""
    at, end = 2, len(content)
    while at < end:
        if content[at] != 0xFF:
            raise ValueError("a marker is missing")
        if (code := _MARKER.search(content, at)) is None:
            break
        marker, at = content[code.start() + 1], code.end()
        if marker == 0xD9:
            # Phones and cameras append previews, other pictures and films here.
            break
        if marker == 1 or 0xD0 <= marker <= 0xD7:
            kept.append(bytes((0xFF, marker)))
            continue
        (length,) = struct.unpack_from(">H", content, at)
        segment, at = content[at + 2 : at + length], at + max(2, length)
        if marker == 0xE1 and segment.startswith(b"Exif\0") and not exif:
            exif = least_exif(segment[6:], texts)
        if (needed := _needed_segment(marker, segment)) is not None:
            kept.append(struct.pack(">BBH", 0xFF, marker, len(needed) + 2) + needed)
        if marker == 0xDA:
            following = _MARKER_AFTER_SCAN.search(content, at)
            start, at = at, following.start() if following else end
            kept.append(content[start:at])
    yield b"\xff\xd8"
    if exif:
        segment = b"Exif\0\0" + exif
        # A JFIF header comes first.
        first = 1 if kept and kept[0].startswith(b"\xff\xe0") else 0
        kept.insert(first, struct.pack(">BBH", 0xFF, 0xE1, len(segment) + 2) + segment)
    yield from kept
    yield b"\xff\xd9"


def _needed_segment(marker: int, segment: bytes) -> bytes | None:
    if marker == 0xE0:  # JFIF without its thumbnail.
        return segment[:12] + b"\0\0" if segment.startswith(b"JFIF\0") and len(segment) >= 14 else None
    if marker == 0xE2:
        return segment if segment.startswith(b"ICC_PROFILE\0") else None
    if marker == 0xEE:
        return segment if segment.startswith(b"Adobe") else None
    return None if 0xE0 <= marker <= 0xEF or marker == 0xFE else segment


def _png(content: bytes, texts: bool) -> Iterator[bytes]:
    yield _PNG
    at = len(_PNG)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        body = content[at + 8 : at + 8 + length]
        if kind in _PNG_KEPT or (texts and kind in _PNG_TEXTS and body.startswith((b"Copyright\0", b"Author\0"))):
            yield content[at : at + 12 + length]
        elif kind == b"eXIf" and _is_intact(content, at, length) and (exif := least_exif(body, texts)):
            yield struct.pack(">I", len(exif)) + kind + exif + struct.pack(">I", zlib.crc32(kind + exif))
        if kind == b"IEND":
            return
        at += 12 + length


def _is_intact(content: bytes, at: int, length: int) -> bool:
    """Whether the checksum of a PNG's chunk is right. Of others viewers do not take the orientation."""
    checksum = content[at + 8 + length : at + 12 + length]
    return checksum == struct.pack(">I", zlib.crc32(content[at + 4 : at + 8 + length]))


def _webp(content: bytes, texts: bool) -> Iterator[bytes]:
    chunks: list[bytes] = []
    has_exif = False
    at, end = 12, min(len(content), 8 + struct.unpack_from("<I", content, 4)[0])
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", content, at)
        body = content[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
        if kind == b"EXIF":
            body = least_exif(body.removeprefix(b"Exif\0\0"), texts)
            has_exif |= bool(body)
        if kind in _WEBP_KEPT or (kind == b"EXIF" and body):
            chunks.append(struct.pack("<4sI", kind, len(body)) + body + b"\0" * (len(body) % 2))
    for number, chunk in enumerate(chunks):
        if chunk.startswith(b"VP8X") and len(chunk) > 8:  # Flags: EXIF is 8, XMP is 4.
            chunks[number] = chunk[:8] + bytes((chunk[8] & ~0x0C | 8 * has_exif,)) + chunk[9:]
    body = b"".join(chunks)
    yield struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WEBP")
    yield body


def _gif(content: bytes, texts: bool) -> Iterator[bytes]:
    at = 13 + _color_table(content[10])
    yield content[:at]
    while at < len(content):
        start, kind = at, content[at]
        if kind == 0x3B:
            break
        if kind == 0x2C:
            at = _after_blocks(content, at + 10 + _color_table(content[at + 9]) + 1)
            yield content[start:at]
        elif kind == 0x21:
            label = content[at + 1]
            name = content[at + 3 : at + 14]
            at = _after_blocks(content, at + 2)
            # Comments go, and applications' data but repetition and color profile. Plain text is drawn.
            if label in (0x01, 0xF9) or (label == 0xFF and name in _GIF_EXTENSIONS):
                yield content[start:at]
        elif kind == 0:
            at += 1
        else:
            raise ValueError("a block of an unknown kind")
    yield b";"


def _color_table(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(content: bytes, at: int) -> int:
    while at < len(content) and content[at]:
        at += 1 + content[at]
    return at + 1


@dataclass(frozen=True)
class _Hole:
    """Bytes of a file that are replaced: ``content``, and zeros up to ``size``."""

    at: int
    size: int
    content: bytes = b""


def _holes_in(file: BufferedIOBase, kind: str, texts: bool) -> list[_Hole]:
    if kind in ("TIFF", "JPEG 2000"):
        holes = list(islice(_tiff_holes(file, texts) if kind == "TIFF" else _box_holes(file), _MAX_HOLES + 1))
        if len(holes) > _MAX_HOLES:
            raise ValueError(f"it has more than {_MAX_HOLES} of them")
        return holes
    if kind == "AVIF" and _has_metadata(file):
        raise Unpublishable(
            "is an AVIF with metadata (EXIF or XMP), which cannot be taken out of it; remove them (with exiftool, for "
            "example), or publish originals with metadata=original"
        )
    return []


def _patched(file: BufferedIOBase, holes: list[_Hole], seen: Callable[[bytes], object]) -> Iterator[bytes]:
    at = 0
    while piece := file.read(_PIECE_BYTES):
        seen(piece)
        changed = bytearray(piece)
        for hole in holes:
            start, end = max(hole.at, at), min(hole.at + hole.size, at + len(piece))
            if start < end:
                filled = hole.content[start - hole.at : end - hole.at].ljust(end - start, b"\0")
                changed[start - at : end - at] = filled
        yield bytes(changed)
        at += len(piece)


def _read_at(file: BufferedIOBase, at: int, size: int) -> bytes:
    if at > _MAX_ADDRESS:
        raise ValueError("an address leads out of the file")
    file.seek(at)
    content = file.read(size)
    if len(content) < size:
        raise ValueError("an address leads out of the file")
    return content


def _tiff_holes(file: BufferedIOBase, texts: bool) -> Iterator[_Hole]:
    header = _read_at(file, 0, 8)
    tiff = Tiff.of(header)
    first = _read_at(file, 8, 8) if tiff.big else header[4:]
    waiting, known = [(struct.unpack(tiff.word, first)[0], False)], set[int]()
    while waiting:
        at, private = waiting.pop()
        if at in known or at == 0:
            continue
        known.add(at)
        if len(known) > _MAX_IFDS:
            raise ValueError(f"it has more than {_MAX_IFDS} directories")
        yield from _directory_holes(file, tiff, at, private, texts, waiting)


def _directory_holes(
    file: BufferedIOBase, tiff: Tiff, at: int, private: bool, texts: bool, waiting: list[tuple[int, bool]]
) -> Iterator[_Hole]:
    """What to overwrite of a directory; those that it leads to are appended to ``waiting``."""
    counter = f"{tiff.order}{'Q' if tiff.big else 'H'}"
    (count,) = struct.unpack(counter, _read_at(file, at, struct.calcsize(counter)))
    if count > _MAX_ENTRIES:
        raise ValueError("a directory is too long")
    start, word = at + struct.calcsize(counter), struct.calcsize(tiff.word)
    table = _read_at(file, start, count * tiff.entry_bytes + word)
    kept = []
    for begin in range(0, count * tiff.entry_bytes, tiff.entry_bytes):
        entry = table[begin : begin + tiff.entry_bytes]
        tag, kind, size, field = tiff.entry(entry)
        (address,) = struct.unpack(tiff.word, field)
        is_private = private or (tag in _PRIVATE_TAGS and not (texts and tag in (ARTIST, COPYRIGHT)))
        if tag in (EXIF_IFD, GPS_IFD, INTEROP_IFD):
            waiting.append((address, True))
        elif tag == _SUB_IFDS:
            each = f"{tiff.order}{'Q' if SIZES.get(kind) == 8 else 'I'}"
            size = min(size // struct.calcsize(each), _MAX_IFDS) * struct.calcsize(each)
            values = field[:size] if size <= word else _read_at(file, address, size)
            waiting += [(value, private) for (value,) in struct.iter_unpack(each, values)]
        elif is_private and size > word:
            yield _Hole(address, size)
        if not is_private:
            kept.append(entry)
    if not private:
        waiting.append((struct.unpack(tiff.word, table[-word:])[0], False))
    if len(kept) < count:
        content = struct.pack(counter, len(kept)) + b"".join(kept) + (b"\0" * word if private else table[-word:])
        yield _Hole(at, struct.calcsize(counter) + len(table), content)


def _boxes(file: BufferedIOBase) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, address, address of the content, and end of each box of a file, as JPEG 2000 and AVIF have them."""
    end = file.seek(0, 2)
    at = 0
    while at + 8 <= end:
        size, kind = struct.unpack(">I4s", _read_at(file, at, 8))
        begin = 8
        if size == 1:
            (size,) = struct.unpack(">Q", _read_at(file, at + 8, 8))
            begin = 16
        size = size or end - at
        if size < begin:
            raise ValueError("a box is too short")
        yield kind, at, at + begin, min(at + size, end)
        at += size


def _box_holes(file: BufferedIOBase) -> Iterator[_Hole]:
    """The boxes of a JPEG 2000 file with XML, EXIF, positions and labels become empty ones, which readers pass over."""
    for kind, at, begin, end in _boxes(file):
        if kind in _PRIVATE_BOXES:
            yield _Hole(at + 4, 4, b"free")
            yield _Hole(begin, end - begin)


def _has_metadata(file: BufferedIOBase) -> bool:
    """Whether an AVIF says that it has EXIF data or XMP: in its list of items, or in a box of their own."""
    for kind, _, begin, end in _boxes(file):
        if kind == b"uuid":
            return True
        if kind == b"meta":
            items = _read_at(file, begin, min(end - begin, _MAX_META_BYTES))
            if b"Exif" in items or b"mime" in items:
                return True
    return False
