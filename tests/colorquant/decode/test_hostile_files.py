"""Files that ask for far more time or memory than their size: refused, at a cost that follows their size."""

import io
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from colorquant.decode.image_file import read_image
from colorquant.decode.tiff_directories import Picture, find_picture
from colorquant.decode.tiled_tiff import tiled_image_above
from colorquant.errors import UnsupportedImage
from colorquant.limits import FREE_PIXELS, Limits
from tests.conftest import photograph
from tests.odd_files import chunk

LONG, SHORT = 4, 3
_PAGE = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: 1}


def _directory(tags: dict[int, int], following: int, order: str = "<", big: bool = False) -> bytes:
    count, entry, word = ("Q", "HHQQ", "Q") if big else ("H", "HHII", "I")
    entries = b"".join(struct.pack(order + entry, tag, LONG, 1, tags[tag]) for tag in sorted(tags))
    return struct.pack(order + count, len(tags)) + entries + struct.pack(order + word, following)


def chained(directories: int, tags: dict[int, int], order: str = "<", big: bool = False) -> bytes:
    """A TIFF of one pixel, followed by that many further directories."""
    start = (b"II" if order == "<" else b"MM") + (
        struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8)
    )
    first = len(_directory(_PAGE, 0, order, big))
    size = len(_directory(tags, 0, order, big))
    ends = [len(start) + first + size * number for number in range(directories)] + [0]
    parts = [_directory(_PAGE, ends[0], order, big), *(_directory(tags, end, order, big) for end in ends[1:])]
    return start + b"".join(parts)


def _tiles_at_one_offset(path: Path, side: int, tile: int = 8192) -> Path:
    """A TIFF of side x side pixels whose tiles are all the same bytes of the file."""
    content = tifffile_bytes(np.zeros((tile, tile), np.uint8), tile=(tile, tile), compression="adobe_deflate")
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages.first
        encoded = content[page.dataoffsets[0] :][: page.databytecounts[0]]
    count = (side // tile) ** 2
    tags: dict[int, tuple[int, int, int]] = {
        tag: (kind, 1, value)
        for tag, kind, value in (
            (256, LONG, side),
            (257, LONG, side),
            (258, SHORT, 8),
            (259, SHORT, 8),
            (262, SHORT, 1),
            (277, SHORT, 1),
            (322, LONG, tile),
            (323, LONG, tile),
        )
    }
    at = 8 + 2 + 12 * (len(tags) + 2) + 4
    tags[324], tags[325] = (LONG, count, at), (LONG, count, at + 4 * count)
    entries = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    arrays = struct.pack("<I", at + 8 * count) * count + struct.pack("<I", len(encoded)) * count
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    path.write_bytes(b"II" + struct.pack("<HI", 42, 8) + directory + arrays + encoded)
    return path


def tifffile_bytes(pixels: np.ndarray, **kinds: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, metadata=None, **kinds)
    return stream.getvalue()


def test_a_terapixel_in_a_few_kilobytes_is_refused(tmp_path: Path) -> None:
    path = _tiles_at_one_offset(tmp_path / "t.tif", 1 << 20)
    assert path.stat().st_size < 400_000
    with pytest.raises(UnsupportedImage, match=r"2,000 decoded bytes for each stored one; save it again or raise"):
        tiled_image_above(str(path), 1 << 28)


def test_a_limit_of_the_ratio_can_be_set_and_small_images_may_have_any(tmp_path: Path) -> None:
    path = _tiles_at_one_offset(tmp_path / "t.tif", 1 << 15)
    assert tiled_image_above(str(path), 1 << 28, Limits(ratio=10**9)) is not None
    small = _tiles_at_one_offset(tmp_path / "small.tif", 1 << 12, tile=256)
    assert tiled_image_above(str(small), 1000, Limits(ratio=1)) is not None
    assert read_image(small, Limits(ratio=1)).pixels.shape == (1 << 12, 1 << 12, 3)


def test_tiles_that_overlap_hold_no_more_than_the_file(tmp_path: Path) -> None:
    """Each tile at an offset of its own, one byte after the other, each as long as the file."""
    path = _tiles_at_one_offset(tmp_path / "t.tif", 1 << 20)
    with tifffile.TiffFile(path, mode="r+") as file:
        tags, size = file.pages.first.tags, path.stat().st_size
        count = len(tags[324].value)
        tags[324].overwrite(list(range(count)))
        tags[325].overwrite([size - count] * count)
    with pytest.raises(UnsupportedImage, match="decoded bytes for each stored one"):
        tiled_image_above(str(path), 1 << 28)


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_a_large_image_of_few_bytes_is_refused_in_every_format(kind: str, tmp_path: Path) -> None:
    side = 1 + int(FREE_PIXELS**0.5)
    path = tmp_path / "white.png"
    Image.new("L" if kind == "PNG" else "RGB", (side, side), "white").save(path, kind, lossless=True, method=0)
    with pytest.raises(UnsupportedImage, match="decoded bytes for each stored one"):
        read_image(path, Limits(ratio=500))


@pytest.mark.parametrize("directories", [1 << 14, 1 << 16])
def test_chained_directories_cost_no_time(directories: int, tmp_path: Path) -> None:
    path = tmp_path / "chain.tif"
    path.write_bytes(chained(directories, _PAGE | {254: 1}))
    started = time.process_time()
    with pytest.raises(UnsupportedImage, match="more than 100 directories"):
        read_image(path)
    with pytest.raises(UnsupportedImage, match="more than 100 directories"):
        tiled_image_above(str(path), 0)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_directories_are_counted_as_pages_unless_they_are_reduced_or_masks(order: str, big: bool) -> None:
    for kind, pages in ((0, 4), (1, 1), (4, 1), (2, 4)):
        found = find_picture(io.BytesIO(chained(3, {254: kind}, order, big)), 4)
        assert found == Picture(16 if big else 8, pages)
    found = find_picture(io.BytesIO(chained(3, {256: 1}, order, big)), 4)
    assert found is not None and found.pages == 4
    assert find_picture(io.BytesIO(chained(4, {254: 1}, order, big)), 4) is None


def test_a_circle_of_directories_ends_and_a_chain_to_nowhere_is_damage() -> None:
    content = bytearray(chained(2, {254: 1}))
    content[-4:] = struct.pack("<I", 8)
    assert find_picture(io.BytesIO(content), 100) == Picture(8, 1)
    with pytest.raises(ValueError, match="a directory at"):
        find_picture(io.BytesIO(chained(2, {254: 1}, big=True)[:-8] + b"\xff" * 8), 100)
    content[-4:] = struct.pack("<I", 1 << 30)
    with pytest.raises(ValueError, match="missing"):
        find_picture(io.BytesIO(content), 100)


@pytest.mark.parametrize("damage", ["no directory", "several widths", "tiles of no width"])
def test_damaged_tags_are_left_to_the_reader_of_whole_images(damage: str, tmp_path: Path) -> None:
    """Found by fuzzing: each raised an error of another kind, after which a job was tried again."""
    path = tmp_path / "t.tif"
    if damage == "no directory":
        path.write_bytes(b"II*\0" + bytes(4) + b"\0" * 100)
    else:
        tag, values = {"several widths": (256, 4), "tiles of no width": (322, 1)}[damage]
        pixels = photograph(64, 64)[..., 0]
        path.write_bytes(tifffile_bytes(np.ascontiguousarray(pixels), tile=(16, 16), photometric="minisblack"))
        content = bytearray(path.read_bytes())
        at = content.index(struct.pack("<H", tag), 8)
        content[at + 4 : at + 12] = struct.pack("<II", values, 0 if values == 1 else 16)
        path.write_bytes(content)
    assert tiled_image_above(str(path), 0) is None
    with pytest.raises(UnsupportedImage):
        read_image(path)


def test_missing_tiles_are_named(tmp_path: Path) -> None:
    path = _tiles_at_one_offset(tmp_path / "t.tif", 1 << 13, tile=4096)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags[257].overwrite(1 << 20)
    with pytest.raises(UnsupportedImage, match="4 of its 512 strips or tiles are there; copy it again"):
        tiled_image_above(str(path), 1 << 28)


@pytest.mark.parametrize("kind", ["gaps in a JPEG", "segments of a JPEG", "chunks of a PNG", "boxes of an AVIF"])
def test_tens_of_thousands_of_tiny_parts_cost_little(kind: str, tmp_path: Path) -> None:
    image, stream = Image.fromarray(photograph(16, 16)), io.BytesIO()
    image.save(stream, {"JPEG": "JPEG", "PNG": "PNG", "AVIF": "AVIF"}[kind.split()[-1]])
    content = stream.getvalue()
    if "JPEG" in kind:
        part = b"\xff\xfe\0\2" + (b"\0" if "gaps" in kind else b"")
        content = content[:2] + part * (300_000 // len(part)) + content[2:]
    elif "PNG" in kind:
        content = content[:33] + chunk(b"juNk", b"") * 25_000 + content[33:]
    else:
        content = content + struct.pack(">I4s", 8, b"free") * 40_000
    path = tmp_path / "parts"
    path.write_bytes(content)
    started = time.process_time()
    assert read_image(path).pixels.shape == (16, 16, 3)
    assert time.process_time() - started < 3
