"""The way of a tiled image, without Spark: its regions are worked on here, one after the other."""

import os
import re
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
from colorquant.storage import paths as storage
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


def _compress(
    image: Path | str, folder: Path | str, settings: Settings, meanwhile: Callable[[], None]
) -> CompressionResult:
    tiled = tiled_image_above(str(image), 0)
    assert tiled is not None
    output, result = f"{folder}/o.png", f"{folder}/r.json"
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


def _upload(path: Path) -> str:
    storage.put(f"s3://library/in/{path.name}", path.read_bytes())
    return f"s3://library/in/{path.name}"


def test_in_a_bucket_it_is_the_same_file_and_its_parts_are_gone(
    tmp_path: Path, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("colorquant.decode.tiled_tiff._REGION", 150)
    image = _save(tmp_path / "a.tif", photograph(200, 330, seed=3), tile=(48, 48))
    on_disk = _compress(image, tmp_path / "out", Settings(), lambda: None)
    seen: set[str] = set()
    record = _compress(
        _upload(image), "s3://results/out", Settings(), lambda: seen.update(storage.sizes_below("s3://results/out"))
    )
    assert seen and all(re.fullmatch(r"\.tmp-[^/]+", name) for name in seen), "as a prune knows them"
    assert set(storage.sizes_below("s3://results/out")) == {"o.tif", "r.json"}
    assert record == CompressionResult.read("s3://results/out/r.json")
    assert (record.image, record.output) == ("s3://library/in/a.tif", "s3://results/out/o.tif")
    assert storage.read(record.output) == Path(on_disk.output).read_bytes()
    same = ("image_sha256", "original_bytes", "compressed_bytes", "output_sha256", "mse", "ssim", "inertia")
    assert [getattr(record, name) for name in same] == [getattr(on_disk, name) for name in same]


@pytest.mark.parametrize("change", ["replaced", "gone"])
def test_an_object_that_changes_while_it_is_compressed_is_refused(
    change: str, tmp_path: Path, s3: dict[str, str]
) -> None:
    uri = _upload(_save(tmp_path / "a.tif", photograph(100, 100), tile=(48, 48)))
    other = _save(tmp_path / "b.tif", photograph(100, 100, seed=1), tile=(48, 48)).read_bytes()

    def meanwhile() -> None:
        if change == "replaced":
            storage.put(uri, other)
        else:
            storage.remove(uri)

    with pytest.raises(UnsupportedImage, match="in/a.tif' has changed since this run was planned; a new run"):
        _compress(uri, "s3://results/out", Settings(), meanwhile)
    assert storage.sizes_below("s3://results/out") == {}


def test_a_worker_that_does_not_see_the_output_folder_says_so(tmp_path: Path) -> None:
    """As where a cluster has no common disk: the driver has made the folder on its own."""
    image = _save(tmp_path / "a.tif", photograph(100, 100), tile=(48, 48))
    output, away = tmp_path / "out", tmp_path / "of the driver"

    class ElsewhereRegions(_Regions):
        def each(self, work: Callable[[Region], T]) -> list[T]:
            output.rename(away)
            return super().each(work)

    tiled = tiled_image_above(str(image), 0)
    assert tiled is not None
    with pytest.raises(FileNotFoundError, match="a worker does not see the output folder: share it with all workers"):
        compress_tiled_image(tiled, 5, f"{output}/o.png", f"{output}/r.json", Settings(), ElsewhereRegions)
