"""TIFFs: one picture of strips or tiles, decoded one by one; whole images and regions are put together from these.

tifffile parses the file, with the codecs of imagecodecs. The samples of a part are brought to 8 bits at once.

Source: TIFF Revision 6.0; for DNG and cameras TIFF/EP (ISO 12234-2).
"""

import logging
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np
import tifffile

from colorquant.arithmetic import ceil_div
from colorquant.decode import jpeg_file
from colorquant.decode.color_management import ColorSpace
from colorquant.decode.levels import scaled
from colorquant.decode.tiff_directories import find_picture
from colorquant.errors import Undecodable
from colorquant.limits import Limits
from colorquant.pixels import Pixels

# What tifffile logs of a damaged file is in the reason of its refusal.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_CHANNELS = {_WHITE_IS_ZERO: 1, _GREY: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_OTHER_COLORS = {
    4: "a transparency mask",
    8: "L*a*b* colors",
    9: "L*a*b* colors",
    10: "L*a*b* colors",
    32803: "the raw samples of a camera",
    32844: "LogLuv colors",
    32845: "LogLuv colors",
    34892: "the raw samples of a camera",
}
_FORMATS = {2: "signed", 3: "floating-point", 4: "untyped", 5: "complex", 6: "complex"}
_OLD_JPEG, _JPEG = 6, 7
_JPEGS = frozenset({_OLD_JPEG, _JPEG, 33007, 34892})
_PREMULTIPLIED, _STRAIGHT, _OF_COREL = 1, 2, 999
_ORIENTATION, _TILE_WIDTH, _INK_SET = 274, 322, 332
_NUMBERS = ("imagewidth", "imagelength", "samplesperpixel", "compression", "planarconfig", "rowsperstrip")
_MAX_BITS = 16


@dataclass(frozen=True)
class TiffPage:
    """The directory of a picture.

    Attributes
    ----------
    page : tifffile.TiffPage
    pages : int
        How many pictures the file has.
    """

    page: Any
    pages: int

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.page.imagewidth)

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.page.imagelength)

    @property
    def orientation(self) -> int:
        """As in EXIF."""
        value = self.page.tags.valueof(_ORIENTATION, default=1)
        return value if isinstance(value, int) else 1

    @property
    def color_space(self) -> ColorSpace:
        """Of the samples, which for a palette are the colors of the palette."""
        return ColorSpace(profile=self.page.iccprofile)

    @property
    def channels(self) -> int:
        """Of color."""
        return 3 if self.page.photometric == _PALETTE else _CHANNELS[self.page.photometric]

    @property
    def alpha_kind(self) -> int | None:
        """The value of the tag ExtraSamples for alpha; None without alpha."""
        colors, page = _CHANNELS[self.page.photometric], self.page
        extra = page.extrasamples if isinstance(page.extrasamples, tuple) else (page.extrasamples,)
        surplus = page.samplesperpixel - colors
        if page.photometric in (_PALETTE, _CMYK) or surplus < 1:
            return None
        # Without the tag, the fourth sample of RGB is alpha (as in libtiff).
        kind = extra[0] if extra else _STRAIGHT if colors == 3 else 0
        kind = _STRAIGHT if kind == _OF_COREL else kind
        return kind if kind in (_PREMULTIPLIED, _STRAIGHT) else None

    @property
    def segment_shape(self) -> tuple[int, int]:
        """Rows and columns of a tile, or of a strip."""
        if self.page.is_tiled:
            return self.page.tilelength, self.page.tilewidth
        return max(1, min(self.page.rowsperstrip, self.height)), self.width

    @property
    def segments(self) -> int:
        """How many tiles or strips one plane has."""
        rows, columns = self.segment_shape
        return ceil_div(self.height, rows) * ceil_div(self.width, columns)

    @property
    def planes(self) -> int:
        """1 where the samples of a pixel are stored together."""
        return self.page.samplesperpixel if self.page.planarconfig == 2 else 1

    def stored_bytes(self, file_bytes: int) -> int:
        """How many bytes of the file hold pixels; parts at one offset count once."""
        page = self.page
        stored = sum(dict(zip(page.dataoffsets, page.databytecounts, strict=False)).values())
        return min(stored or file_bytes, file_bytes)

    def check_kind(self) -> None:
        """Raise Undecodable where the samples are of a kind that is not read: which one, and what to do."""
        page = self.page
        if page.photometric not in _CHANNELS:
            kind = _OTHER_COLORS.get(page.photometric, f"colors of kind {int(page.photometric)}")
            camera = " (a DNG, or another raw file)" if "camera" in kind else ""
            raise Undecodable(f"is a TIFF{camera} of {kind}, which is not supported; save it as 8-bit RGB.")
        formats = page.sampleformat
        if formats != 1:
            kind = _FORMATS.get(formats, "mixed") if isinstance(formats, int) else "mixed"
            raise Undecodable(f"is a TIFF of {kind} samples, which is not supported; save it as 8-bit RGB.")
        bits = page.bitspersample
        if not isinstance(bits, int) or bits > _MAX_BITS:
            raise Undecodable(f"is a TIFF of {bits} bits a sample, which is not supported; save it as 8-bit RGB.")
        if page.photometric == _PALETTE and (bits > 8 or page.colormap is None):
            raise Undecodable(f"is a TIFF with a palette of {bits} bits, which is not supported; save it as 8-bit RGB.")
        if page.samplesperpixel < _CHANNELS[page.photometric] or page.imagedepth != 1:
            raise Undecodable("is a TIFF of an unusual layout, which is not supported; save it as 8-bit RGB.")
        if page.photometric == _CMYK and page.tags.valueof(_INK_SET, default=1) != 1:
            raise Undecodable("is a TIFF of other inks than CMYK, which is not supported; save it as 8-bit RGB.")
        if page.compression != 1 and page.compression not in tifffile.TIFF.DECOMPRESSORS:
            name = getattr(page.compression, "name", page.compression)
            raise Undecodable(f"is a TIFF compressed by {name}, which is not supported; save it with LZW or Deflate.")

    def check_segments(self, file_bytes: int) -> None:
        """Raise ValueError where a strip or tile is missing, or lies outside of the file."""
        offsets, counts, wanted = self.page.dataoffsets, self.page.databytecounts, self.segments * self.planes
        # Old programs write no lengths: those of samples that are not compressed are known, and that of one strip.
        known = len(offsets) if self.page.compression == 1 or wanted == 1 else min(len(offsets), len(counts))
        if known < wanted:
            raise ValueError(f"{known} of its {wanted} strips or tiles are there")
        if max(offsets) >= file_bytes:
            raise ValueError("it ends early")

    def is_left_to_pillow(self) -> bool:
        """Whether the samples are YCbCr as they are, or an old kind of JPEG, which libtiff decodes."""
        return self.page.photometric == _YCBCR and self.page.compression not in _JPEGS - {_OLD_JPEG}

    def samples(self, index: int, plane: int = 0) -> Pixels:
        """A strip or tile: uint8 (h, w, channels), of color and then of alpha if there is one.

        One that is not stored (in a sparse file) is 0.

        Raises
        ------
        ValueError and others
            It is damaged.
        """
        page = self.page
        number = plane * self.segments + index
        encoded = self._encoded(index, number)
        if encoded is not None:
            self._check_jpeg(encoded)
        try:
            decoded, _, shape = page.decode(encoded, number, jpegtables=page.jpegtables)
        except Exception:
            if page.is_tiled or index + 1 < self.segments:
                raise
            # Some programs write the last strip as high as the others.
            decoded, _, shape = self._of_whole_strips.decode(encoded, number, jpegtables=page.jpegtables)
        if decoded is None:
            decoded = np.zeros(shape, page.dtype)
        return self._in_eight_bits(np.asarray(decoded)[0, : shape[1], : shape[2]])

    def _encoded(self, index: int, number: int) -> bytes | None:
        """The bytes of a strip or tile; None where it is not stored."""
        page = self.page
        offset = page.dataoffsets[number]
        count = page.databytecounts[number] if number < len(page.databytecounts) else None
        if not offset and not count:
            return None
        rows, columns = self.segment_shape
        if page.compression == 1:
            rows = rows if page.is_tiled else min(rows, self.height - index * rows)
            count = rows * ceil_div(columns * page.bitspersample * (page.samplesperpixel // self.planes), 8)
        stream = page.parent.filehandle
        stream.seek(offset)
        # What ends early for its codec is damaged; a count that is too large does no harm.
        encoded: bytes = stream.read(-1 if count is None else count)
        if not encoded or (page.compression == 1 and len(encoded) != count):
            raise ValueError("it ends early")
        return encoded

    @cached_property
    def _of_whole_strips(self) -> Any:
        """The same directory, but of an image that ends with its last strip."""
        taller = copy(self.page)
        for name in ("decode", "hash"):
            taller.__dict__.pop(name, None)
        first, depth, _, width, samples = self.page.shaped
        taller.shaped = first, depth, self.segments * self.segment_shape[0], width, samples
        return taller

    def _check_jpeg(self, encoded: bytes) -> None:
        """Raise ValueError where a part of a JPEG is missing: tifffile's decoder fills it with grey."""
        if self.page.compression == _JPEG and self.page.bitspersample == 8:
            tables = (self.page.jpegtables or b"")[:-2]
            jpeg_file.check_whole(tables + encoded[2:] if tables else encoded)

    def _in_eight_bits(self, samples: np.ndarray) -> Pixels:
        """Samples (h, w, all of a pixel or one) as uint8, of the channels that are kept."""
        page, kept = self.page, samples.shape[2]
        if self.planes == 1:
            kept = _CHANNELS[page.photometric] + (self.alpha_kind is not None)
        samples = samples[..., :kept]
        if samples.dtype == bool:
            samples = samples.view(np.uint8)
        if page.photometric == _PALETTE:
            return _colors(page.colormap)[samples[..., 0]]
        maximum = (1 << page.bitspersample) - 1
        if page.photometric == _WHITE_IS_ZERO:
            samples = samples.copy()
            samples[..., 0] = maximum - samples[..., 0]
        return scaled(samples, maximum)


def _colors(colormap: np.ndarray) -> Pixels:
    """A palette uint8 (n, 3). Some programs write its 16-bit values with 8 bits (as libtiff also guesses)."""
    levels = colormap if colormap.max() < 256 else colormap >> 8
    return np.ascontiguousarray(levels.T.astype(np.uint8))


def picture_in(file: tifffile.TiffFile, stream: BinaryIO, limits: Limits) -> TiffPage | None:
    """The picture of an opened TIFF; None for more directories than the limit.

    Raises
    ------
    ValueError and others
        The file is damaged.
    """
    found = find_picture(stream, limits.frames)
    if found is None:
        return None
    page = page_at(file, found.offset)
    for name in _NUMBERS:
        value = getattr(page, name)
        if not isinstance(value, int) or value < (name != "rowsperstrip"):
            raise ValueError(f"its {name} is {value!r}")
    if _TILE_WIDTH in page.tags and not page.is_tiled:
        raise ValueError("its tiles have no size")
    return TiffPage(page, found.pages)


def page_at(file: tifffile.TiffFile, offset: int) -> Any:
    """The directory at an offset, as tifffile has it."""
    if offset == file.pages.first.offset:
        return file.pages.first
    file.filehandle.seek(offset)
    return tifffile.TiffPage(file, index=0)


def read_samples(picture: TiffPage, top: int, left: int, bottom: int, right: int) -> Pixels:
    """A region: uint8 (bottom - top, right - left, channels), of color and then of alpha if there is one.

    Raises
    ------
    Undecodable
        A tile or strip is damaged.
    OSError
        The file cannot be read.
    """
    rows, columns = picture.segment_shape
    across = ceil_div(picture.width, columns)
    channels = picture.channels + (picture.alpha_kind is not None)
    region = np.empty((bottom - top, right - left, channels), np.uint8)
    for row in range(top // rows, ceil_div(bottom, rows)):
        for column in range(left // columns, ceil_div(right, columns)):
            # The wanted part of the segment, in coordinates of the image.
            y, x = row * rows, column * columns
            first, last, begin, end = max(top, y), min(bottom, y + rows), max(left, x), min(right, x + columns)
            target = region[first - top : last - top, begin - left : end - left]
            for plane in range(min(picture.planes, channels)):
                segment = _segment(picture, row * across + column, plane)[first - y : last - y, begin - x : end - x]
                target[..., plane : plane + segment.shape[2]] = segment
    return region


def _segment(picture: TiffPage, index: int, plane: int) -> Pixels:
    try:
        return picture.samples(index, plane)
    except (OSError, MemoryError, Undecodable):
        raise
    except Exception as error:  # Codecs raise various errors on damaged data.
        raise Undecodable(f"is damaged in part {index} ({error}); copy it again or save it again.") from error


def decode_tiff(picture: TiffPage) -> tuple[Pixels, Pixels | None]:
    """Decode a picture: color uint8 (H, W, 1, 3 or 4: grey, RGB or CMYK), and straight alpha uint8 (H, W) or None."""
    samples = read_samples(picture, 0, 0, picture.height, picture.width)
    if picture.alpha_kind is None:
        return samples, None
    color, alpha = np.ascontiguousarray(samples[..., :-1]), np.ascontiguousarray(samples[..., -1])
    if picture.alpha_kind == _PREMULTIPLIED:
        _divide(color, alpha)
    return color, alpha


def _divide(color: Pixels, alpha: Pixels) -> None:
    """Make premultiplied colors straight, in place."""
    for top in range(0, len(color), 256):
        band, opacity = color[top : top + 256], alpha[top : top + 256, :, None].astype(np.uint32)
        straight = (band.astype(np.uint32) * 255 + opacity // 2) // np.maximum(opacity, 1)
        band[...] = np.minimum(straight, 255)
