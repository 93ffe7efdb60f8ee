"""TIFFs that are read and written region by region."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from colorquant.decode.image_file import is_tiff, read_image
from colorquant.decode.tiled_tiff import encode_tiles, tiled_image_above, write_tiled
from colorquant.errors import ChangedImage, StoreUnavailable, UnsupportedImage
from colorquant.storage import paths as storage
from tests.conftest import PROJECT, photograph

PIXELS = photograph(300, 500)


def _save(path: Path, pixels: np.ndarray = PIXELS, **kinds: Any) -> Path:
    tifffile.imwrite(path, pixels, metadata=None, **{"photometric": "rgb", **kinds})
    return path


def _read_by_regions(path: Path | str) -> np.ndarray:
    image = tiled_image_above(str(path), 0)
    assert image is not None
    pixels = np.zeros((image.height, image.width, 3), np.uint8)
    for region in image.regions():
        pixels[region.top : region.bottom, region.left : region.right] = region.pixels()
    return pixels


@pytest.mark.parametrize(
    "kinds",
    [
        {"tile": (64, 128)},
        {"tile": (64, 64), "compression": "lzw"},
        {"tile": (112, 112), "compression": "adobe_deflate", "predictor": 2, "bigtiff": True},
        {"tile": (64, 64), "compression": "zstd", "byteorder": ">"},
        {"rowsperstrip": 7},
        {"rowsperstrip": 300, "compression": "packbits"},
        {"rowsperstrip": 97, "compression": "lzw"},
    ],
    ids=str,
)
def test_every_layout_gives_the_pixels_that_were_saved(kinds: dict[str, Any], tmp_path: Path) -> None:
    assert np.array_equal(_read_by_regions(_save(tmp_path / "t.tif", **kinds)), PIXELS)


def test_any_region_is_that_part_of_the_picture(tmp_path: Path) -> None:
    image = tiled_image_above(str(_save(tmp_path / "t.tif", tile=(64, 112))), 0)
    assert image is not None
    random = np.random.default_rng(0)
    for _ in range(50):
        top, bottom = sorted(random.choice(301, 2, replace=False))
        left, right = sorted(random.choice(501, 2, replace=False))
        assert np.array_equal(image.read(top, left, bottom, right), PIXELS[top:bottom, left:right])


def test_of_a_file_that_was_replaced_the_new_pixels_are_read(tmp_path: Path) -> None:
    """Not those of the one that a worker has still open."""
    path = _save(tmp_path / "t.tif", tile=(64, 64))
    assert np.array_equal(_read_by_regions(path), PIXELS)
    os.replace(_save(tmp_path / "new.tif", 255 - PIXELS, tile=(64, 64)), path)
    assert np.array_equal(_read_by_regions(path), 255 - PIXELS)


def test_regions_tile_the_picture_and_are_small_whatever_its_size(tmp_path: Path) -> None:
    pixels = np.zeros((5000, 7001), np.uint8)
    image = tiled_image_above(str(_save(tmp_path / "t.tif", pixels, photometric="minisblack", tile=(256, 512))), 0)
    assert image is not None
    seen = np.zeros(pixels.shape, np.uint8)
    for region in image.regions():
        seen[region.top : region.bottom, region.left : region.right] += 1
        assert (region.bottom - region.top) * (region.right - region.left) <= 2048 * 2048
        assert region.top % 256 == region.left % 512 == 0
    assert (seen == 1).all()


def test_a_gigapixel_in_one_strip_is_refused_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "t.tif"
    tifffile.memmap(path, shape=(32768, 32768), dtype=np.uint8, photometric="minisblack").flush()
    with pytest.raises(UnsupportedImage, match="its parts have 32768 x 32768 pixels; save it with tiles of 256 x 256"):
        tiled_image_above(str(path), 1 << 28)


@pytest.mark.parametrize("kind", ["grey", "white is zero", "palette", "jpeg", "display p3"])
def test_colors_are_those_of_the_file_read_as_a_whole(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "t.tif"
    if kind == "grey":
        _save(path, PIXELS[..., 0], photometric="minisblack", tile=(64, 64))
    elif kind == "white is zero":
        _save(path, PIXELS[..., 0], photometric="miniswhite", tile=(64, 64))
    elif kind == "palette":
        colormap = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16) * 257
        _save(path, PIXELS[..., 0], photometric="palette", colormap=colormap, tile=(64, 64))
    elif kind == "jpeg":
        _save(path, tile=(64, 64), compression="jpeg", compressionargs={"level": 90})
    else:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        _save(path, tile=(64, 64), iccprofile=_swapped(profile))
    whole, by_regions = read_image(path).pixels, _read_by_regions(path)
    difference = np.abs(whole.astype(int) - by_regions)
    # Two JPEG decoders round differently; all else is exact.
    assert difference.max() <= (3 if kind == "jpeg" else 0)
    if kind == "display p3":
        assert not np.array_equal(by_regions, PIXELS)


def _swapped(profile: bytes) -> bytes:
    """An ICC profile whose red and green are exchanged: one that nobody can ignore unseen."""
    return profile.replace(b"rXYZ", b"tXYZ").replace(b"gXYZ", b"rXYZ").replace(b"tXYZ", b"gXYZ")


@pytest.mark.parametrize(
    ("save", "reason"),
    [
        (lambda path: _save(path, PIXELS.astype(np.float32), tile=(64, 64)), "floating-point samples"),
        (lambda path: _save(path, np.dstack([PIXELS, PIXELS[..., :1]]), extrasamples=[2], tile=(64, 64)), "transp"),
        (lambda path: _save(path, np.stack([PIXELS, PIXELS]), tile=(64, 64)), "several pages"),
        (lambda path: _save(path, tile=(64, 64), extratags=[(274, 3, 1, 6, True)]), "rotated"),
        (lambda path: path.write_bytes(_save(path, tile=(64, 64)).read_bytes()[:200_000]), "ends early"),
    ],
    ids=["floating point", "transparency", "pages", "orientation", "truncated"],
)
def test_what_cannot_be_read_by_regions_is_refused_with_the_reason(
    save: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.tif"
    save(path)
    with pytest.raises(UnsupportedImage, match=reason) as caught:
        tiled_image_above(str(path), 1000)
    assert "t.tif' has 500 x 300 pixels, more than the limit of 1,000" in str(caught.value)
    assert tiled_image_above(str(path), 150_000) is None


def test_a_damaged_tile_is_refused_when_it_is_read(tmp_path: Path) -> None:
    path = _save(tmp_path / "t.tif", tile=(64, 64), compression="adobe_deflate")
    with tifffile.TiffFile(path) as file:
        offset = file.pages.first.dataoffsets[3]
    content = bytearray(path.read_bytes())
    content[offset : offset + 50] = bytes(50)
    path.write_bytes(content)
    image = tiled_image_above(str(path), 0)
    assert image is not None
    image.read(0, 0, 64, 64)
    with pytest.raises(UnsupportedImage, match=r"t.tif' is damaged in part 3"):
        image.read(0, 0, 64, 500)


def test_what_is_written_is_read_by_other_programs(tmp_path: Path) -> None:
    image = tiled_image_above(str(_save(tmp_path / "t.tif", tile=(64, 128))), 0)
    assert image is not None
    random = np.random.default_rng(0)
    palette, indexes = random.integers(0, 256, (37, 3), np.uint8), random.integers(0, 37, (300, 500), np.uint8)
    tiles = encode_tiles(indexes, image.tile)
    with open(tmp_path / "o.tif", "wb+") as file:
        write_tiled(file, image, palette, iter(tiles))
    with Image.open(tmp_path / "o.tif") as written:
        assert (written.mode, written.tile[0][0], written.size) == ("P", "libtiff", (500, 300))
        assert np.array_equal(np.asarray(written), indexes)
        assert np.array_equal(np.asarray(written.convert("RGB")), palette[indexes])


def _upload(path: Path) -> str:
    storage.put("s3://library/in/t.tif", path.read_bytes())
    return "s3://library/in/t.tif"


@pytest.fixture
def requested(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The ranges of bytes that are requested of the store, in blocks of 16 KB."""
    from s3fs.core import S3File

    ranges, fetch = [], S3File._fetch_range

    def fetch_and_note(file: Any, start: int, end: int) -> Any:
        ranges.append((start, end))
        return fetch(file, start, end)

    monkeypatch.setattr(S3File, "_fetch_range", fetch_and_note)
    monkeypatch.setattr(storage, "_RANGE_BYTES", 2**14)
    return ranges


@pytest.mark.parametrize("kinds", [{"tile": (64, 64)}, {"rowsperstrip": 8, "compression": "lzw"}], ids=str)
def test_of_an_object_only_the_blocks_are_requested_that_a_region_needs(
    kinds: dict[str, Any], tmp_path: Path, s3: dict[str, str], requested: list[tuple[int, int]]
) -> None:
    uri = _upload(_save(tmp_path / "t.tif", **kinds))
    image = tiled_image_above(uri, 0)
    assert image is not None and image.path == uri and image.bytes == (tmp_path / "t.tif").stat().st_size
    assert np.array_equal(image.read(128, 256, 192, 320), PIXELS[128:192, 256:320])
    assert sum(end - start for start, end in requested) <= image.bytes / 3
    assert np.array_equal(_read_by_regions(uri), PIXELS)


def test_an_object_that_is_replaced_is_never_read_half_from_the_one_and_half_from_the_other(
    tmp_path: Path, s3: dict[str, str], requested: list[tuple[int, int]]
) -> None:
    """Whether a process has it open, or opens it then; another machine has the version from the driver."""
    uri = _upload(_save(tmp_path / "t.tif", tile=(64, 64)))
    opened, other = (tiled_image_above(uri, 0) for _ in range(2))
    assert opened is not None and other is not None
    opened.read(0, 0, 64, 64)
    _upload(_save(tmp_path / "new.tif", 255 - PIXELS, tile=(64, 64)))
    for image in (opened, other):
        with pytest.raises(ChangedImage, match="'s3://library/in/t.tif' has changed since this run was planned"):
            image.read(236, 436, 300, 500)
    assert opened.has_changed()
    assert np.array_equal(_read_by_regions(uri), 255 - PIXELS)
    storage.remove(uri)
    assert opened.has_changed()


def test_a_store_that_does_not_answer_is_no_damage_of_the_image(
    tmp_path: Path, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry may help, which a refusal would rule out: while the file is opened, and while its regions are read."""
    from botocore.exceptions import EndpointConnectionError

    def fetch(*_: Any, **__: Any) -> bytes:
        raise EndpointConnectionError(endpoint_url="http://store")

    monkeypatch.setattr(storage, "_RANGE_BYTES", 2**14)
    uri = _upload(_save(tmp_path / "t.tif", tile=(64, 64)))
    image = tiled_image_above(uri, 0)
    assert image is not None
    image.read(0, 0, 64, 64)
    monkeypatch.setattr("s3fs.core._fetch_range", fetch)
    with pytest.raises(StoreUnavailable, match="t.tif: Could not connect to the endpoint"):
        image.read(236, 436, 300, 500)
    with pytest.raises(StoreUnavailable, match="t.tif: Could not connect to the endpoint"):
        tiled_image_above(uri, 0)
    monkeypatch.setattr("s3fs.core.S3FileSystem._call_s3", fetch)
    with pytest.raises(StoreUnavailable, match="t.tif: Could not connect to the endpoint"):
        is_tiff(uri)


def test_an_object_tells_by_its_first_bytes_whether_it_is_a_tiff(tmp_path: Path, s3: dict[str, str]) -> None:
    assert is_tiff(_upload(_save(tmp_path / "t.tif")))
    storage.put("s3://library/in/t.tif", b"no TIFF")
    storage.put("s3://library/in/empty.tif", b"")
    assert not any(is_tiff(f"s3://library/in/{name}") for name in ("t.tif", "empty.tif", "gone.tif"))


def test_the_memory_for_an_object_does_not_grow_with_it(tmp_path: Path, s3: dict[str, str]) -> None:
    """Measured in processes of their own, on a small object and on one of 64 MB; with a cache of 4 blocks, 8 MB."""
    code = (
        "import re, sys; from colorquant.storage import paths; paths._RANGES = 4; "
        "from colorquant.decode import tiled_image_above; image = tiled_image_above(sys.argv[1], 0); "
        "print([region.pixels().shape for region in image.regions()][-1]); "
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    peaks = []
    for side in (2048, 8192):
        path = tmp_path / "t.tif"
        _save(path, np.zeros((side, side), np.uint8), photometric="minisblack", tile=(256, 256))
        run = subprocess.run(
            [sys.executable, "-c", code, _upload(path)],
            env=os.environ | {"PYTHONPATH": str(PROJECT / "spark_apps")},
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(run.stdout.split()[-1]) >> 10)
    assert peaks[1] - peaks[0] < 32, peaks
