"""The way of a tiled image, without Spark: its regions are worked on here, one after the other."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import tifffile
from PIL import Image

from colorquant import quantize
from colorquant.compress.tile_pipeline import compress_tiled_image
from colorquant.decode.tiled_tiff import Region, TiledImage, tiled_image_above
from colorquant.errors import UnsupportedImage
from colorquant.jobs.records import CompressionResult
from colorquant.quantizer.in_process import PixelSource
from colorquant.settings import Settings
from tests.conftest import photograph

T = TypeVar("T")


class _Regions(PixelSource):
    """Of a small image; ``meanwhile`` is done once, after its first region was worked on."""

    def __init__(self, image: TiledImage, meanwhile: Callable[[], None] = lambda: None) -> None:
        super().__init__(image.read(0, 0, image.height, image.width))
        self._image, self._meanwhile = image, meanwhile

    def each(self, work: Callable[[Region], T]) -> list[T]:
        first, *others = self._image.regions()
        done = [work(first)]
        self._meanwhile()
        self._meanwhile = lambda: None
        return done + [work(region) for region in others]


def _save(path: Path, pixels: np.ndarray, **kinds: Any) -> Path:
    tifffile.imwrite(path, pixels, photometric="rgb", metadata=None, **kinds)
    return path


def _compress(image: Path, folder: Path, settings: Settings, meanwhile: Callable[[], None]) -> CompressionResult:
    tiled = tiled_image_above(str(image), 0)
    assert tiled is not None
    output, result = str(folder / "o.png"), str(folder / "r.json")
    return compress_tiled_image(tiled, 5, output, result, settings, lambda of: _Regions(of, meanwhile))


@pytest.mark.parametrize("change", ["replaced", "written over", "gone"])
def test_a_file_that_changes_while_it_is_compressed_is_refused(change: str, tmp_path: Path) -> None:
    image = _save(tmp_path / "a.tif", photograph(100, 100), tile=(48, 48))
    content = image.read_bytes()

    def meanwhile() -> None:
        if change == "replaced":
            (tmp_path / "b").write_bytes(content)
            os.replace(tmp_path / "b", image)
        elif change == "written over":
            image.write_bytes(content + b"!")
        else:
            image.unlink()

    with pytest.raises(UnsupportedImage, match="a.tif' has changed since this run was planned; a new run"):
        _compress(image, tmp_path / "out", Settings(), meanwhile)
    assert list((tmp_path / "out").iterdir()) == []


def test_the_same_file_under_the_same_name_is_compressed(tmp_path: Path) -> None:
    image = _save(tmp_path / "a.tif", photograph(100, 100), tile=(48, 48))
    record = _compress(image, tmp_path / "out", Settings(compare=("avif",)), lambda: None)
    assert record.comparison == {"avif": None}, "there is no SSIMULACRA2 to reach, and the job is done all the same"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["o.tif", "r.json"]
    assert record.original_bytes == image.stat().st_size


def test_dithered_it_is_the_picture_of_an_untiled_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where regions begin anywhere in the mask, as with tiles of 48: here at row and column 144."""
    monkeypatch.setattr("colorquant.decode.tiled_tiff._REGION", 150)
    pixels = photograph(200, 330, seed=3)
    image = _save(tmp_path / "a.tif", pixels, tile=(48, 48))
    record = _compress(image, tmp_path / "out", Settings(dither="blue-noise"), lambda: None)
    decoded = np.asarray(Image.open(record.output).convert("RGB"))
    expected = quantize(pixels, 5, dither="blue-noise")
    assert np.array_equal(decoded, expected.palette[expected.indexes])
