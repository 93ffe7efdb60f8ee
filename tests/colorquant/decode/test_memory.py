"""Decoding needs no more memory than docs/limits.md says, and a decoder that asks for more is stopped."""

import re
import resource
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from colorquant.decode.image_file import read_image
from colorquant.decode.memory import bounded_memory
from colorquant.decode.tiled_tiff import tiled_image_above
from colorquant.errors import Undecodable, UnsupportedImage
from colorquant.limits import DECODING_BYTES_PER_PIXEL, Limits
from tests.conftest import PROJECT, photograph
from tests.odd_files import encode, png, tiff

SIDE = 2048
AT_ANY_SIZE = 12 << 20
DEEP = np.random.default_rng(0).integers(0, 1 << 16, (SIDE, SIDE // 16, 4), np.uint16).repeat(16, axis=1)
RGBA = (DEEP >> 8).astype(np.uint8)
RGB = Image.fromarray(np.ascontiguousarray(RGBA[..., :3]))

FILES = {
    "JPEG": lambda: encode(RGB, "JPEG"),
    "JPEG, CMYK": lambda: encode(Image.fromarray(RGBA, "CMYK"), "JPEG"),
    "PNG, RGB": lambda: png(RGBA[..., :3], 2),
    "PNG, RGBA": lambda: png(RGBA, 6),
    "PNG, 16-bit RGB": lambda: png(DEEP[..., :3], 2, 16),
    "PNG, 16-bit RGBA": lambda: png(DEEP, 6, 16),
    "TIFF, CMYK": lambda: tiff(RGBA, 5),
    "TIFF, 16-bit RGBA": lambda: tiff(DEEP, 2, 16, extra=2),
    "WebP, RGB": lambda: encode(RGB, "WEBP", method=0),
    "WebP, RGBA": lambda: encode(Image.fromarray(RGBA), "WEBP", method=0),
    "AVIF": lambda: encode(RGB, "AVIF", speed=10),
    "GIF": lambda: encode(RGB.quantize(64), "GIF"),
    "JPEG 2000": lambda: encode(RGB, "JPEG2000"),
    "JPEG 2000, 16 bits": lambda: cv2.imencode(
        ".jp2", np.ascontiguousarray(DEEP[..., :3]), [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
    )[1].tobytes(),
}
MEASURE = """
import re, sys
from colorquant.decode import process
from colorquant.decode.image_file import read_image
def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", open(f"/proc/{child}/status").read())[1])
is_tiff = open(sys.argv[2], "rb").read(2) in (b"II", b"MM")
decoding = process._process_for(process.Limits(), is_tiff)
decoding.decode(open(sys.argv[1], "rb").read())
child = decoding._process.pid
open(f"/proc/{child}/clear_refs", "w").write("5")
before = peak()
image = read_image(sys.argv[2])
print(peak() - before - image.original_bytes, image.pixels[..., 0].size)
"""


@pytest.mark.parametrize("name", FILES)
def test_decoding_takes_no_more_bytes_a_pixel_than_the_documents_say(name: str, tmp_path: Path) -> None:
    """At four megapixels. Decoders and conversions by bands of a megapixel need some memory at any size."""
    (documented,) = re.findall(
        rf"^\| {name} \| ([\d.]+) \|", (PROJECT / "docs" / "limits.md").read_text(), re.MULTILINE
    )
    assert float(documented) <= DECODING_BYTES_PER_PIXEL
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(encode(RGB.resize((16, 16)), "PNG"))
    large.write_bytes(FILES[name]())
    command = [sys.executable, "-c", MEASURE, str(small), str(large)]
    run = subprocess.run(command, env={"PYTHONPATH": str(PROJECT / "spark_apps")}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    taken, pixels = map(int, run.stdout.split())
    assert taken < float(documented) * pixels + AT_ANY_SIZE


@pytest.mark.parametrize(
    "name, bytes_per_pixel", [("PNG, 16-bit RGBA", 65), ("WebP, RGBA", 65), ("JPEG", 18), ("JPEG 2000, 16 bits", 26)]
)
def test_an_image_whose_job_may_need_more_memory_than_it_has_is_refused_by_its_header(
    name: str, bytes_per_pixel: int, tmp_path: Path
) -> None:
    """At the very byte. A job with alpha takes 65 a pixel, of which decoding takes 20 (docs/limits.md)."""
    path = tmp_path / "image"
    path.write_bytes(FILES[name]())
    needed = 700_000_000 + path.stat().st_size + SIDE * SIDE * bytes_per_pixel
    assert read_image(path, Limits(memory=needed)).pixels.shape[:2] == (SIDE, SIDE)
    sentence = f"has {SIDE} x {SIDE} pixels, whose job may need {needed / 1e9:.1f} GB of memory, more than the limit"
    with pytest.raises(UnsupportedImage, match=sentence):
        read_image(path, Limits(memory=needed - 1))


def test_a_decoder_that_asks_for_more_is_refused_and_the_limit_is_lifted_afterwards() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(Undecodable, match="needs more memory than an image of 1,000 pixels may"), bounded_memory(1000):
        np.ones(1 << 31, np.uint8)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    with bounded_memory(1000):
        assert np.ones(1 << 20, np.uint8).all()
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_header_that_asks_for_a_gigapixel_is_refused(tmp_path: Path) -> None:
    """Found by fuzzing: Pillow clears the frame of a GIF before its size can be looked at."""
    seed = PROJECT / "tests" / "fuzz" / "seeds" / "decode" / "gif-that-clears-a-gigapixel"
    with pytest.raises(UnsupportedImage, match="needs more memory than a header may"):
        read_image(seed)


def test_a_tile_that_holds_a_far_larger_image_is_refused(tmp_path: Path) -> None:
    """A JPEG of a gigapixel as a tile of 256 x 256 pixels."""
    path = tmp_path / "t.tif"
    tifffile.imwrite(path, photograph(256, 256), tile=(256, 256), photometric="rgb", compression="jpeg", metadata=None)
    content = bytearray(path.read_bytes())
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
    path.write_bytes(content)
    image = tiled_image_above(str(path), 0)
    assert image is not None
    with pytest.raises(UnsupportedImage, match="is damaged in part 0"):
        image.read(0, 0, 256, 256)
    with pytest.raises(UnsupportedImage):
        read_image(path)
