"""JPEG files: their segments up to the end marker, and their pixels unless a part of the data is missing.

libjpeg fills what is missing with grey and only warns. It also warns about what does no harm: a wrong number in a
header, which is repaired here, and bytes that nobody needs. simplejpeg passes on the last warning; any other means that
data are missing.

Source of the format: ITU-T T.81, annex B.
"""

import io
import re
from dataclasses import dataclass, field

import numpy as np
import simplejpeg
from PIL import Image

from colorquant.errors import Undecodable
from colorquant.pixels import Pixels

# A progressive JPEG may have any number of scans, each a pass over all pixels; encoders write about ten.
_MAX_SCANS = 200
_END = b"\xff\xd9"
# Neither a stuffed byte nor a restart marker: both are within the data of a scan.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_START_OF_SCAN, _END_OF_IMAGE, _START_OF_IMAGE, _TEMPORARY = 0xDA, 0xD9, 0xD8, 0x01
_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7})
_BASELINE, _PROGRESSIVE = frozenset({0xC0, 0xC1, 0xC9}), frozenset({0xC2, 0xCA})
_LOSSLESS = {0xC3: "lossless JPEG", 0xF7: "JPEG-LS"}
_APP0, _APP14 = 0xE0, 0xEE
_JFIF, _ADOBE = b"JFIF\0", b"Adobe"
# The warning about bytes that are left over before a marker. It would hide an earlier one.
_SURPLUS = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_RESTARTS = range(0xD0, 0xD8)
_MAX_SURPLUS = 4
# libjpeg-turbo reads up to 8 bytes ahead of the bit that it needs.
_READ_AHEAD = 8


@dataclass
class Segments:
    """The segments of the first image of a file.

    Attributes
    ----------
    end : int
        Offset behind the end marker; 0 where there is none.
    frame : int
        The marker of the frame: the kind of compression.
    bits : int
        Of a sample.
    scans : int
        How many there are.
    scan_ends : list of (int, int)
        Of each scan whose end was found: the offset of the marker behind it, and the second byte of that marker.
    repairs : dict of int to int
        Offsets of bytes in headers that libjpeg warns about, and what it takes them for.
    gaps : list of (int, int)
        Where bytes between segments begin and end, which libjpeg skips with a warning.
    """

    end: int = 0
    frame: int = 0
    bits: int = 8
    scans: int = 0
    scan_ends: list[tuple[int, int]] = field(default_factory=list)
    repairs: dict[int, int] = field(default_factory=dict)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    _adobe_at: int = 0
    _missing: dict[int, set[int]] = field(default_factory=dict)

    @property
    def is_refined(self) -> bool:
        """Whether each coefficient of each component has its last bit, so that no scan is missing."""
        return self.scans > 0 and not any(self._missing.values())

    def _add(self, marker: int, content: bytes, start: int) -> None:
        """Take note of a segment, whose content begins at an offset in the file."""
        if marker in _FRAMES and not self.frame:
            self.frame, self.bits = marker, content[0]
            self._missing = {content[6 + 3 * i]: set(range(64)) for i in range(content[5])}
            if self._adobe_at:
                self.repairs[self._adobe_at] = 2 if content[5] == 4 else 1
        elif marker == _START_OF_SCAN:
            self.scans += 1
            at = 1 + 2 * content[0]
            first, last, approximation = content[at : at + 3]
            if self.frame in _BASELINE:
                self.repairs |= {start + at: 0, start + at + 1: 63, start + at + 2: 0}
                first, last, approximation = 0, 63, 0
            for i in range(content[0]):
                if approximation & 15 == 0:
                    self._missing.get(content[1 + 2 * i], set()).difference_update(range(first, last + 1))
        elif marker == _APP0 and content.startswith(_JFIF):
            self.repairs[start + len(_JFIF)] = 1
        elif marker == _APP14 and content.startswith(_ADOBE) and any(content[11:12]):
            # Any transform but 0 is YCbCr of three components, and YCCK of four.
            self._adobe_at = start + 11


def segments_of(content: bytes) -> Segments:
    """Walk through the segments of the first image of a JPEG file; what is behind its end marker is not looked at."""
    found, at, in_scan = Segments(), 2, False
    while marker := _MARKER.search(content, at):
        code = content[marker.start() + 1]
        if in_scan:
            found.scan_ends.append((marker.start(), code))
            in_scan = False
        elif marker.start() > at:
            found.gaps.append((at, marker.start()))
        at = marker.end()
        if code == _END_OF_IMAGE:
            found.end = at
            break
        if code in (_START_OF_IMAGE, _TEMPORARY):
            continue
        length = int.from_bytes(content[at : at + 2])
        if length < 2 or at + length > len(content):
            break
        try:
            found._add(code, content[at + 2 : at + length], at + 2)
        except (IndexError, ValueError):
            break
        in_scan = code == _START_OF_SCAN
        at += length
    return found


def refuse_unusual(found: Segments) -> None:
    """Raise Undecodable for a kind of JPEG that is not read: its name, and what to do."""
    if found.frame in _LOSSLESS:
        raise Undecodable(f"is a {_LOSSLESS[found.frame]}, which is not supported; save it as PNG.")
    if found.bits != 8:
        raise Undecodable(f"is a JPEG of {found.bits} bits a sample, which is not supported; save it with 8 bits.")


def first_image(content: bytes) -> bytes:
    """The bytes of the first image of a file: ended by an end marker where that is missing, and its header repaired.

    Raises
    ------
    Undecodable
        It is of a kind that is not read.
    ValueError
        A scan is missing, or there are more of them than any encoder writes.
    """
    found = segments_of(content)
    refuse_unusual(found)
    if found.scans > _MAX_SCANS:
        raise ValueError(f"{found.scans} scans")
    if not found.end and not found.is_refined:
        raise ValueError("its end is missing")
    image = content[: found.end] if found.end else content + _END
    repairs = {at: value for at, value in found.repairs.items() if image[at] != value}
    if not repairs and not found.gaps:
        return image
    repaired = bytearray(image)
    for at, value in repairs.items():
        repaired[at] = value
    starts, ends = [0, *(end for _, end in found.gaps)], [*(start for start, _ in found.gaps), len(repaired)]
    return b"".join(repaired[start:end] for start, end in zip(starts, ends, strict=True))


def decode_jpeg(content: bytes, mode: str, size: tuple[int, int]) -> Pixels:
    """Decode a JPEG.

    Parameters
    ----------
    content : bytes
        From ``first_image``.
    mode : str
        Pillow's name of the type of pixels: "L", "RGB" or "CMYK".
    size : tuple of int
        Width and height, as the header that Pillow read has them.

    Returns
    -------
    uint8 (H, W, 1, 3 or 4)
        CMYK as Pillow has it: 0 is no ink.

    Raises
    ------
    ValueError, OSError
        A part of the data is missing, or the sizes differ.
    """
    space = {"L": "GRAY"}.get(mode, mode)
    try:
        found_size = simplejpeg.decode_jpeg_header(content, strict=False)[:2]
    except (KeyError, ValueError):
        return _decode_unusual(content)
    if found_size != size[::-1]:
        raise ValueError("two sizes")
    if mode == "CMYK":
        # Pillow knows whether the values are inverted.
        _check(content, space)
        return _decode_by_pillow(content)
    try:
        return simplejpeg.decode_jpeg(content, space)
    except ValueError:
        _check(content, space)
    return simplejpeg.decode_jpeg(content, space, strict=False)


def check_whole(content: bytes) -> None:
    """Raise ValueError if a part of the data of a JPEG is missing; unusual sampling factors are not checked."""
    content = first_image(content)
    try:
        space = simplejpeg.decode_jpeg_header(content, strict=False)[2]
    except (KeyError, ValueError):
        return
    _check(content, {"Gray": "GRAY", "CMYK": "CMYK", "YCCK": "CMYK"}.get(space, "RGB"))


def _check(content: bytes, space: str) -> None:
    """Raise ValueError where a warning means that data are missing. Decodes at an eighth of the size, to find out."""
    for _ in range(_MAX_SURPLUS):
        try:
            simplejpeg.decode_jpeg(content, space, min_height=1, min_width=1, min_factor=8)
            return
        except ValueError as error:
            warning = str(error)
        surplus = _SURPLUS.search(warning)
        if surplus is None or (marker := int(surplus[2], 16)) in _RESTARTS:
            raise ValueError(warning)
        # Without these bytes, libjpeg tells what else it has to say.
        ends = [at for at, code in segments_of(content).scan_ends if code == marker]
        if not ends:
            return
        content = content[: max(2, ends[-1] - int(surplus[1]))] + content[ends[-1] :]
    raise ValueError(warning)


def _decode_unusual(content: bytes) -> Pixels:
    """Decode sampling factors that simplejpeg does not know, by Pillow, which does not pass on warnings.

    At an end marker libjpeg fills what is missing. Where there is none it waits for more, and Pillow says so. Only of
    progressive files it wants to see the end first: whatever they lack is not found.
    """
    if segments_of(content).frame in _BASELINE:
        content = content.removesuffix(_END) + bytes(_READ_AHEAD)
    return _decode_by_pillow(content)


def _decode_by_pillow(content: bytes) -> Pixels:
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        samples = np.asarray(image)
    return samples[..., None] if samples.ndim == 2 else samples
