"""Originals without their private metadata: the same pixels, upright and of the same colors, and nothing else."""

import hashlib
import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from colorquant.decode.decoders import decode
from colorquant.errors import Undecodable, Unpublishable
from colorquant.limits import DEFAULT_LIMITS
from colorquant.publish import stripping
from colorquant.publish.stripping import stripped
from tests.conftest import photograph
from tests.odd_images import ODD

PICTURE = Image.fromarray(photograph(40, 60, seed=5))
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SECRETS = (b"SecretMaker", b"SECRET-XMP", b"Secret comment", b"SerialNumber42", b"Secret caption", b"2026:11:26")
RIGHTS = (b"A. Person", b"(c) A. Person")


def _exif(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    base = ExifTags.Base
    exif[base.Orientation], exif[base.Make], exif[base.DateTime] = orientation, "SecretMaker", "2026:11:26 06:00:00"
    exif[base.Artist], exif[base.Copyright] = "A. Person", "(c) A. Person"
    exif[base.XResolution], exif[base.YResolution], exif[base.ResolutionUnit] = 300, 300, 2
    camera = exif.get_ifd(ExifTags.IFD.Exif)
    camera[base.MakerNote] = b"SerialNumber42" * 3
    camera[base.ColorSpace] = 1
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (59.0, 54.0, 48.0)
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return exif


XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>SECRET-XMP</x:xmpmeta>"


def _saved(format: str, picture: Image.Image = PICTURE, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def _png() -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "Secret comment")
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    texts.add_text("Author", "A. Person")
    texts.add_text("Copyright", "(c) A. Person")
    return _saved("PNG", exif=_exif(), icc_profile=PROFILE, pnginfo=texts, dpi=(300, 300)) + b"Secret comment"


def _jpeg(**options: Any) -> bytes:
    return _saved(
        "JPEG", exif=_exif(), icc_profile=PROFILE, xmp=XMP, comment=b"Secret comment", dpi=(300, 300), **options
    )


def _phone() -> bytes:
    """A JPEG that is followed by a second one, with EXIF data of its own, as phones write it."""
    return _saved("MPO", exif=_exif(), icc_profile=PROFILE, save_all=True, append_images=[PICTURE]) + _jpeg()


def _tiff(order: str = "<", big: bool = False) -> bytes:
    stream = io.BytesIO()
    extra = [
        (ExifTags.Base.Make, 2, 0, "SecretMaker", True),
        (700, 1, len(XMP), XMP, True),
        (ExifTags.Base.Artist, 2, 0, "A. Person", True),
        (ExifTags.Base.Copyright, 2, 0, "(c) A. Person", True),
        (ExifTags.Base.Orientation, 3, 1, 6, True),
    ]
    with tifffile.TiffWriter(stream, byteorder=order, bigtiff=big) as writer:
        writer.write(
            np.asarray(PICTURE), photometric="rgb", description="Secret caption", datetime="2026:11:26 06:00:00",
            iccprofile=PROFILE, resolution=(300, 300), resolutionunit=2, extratags=extra, metadata=None, software=False,
        )  # fmt: skip
    return stream.getvalue()


def _gif() -> bytes:
    content = _saved("GIF", PICTURE.quantize(16), comment=b"Secret comment")
    extension = b"!\xff\x0bXMP DataXMP" + bytes((len(XMP),)) + XMP + b"\0"
    start = content.index(b",", 13 + 48)  # Before the image.
    return content[:start] + extension + content[start:]


def _jpeg2000() -> bytes:
    box = struct.pack(">I4s", 24 + len(XMP), b"uuid") + b"0123456789abcdef" + XMP
    return _saved("JPEG2000") + box


FILES: dict[str, Callable[[], bytes]] = {
    "JPEG": _jpeg,
    "JPEG, progressive": lambda: _jpeg(progressive=True),
    "JPEG, with restarts": lambda: _jpeg(restart_marker_rows=1),
    "JPEG of a phone": _phone,
    "PNG": _png,
    "WebP": lambda: _saved("WEBP", exif=_exif(), icc_profile=PROFILE, xmp=XMP, lossless=True),
    "WebP with alpha": lambda: _saved("WEBP", PICTURE.convert("RGBA"), exif=_exif(1), xmp=XMP),
    "GIF": _gif,
    "TIFF": _tiff,
    "TIFF, big-endian": lambda: _tiff(">"),
    "BigTIFF": lambda: _tiff(big=True),
    "TIFF with EXIF data": lambda: _saved("TIFF", exif=_exif(), icc_profile=PROFILE),
    "JPEG 2000": _jpeg2000,
    "BMP": lambda: _saved("BMP"),
    "PPM": lambda: _saved("PPM"),
}


def _strip(content: bytes, texts: bool = False) -> bytes:
    seen = hashlib.sha256()
    result = b"".join(stripped(io.BytesIO(content), texts, seen.update))
    assert seen.hexdigest() == hashlib.sha256(content).hexdigest()
    return result


@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_positions_cameras_and_texts_go_and_the_picture_stays_as_it_is(name: str, texts: bool) -> None:
    before = FILES[name]()
    after = _strip(before, texts)
    assert [secret for secret in SECRETS if secret in after] == []
    assert len(after) <= len(before)
    np.testing.assert_array_equal(decode(after, DEFAULT_LIMITS), decode(before, DEFAULT_LIMITS))
    with Image.open(io.BytesIO(before)) as old, Image.open(io.BytesIO(after)) as new:
        assert new.info.get("icc_profile") == old.info.get("icc_profile")
        base = ExifTags.Base
        assert new.getexif().get(base.Orientation, 1) == old.getexif().get(base.Orientation, 1)
        assert new.info.get("dpi") == old.info.get("dpi")
        assert new.getexif().get_ifd(ExifTags.IFD.GPSInfo) == {}
        camera = new.getexif().get_ifd(ExifTags.IFD.Exif)
        assert set(camera) <= {base.ColorSpace}
        if name not in ("BMP", "PPM", "GIF", "JPEG 2000"):
            assert all((right in after) is texts for right in RIGHTS)
    assert _strip(after, texts) == after


def test_the_scan_of_a_jpeg_is_copied_byte_for_byte() -> None:
    before, after = _jpeg(progressive=True), _strip(_jpeg(progressive=True))
    assert after.endswith(before[before.index(b"\xff\xc2") :])


@pytest.mark.parametrize("name", ODD)
def test_every_odd_image_is_decoded_as_before(name: str) -> None:
    """Adobe RGB that only EXIF data declare, frames smaller than their screen, rare chunks and types."""
    content = ODD[name].content
    try:
        before = decode(content, DEFAULT_LIMITS)
    except Undecodable:
        return
    try:
        after = _strip(content)
    except Unpublishable:
        assert name.startswith("avif")
        return
    np.testing.assert_array_equal(decode(after, DEFAULT_LIMITS), before)


def test_a_file_without_metadata_stays_as_it_is() -> None:
    for format in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "PPM", "TIFF", "JPEG2000", "AVIF"):
        assert _strip(_saved(format)) == _saved(format), format


def test_metadata_of_an_avif_cannot_be_taken_out_and_are_not_published() -> None:
    for more in ({"exif": _exif()}, {"xmp": XMP}):
        with pytest.raises(Unpublishable, match="is an AVIF with metadata .* metadata=original"):
            _strip(_saved("AVIF", **more))


def test_what_is_not_an_image_is_not_published() -> None:
    for content in (b"", b"GPS: 59.9 N", b"<svg/>"):
        with pytest.raises(Unpublishable, match="is not an image of a known format"):
            _strip(content)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_published_without_metadata_or_not_at_all(name: str) -> None:
    whole = FILES[name]()
    random = np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(whole[: random.integers(4, len(whole) + 1)])
        for at in random.integers(0, len(content), random.integers(0, 4)):
            content[at] = random.integers(256)
        try:
            assert len(_strip(bytes(content))) <= len(content) + 8
        except Unpublishable as error:
            assert "metadata=original" in str(error)


def test_addresses_that_no_file_has_and_files_that_no_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in (2**40, 2**63 + 1, 2**64 - 1):
        with pytest.raises(Unpublishable, match="is a TIFF file whose metadata cannot be told from its pixels"):
            _strip(struct.pack("<2sHHHQ", b"II", 43, 8, 0, address))
    monkeypatch.setattr(stripping, "_MAX_BYTES", 1000)
    with pytest.raises(Unpublishable, match="is a JPEG file of more than 1,000 bytes"):
        _strip(_jpeg())


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("BMP", "PPM")])
def test_a_truncated_file_tells_nothing_either(name: str) -> None:
    whole = FILES[name]()
    for length in range(200, len(whole), 97):
        try:
            after = _strip(whole[:length])
        except Unpublishable:
            continue
        assert [secret for secret in SECRETS if secret in after] == [], length
