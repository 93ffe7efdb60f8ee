"""What an output keeps of its original's metadata: the resolution always, copyright and author where that is chosen.

All else is left out: places, cameras, thumbnails and texts are nobody's business, and cost bytes.
"""

import struct
from dataclasses import dataclass

from PIL import ExifTags, Image

from colorquant.decode.decoders import opened
from colorquant.encode import SIGNATURE_AND_HEADER, chunk
from colorquant.errors import Undecodable

_INCH = 0.0254
_DEFAULT_DPI = 72
"""Means nothing: it is what programs write that know none."""
_LONGEST_TEXT = 1000
_TEXTS = {"Copyright": ExifTags.Base.Copyright, "Author": ExifTags.Base.Artist}


@dataclass(frozen=True)
class Metadata:
    """Dots per inch across and down, None where the file says nothing of use; texts by PNG's keywords for them."""

    dpi: tuple[float, float] | None = None
    copyright: str = ""
    author: str = ""

    def resolution_alone(self) -> "Metadata":
        """The same without its texts."""
        return Metadata(dpi=self.dpi)

    def into_png(self, content: bytes) -> bytes:
        """A PNG with this metadata: pHYs and iTXt chunks behind its header."""
        chunks = b""
        if self.dpi:
            chunks += chunk(b"pHYs", struct.pack(">IIB", *(round(dpi / _INCH) for dpi in self.dpi), 1))
        for keyword, text in (("Copyright", self.copyright), ("Author", self.author)):
            if text:
                chunks += chunk(b"iTXt", keyword.encode() + b"\0\0\0\0\0" + text.encode())
        return content[:SIGNATURE_AND_HEADER] + chunks + content[SIGNATURE_AND_HEADER:]

    def as_exif(self) -> bytes:
        """EXIF data for formats that have no fields of their own; empty where there is nothing to say."""
        exif = Image.Exif()
        if self.dpi:
            exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = self.dpi
            exif[ExifTags.Base.ResolutionUnit] = 2
        if self.copyright:
            exif[ExifTags.Base.Copyright] = self.copyright
        if self.author:
            exif[ExifTags.Base.Artist] = self.author
        return exif.tobytes() if len(exif) else b""


def metadata_of(content: bytes) -> Metadata:
    """What the header of an image file says; damaged metadata say nothing."""
    try:
        with opened(content) as image:
            return metadata_in(image)
    except Undecodable:
        return Metadata()


def metadata_in(image: Image.Image) -> Metadata:
    """``metadata_of`` a file that is ``opened`` already."""
    try:
        exif = image.getexif()
        texts = [_text(image.info.get(word)) or _text(exif.get(tag)) for word, tag in _TEXTS.items()]
        turned = exif.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
        return Metadata(_dpi(image.info.get("dpi"), turned), *texts)
    except Exception:  # Pillow's plugins raise what they like.
        return Metadata()


def _dpi(declared: object, turned: bool) -> tuple[float, float] | None:
    if not isinstance(declared, tuple) or len(declared) != 2:
        return None
    across, down = (float(dpi) for dpi in declared)
    if not (1 < across < 1e5 and 1 < down < 1e5) or round(across) == round(down) == _DEFAULT_DPI:
        return None
    return (down, across) if turned else (across, down)


def _text(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(character for character in text if character.isprintable()).strip()[:_LONGEST_TEXT]
