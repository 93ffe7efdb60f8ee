"""The metadata that an output keeps: always the resolution, and on request copyright and author.

All other metadata are dropped: positions, cameras, thumbnails and texts are private, and cost bytes.
"""

import struct
from dataclasses import dataclass
from typing import Any, Self

from PIL import ExifTags, Image

from colorquant.decode import png_file
from colorquant.decode.decoders import opened
from colorquant.decode.orientation import orientation_of

_INCH = 0.0254
# Programs write this when they do not know the resolution.
_DEFAULT_DPI = 72
_MAX_TEXT = 1000
_TEXTS = {"Copyright": ExifTags.Base.Copyright, "Author": ExifTags.Base.Artist}


@dataclass(frozen=True)
class Metadata:
    """Resolution, copyright and author of an image.

    Attributes
    ----------
    dpi : tuple of float, optional
        Dots per inch across and down; None where the file has no meaningful ones.
    copyright, author : str
        Empty where the file has none.
    """

    dpi: tuple[float, float] | None = None
    copyright: str = ""
    author: str = ""

    @classmethod
    def of_answer(cls, fields: dict[str, Any]) -> Self:
        """The metadata that the process that decodes has found. It may answer anything."""
        dpi = fields.get("dpi")
        return cls(
            _dpi(tuple(dpi), False) if isinstance(dpi, list) else None,
            _text(fields.get("copyright")),
            _text(fields.get("author")),
        )

    def resolution_alone(self) -> "Metadata":
        """The same resolution without the texts."""
        return Metadata(dpi=self.dpi)

    def into_png(self, content: bytes) -> bytes:
        """Add this metadata to the bytes of a PNG: chunks pHYs and iTXt after its header."""
        # What encodes loads numba, which the process that decodes does without.
        from colorquant.encode import SIGNATURE_AND_HEADER, chunk

        chunks = b""
        if self.dpi:
            chunks += chunk(b"pHYs", struct.pack(">IIB", *(round(dpi / _INCH) for dpi in self.dpi), 1))
        for keyword, text in (("Copyright", self.copyright), ("Author", self.author)):
            if text:
                chunks += chunk(b"iTXt", keyword.encode() + b"\0\0\0\0\0" + text.encode())
        return content[:SIGNATURE_AND_HEADER] + chunks + content[SIGNATURE_AND_HEADER:]

    def as_exif(self) -> bytes:
        """EXIF data, for formats without fields of their own; empty where there is no metadata."""
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
    """The metadata of an image file; damaged ones are ignored."""
    try:
        # The texts of a PNG may follow its pixels.
        readable = png_file.texts_alone(content) if content.startswith(png_file.SIGNATURE) else content
        with opened(readable, whole=False) as image:
            # A PNG's own method would decode its pixels first.
            exif = Image.Image.getexif(image)
            texts = [_text(image.info.get(word)) or _text(exif.get(tag)) for word, tag in _TEXTS.items()]
            turned = orientation_of(image, readable) in (5, 6, 7, 8)
            return Metadata(_dpi(image.info.get("dpi"), turned), *texts)
    except Exception:  # Pillow's plugins raise various errors on damaged metadata.
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
    return "".join(character for character in text if character.isprintable()).strip()[:_MAX_TEXT]
