import errno
import hashlib
import io
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from colorquant.decode import decoders as decoding
from colorquant.decode.image_file import decode_output, read_image
from colorquant.errors import UnsupportedImage
from colorquant.limits import Limits

PACKAGE = Path(__file__).parents[3] / "spark_apps"
PHOTOS = sorted((Path(__file__).parents[3] / "include" / "images").glob("*.[pj][np]g"))


def photo(width: int = 64, height: int = 48) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def write(folder: Path, content: bytes, name: str = "image.bin") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def pillow_pixels(content: bytes) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))


@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.name)
def test_the_bundled_photos_decode_as_pillow_decodes_them(path: Path) -> None:
    content = path.read_bytes()
    decoded = read_image(path)
    if path.name != "rocket.jpg":  # It is in Adobe RGB.
        assert np.array_equal(decoded.pixels, pillow_pixels(content))
    assert decoded.pixels.dtype == np.uint8 and decoded.pixels.flags.c_contiguous
    assert decoded.sha256 == hashlib.sha256(content).hexdigest()
    assert decoded.original_bytes == len(content)


OPAQUE = {
    "png": encode(photo(), "PNG"),
    "png 1 bit": encode(photo().convert("1"), "PNG"),
    "png 4-bit palette": encode(photo().quantize(16), "PNG", bits=4),
    "png grey": encode(photo().convert("L"), "PNG"),
    "png grey, opaque alpha": encode(photo().convert("LA"), "PNG"),
    "png opaque alpha": encode(photo().convert("RGBA"), "PNG"),
    "png transparent color that no pixel has": encode(photo(), "PNG", transparency=(1, 2, 3)),
    "jpeg": encode(photo(), "JPEG"),
    "jpeg progressive": encode(photo(), "JPEG", progressive=True),
    "jpeg grey": encode(photo().convert("L"), "JPEG"),
    "jpeg with a preview behind it (mpo)": encode(photo(), "MPO", save_all=True, append_images=[photo(16, 12)]),
    "webp": encode(photo(), "WEBP"),
    "webp opaque alpha": encode(photo().convert("RGBA"), "WEBP", lossless=True),
    "tiff": encode(photo(), "TIFF", compression="tiff_lzw"),
    "bmp": encode(photo(), "BMP"),
    "gif": encode(photo().quantize(64), "GIF"),
    "ppm": encode(photo(), "PPM"),
    "jpeg2000": encode(photo(), "JPEG2000"),
}


@pytest.mark.parametrize("content", OPAQUE.values(), ids=OPAQUE)
def test_opaque_still_images_of_every_format_are_read_whatever_their_name(tmp_path: Path, content: bytes) -> None:
    assert np.array_equal(read_image(write(tmp_path, content)).pixels, pillow_pixels(content))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path: Path, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(photo(), kind, exif=exif)
    pixels = read_image(write(tmp_path, content)).pixels
    assert np.array_equal(pixels, pillow_pixels(content))
    assert pixels.shape[:2] == ((48, 64) if orientation <= 4 else (64, 48))


@pytest.mark.parametrize("extension", [".png", ".tiff"])
def test_sixteen_bits_are_rounded_to_eight_in_rgb_order(tmp_path: Path, extension: str) -> None:
    cv2 = pytest.importorskip("cv2")
    deep = np.random.default_rng(0).integers(0, 1 << 16, (40, 30, 3), dtype=np.uint16)
    content = cv2.imencode(extension, deep[..., ::-1])[1].tobytes()
    expected = np.rint(deep / 65535 * 255).astype(np.uint8)
    assert np.array_equal(read_image(write(tmp_path, content)).pixels, expected)


def pages(kind: str) -> bytes:
    return encode(photo(), kind, save_all=True, append_images=[photo().rotate(90)])


REFUSED = {
    "empty": (b"", "is empty"),
    "text": (b"Lorem ipsum dolor sit amet", "not an image of a known format"),
    "postscript": (encode(photo(), "EPS"), "not an image of a known format"),
    "a header alone": (OPAQUE["png"][:60], "truncated or damaged"),
    "animated png": (pages("PNG"), "animated or has several pages"),
    "animated gif": (pages("GIF"), "animated or has several pages"),
    "animated webp": (pages("WEBP"), "animated or has several pages"),
    "tiff of two pages": (pages("TIFF"), "animated or has several pages"),
    "floating point": (encode(photo().convert("F"), "TIFF"), "floating-point samples"),
    "lab": (encode(photo().convert("LAB"), "TIFF"), "L\\*a\\*b\\* colors"),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_compressed_is_refused_with_its_name_and_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = write(tmp_path, content, "odd\nname.png")
    with pytest.raises(UnsupportedImage, match=reason) as refusal:
        read_image(path)
    message = str(refusal.value)
    assert repr(str(path)) in message and "\n" not in message and message.endswith(".")


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "gif", "tiff", "ppm"])
def test_a_stream_decodes_as_the_file_of_its_bytes(tmp_path: Path, name: str) -> None:
    content = OPAQUE[name]
    file, stream = read_image(write(tmp_path, content)), read_image("a name", stream=io.BytesIO(content))
    assert np.array_equal(file.pixels, stream.pixels)
    assert (file.sha256, file.original_bytes, file.metadata) == (stream.sha256, stream.original_bytes, stream.metadata)


def test_a_stream_without_an_image_or_without_an_end_is_refused_by_its_name() -> None:
    for content, reason in REFUSED.values():
        with pytest.raises(UnsupportedImage, match=f"^'a name' .*{reason}"):
            read_image("a name", stream=io.BytesIO(content))
    with (
        open("/dev/zero", "rb") as endless,
        pytest.raises(UnsupportedImage, match="^'a name' is larger than 2,097,152"),
    ):
        read_image("a name", Limits(file_bytes=1 << 21), endless)


@pytest.mark.parametrize("name", ["jpeg", "jpeg progressive", "png", "webp", "gif", "bmp", "tiff", "ppm"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_files_cut_at_any_length_are_refused_unless_nothing_of_the_picture_is_missing(
    tmp_path: Path, name: str
) -> None:
    """Where decoders fill the rest with grey or black and say nothing."""
    content = OPAQUE[name]
    whole = pillow_pixels(content)
    decoded = 0
    for length in sorted({*range(1, len(content), max(1, len(content) // 60)), len(content) - 1, len(content) - 2}):
        try:
            pixels = read_image(write(tmp_path, content[:length])).pixels
        except UnsupportedImage:
            continue
        decoded += 1
        assert np.array_equal(pixels, whole)
    assert decoded <= 2


def test_the_pixel_limit_is_checked_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, OPAQUE["png"])
    assert read_image(path, Limits(pixels=64 * 48)).pixels.shape == (48, 64, 3)

    def must_not_decode(*_: object) -> None:
        raise AssertionError("decoded an image above the limit")

    monkeypatch.setattr(Image.Image, "load", must_not_decode)
    monkeypatch.setattr(decoding, "_decode_samples", must_not_decode)
    with pytest.raises(UnsupportedImage, match="64 x 48 pixels"):
        read_image(path, Limits(pixels=64 * 48 - 1))


def test_a_file_beyond_the_limit_of_bytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, OPAQUE["png"])
    size = path.stat().st_size
    assert read_image(path, Limits(file_bytes=size)).original_bytes == size
    with pytest.raises(UnsupportedImage, match=f"is larger than {size - 1:,} bytes, the limit of a file"):
        read_image(path, Limits(file_bytes=size - 1))


def test_pillows_own_pixel_limit_does_not_interfere_and_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_image(write(tmp_path, OPAQUE["png"])).pixels.shape == (48, 64, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_what_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "nowhere.png").symlink_to("gone.png")
    (tmp_path / "circle.png").symlink_to("circle.png")
    under = write(tmp_path, b"x") / "under-a-file.png"
    names = ("none.png", "folder.png", "nowhere.png", "circle.png", "n" * 300 + ".png")
    for path in (*(tmp_path / name for name in names), under, "a\0b"):
        with pytest.raises(UnsupportedImage, match=r"\.$"):
            read_image(path)


@pytest.mark.parametrize("kind", ["fifo", "device", "socket"])
def test_a_fifo_or_device_is_never_opened(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a FIFO would block for ever, and reading a device may do anything."""
    path = tmp_path / "image.png"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as server:
            monkeypatch.chdir(tmp_path)  # The path of a socket must be short.
            server.bind("image.png")

    def must_not_open(*_: object, **__: object) -> None:
        raise AssertionError("opened")

    for opener in ("builtins.open", "io.open", "os.open"):
        monkeypatch.setattr(opener, must_not_open)
    with pytest.raises(UnsupportedImage, match="not a regular file"):
        read_image(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become another user, and it may read everything")
def test_a_file_without_read_permission_is_refused(tmp_path: Path) -> None:
    code = """
import sys; sys.path.insert(0, sys.argv[1])
import os; from colorquant.decode.image_file import UnsupportedImage, read_image
os.setuid(65534)
try: read_image(sys.argv[2])
except UnsupportedImage as error: print(error)"""
    with tempfile.TemporaryDirectory() as folder:  # Not below tmp_path, which only its owner may enter.
        os.chmod(folder, 0o755)
        path = write(Path(folder), OPAQUE["png"])
        path.chmod(0)
        command = [sys.executable, "-c", code, str(PACKAGE), str(path)]
        run = subprocess.run(command, capture_output=True, text=True)
    assert "cannot be read: Permission denied" in run.stdout, run.stderr


@pytest.mark.parametrize(
    ("code", "expected"),
    [(errno.EACCES, UnsupportedImage), (errno.EIO, OSError), (errno.ESTALE, OSError), (errno.EMFILE, OSError)],
)
def test_only_lasting_errors_of_the_file_system_make_an_image_unsupported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, expected: type[Exception]
) -> None:
    def fail(_: str) -> bytes:
        raise OSError(code, os.strerror(code))

    path = write(tmp_path, OPAQUE["png"])
    monkeypatch.setattr("colorquant.decode.image_file.read", fail)
    with pytest.raises(expected):
        read_image(path)


def test_one_pixel_of_some_transparency_makes_the_image_rgba(tmp_path: Path) -> None:
    image = photo().convert("RGBA")
    image.putpixel((63, 47), (10, 20, 30, 254))
    assert np.array_equal(read_image(write(tmp_path, encode(image, "PNG"))).pixels, np.asarray(image))


def test_decode_output_gives_rgb_pixels_and_refuses_anything_else() -> None:
    assert np.array_equal(decode_output(OPAQUE["png"]), np.asarray(photo()))
    for content in (b"", b"not a picture"):
        with pytest.raises(ValueError):
            decode_output(content)
