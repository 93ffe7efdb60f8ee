import io
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from colorquant.compress.pipeline import compress_image
from colorquant.decode.image_file import decode_output
from colorquant.decode.metadata import Metadata, metadata_of
from colorquant.encode.indexed_png import encode_indexed_png
from colorquant.quantizer.in_process import PixelSource
from colorquant.settings import Settings
from tests.conftest import photograph
from tests.odd_files import chunk, encode, png

OWNER, AUTHOR = "© 2026 Ada Lovelace", "Ada Lovelace"


def exif(**tags: object) -> Image.Exif:
    data = Image.Exif()
    for name, value in tags.items():
        data[ExifTags.Base[name]] = value
    return data


def owned(kind: str, **options: object) -> bytes:
    # EXIF texts are ASCII by the letter of the standard, and UTF-8 in practice.
    tags = exif(Copyright="(C) 2026 Ada Lovelace", Artist=AUTHOR, Make="a camera", Model="a model")
    return encode(Image.fromarray(photograph()), kind, exif=tags, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_copyright_author_and_resolution_are_found(kind: str) -> None:
    found = metadata_of(owned(kind, **({} if kind == "WEBP" else {"dpi": (300, 300)})))
    assert (found.copyright, found.author) == ("(C) 2026 Ada Lovelace", AUTHOR)
    assert (found.dpi is None) if kind == "WEBP" else (found.dpi == pytest.approx((300, 300), rel=1e-3))


def test_texts_of_a_png_are_found_and_made_printable() -> None:
    content = png(photograph(), 2, 8, [chunk(b"tEXt", b"Copyright\0" + "© Ada\n\x07".encode("latin-1"))])
    assert metadata_of(content) == Metadata(copyright="© Ada")


def test_a_resolution_that_means_nothing_is_none_and_a_turned_one_is_turned() -> None:
    image = Image.fromarray(photograph())
    assert metadata_of(encode(image, "JPEG")).dpi is None
    assert metadata_of(encode(image, "JPEG", dpi=(72, 72))).dpi is None
    assert metadata_of(encode(image, "JPEG", dpi=(300, 150), exif=exif(Orientation=6))).dpi == (150, 300)


@pytest.mark.parametrize(
    "content", [b"", b"no image", encode(Image.fromarray(photograph()), "JPEG", exif=b"Exif\0\0?")]
)
def test_what_is_damaged_says_nothing(content: bytes) -> None:
    assert metadata_of(content) == Metadata()


def test_a_png_with_metadata_has_the_same_pixels_and_nothing_is_added_where_there_is_nothing() -> None:
    palette, indexes = np.array([[1, 2, 3], [4, 5, 6]], np.uint8), np.eye(9, dtype=np.uint8)
    content = encode_indexed_png(palette, indexes)
    assert Metadata().into_png(content) == content and Metadata().as_exif() == b""
    written = Metadata((300, 150), OWNER, AUTHOR).into_png(content)
    assert np.array_equal(decode_output(written), palette[indexes])
    with Image.open(io.BytesIO(written)) as image:
        image.load()
        assert image.info["dpi"] == pytest.approx((300, 150), rel=1e-4)
        assert (image.info["Copyright"], image.info["Author"]) == (OWNER, AUTHOR)
    assert metadata_of(written) == Metadata(pytest.approx((300, 150), rel=1e-4), OWNER, AUTHOR)


@pytest.mark.parametrize("form", ["png", "webp"])
@pytest.mark.parametrize("kept", ["stripped", "copyright"])
def test_outputs_keep_what_the_setting_says_and_nothing_else(form: str, kept: str, tmp_path: Path) -> None:
    image, output = tmp_path / "a.jpg", tmp_path / f"o.{form}"
    image.write_bytes(owned("JPEG", dpi=(300, 300)))
    record = compress_image(str(image), 9, str(output), None, Settings(format=form, metadata=kept), PixelSource)
    content = output.read_bytes()
    assert record.compressed_bytes == len(content)
    assert (b"Lovelace" in content) == (kept == "copyright") and b"camera" not in content
    with Image.open(output) as written:
        tags = written.getexif()
        dpi = written.info.get("dpi") or (tags[ExifTags.Base.XResolution], tags[ExifTags.Base.YResolution])
        assert [float(value) for value in dpi] == pytest.approx([300, 300], rel=1e-4)
