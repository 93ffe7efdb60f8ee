"""A large image is measured while it is encoded: the file and its figures are those of one after the other."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorquant.compress import Stopwatch, compress_opened, open_image, output, pipeline
from colorquant.jobs import CompressionResult
from colorquant.quantizer import PixelSource
from colorquant.settings import Settings
from tests.conftest import photograph


def _compressed(path: Path, threads: int) -> pipeline.Compressed:
    clock = Stopwatch()
    opened = open_image(str(path), PixelSource, clock)
    return compress_opened(opened, 9, str(path.with_suffix(".out.png")), Settings(), clock, threads=threads)


def _without_times(compressed: pipeline.Compressed) -> CompressionResult:
    return dataclasses.replace(compressed.record, seconds={"total": 0.0})


def _saved(folder: Path, channels: int) -> Path:
    pixels = photograph(150, 131)
    if channels == 4:
        alpha = np.linspace(0, 255, pixels.shape[1]).astype(np.uint8)
        pixels = np.dstack([pixels, np.broadcast_to(alpha, pixels.shape[:2])])
    Image.fromarray(pixels).save(folder / "image.png")
    return folder / "image.png"


@pytest.mark.parametrize("channels", [3, 4])
def test_threads_change_neither_bytes_nor_figures(
    channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _saved(tmp_path, channels)
    alone = _compressed(path, 1)
    monkeypatch.setattr(pipeline, "_PARALLEL_PIXELS", 0)
    foreseen = []
    monkeypatch.setattr(
        pipeline, "measure", lambda *arguments: foreseen.append(arguments[2]) or output.measure(*arguments)
    )
    for threads in (2, 5):
        together = _compressed(path, threads)
        assert together.encoded == alone.encoded
        assert _without_times(together) == _without_times(alone)
    assert all(foreseen) and len(foreseen) == 2


def test_a_file_that_shows_something_else_is_measured_itself(tmp_path: Path) -> None:
    path = _saved(tmp_path, 3)
    alone = _compressed(path, 1)
    original = open_image(str(path), PixelSource, Stopwatch()).decoded
    palette, indexes = np.zeros((1, 3), np.uint8), np.zeros(original.pixels.shape[:2], np.uint8)
    wrong = output.Foreseen(palette, indexes, output.Figures.of(original.pixels, palette[indexes]))
    assert output.measure(original, alone.encoded, wrong) == output.measure(original, alone.encoded)
