"""Images beyond the pixel limit through a real spark-submit: refused, or, as tiled TIFF, compressed part by part."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from colorquant import quantize
from colorquant.jobs import CompressionResult, JobFailure, WeightsFile
from colorquant.jobs.job import Job
from colorquant.quality import measures
from colorquant.settings import Settings
from tests.conftest import PROJECT, photograph

pytestmark = pytest.mark.e2e
APPLICATION = PROJECT / "spark_apps" / "compress_image.py"
# Four regions, of which those at the right and at the bottom end within a tile.
PIXELS = photograph(2300, 2100, seed=5)


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiled") / "large.tif"
    tifffile.imwrite(path, PIXELS, tile=(256, 256), photometric="rgb", compression="adobe_deflate", metadata=None)
    return path


def _job(image: Path, folder: Path, k: int = 7) -> Job:
    return Job(
        image=str(image),
        name=image.name,
        image_sha256=None,
        k=k,
        target=None,
        settings=Settings(),
        output=str(folder / "o.png"),
        result=str(folder / "r.json"),
        failure=str(folder / "f.json"),
    )


def _run(job: Job, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(APPLICATION), *job.arguments()]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=300)


def _submit(job: Job, environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    conf = ["--conf", "spark.ui.enabled=false", "--conf", f"spark.pyspark.python={sys.executable}"]
    command = ["spark-submit", "--master", "local[2]", *conf, str(APPLICATION), *job.arguments(), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_a_tiled_tiff_above_the_limit_gives_what_the_whole_image_would(
    tiled: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    """The picture of ``quantize`` on all pixels, and every figure as computed here on both whole images; no weights."""
    job = replace(_job(tiled, tmp_path / "out"), weights=WeightsFile(path=str(tmp_path / "weights.png"), sha256="0"))
    run = _submit(job, bare_environment, "--max-pixels=1000000", "--partitions=3")
    assert run.returncode == 0, run.stderr
    record = CompressionResult.read(job.result)
    assert record.weights_notice and record.weights_notice.startswith("All pixels count the same: ")
    assert Path(record.output) == tmp_path / "out" / "o.tif"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["o.tif", "r.json"]
    with tifffile.TiffFile(record.output) as file:
        assert file.pages.first.tile == (256, 256)
        assert file.pages.first.photometric == tifffile.PHOTOMETRIC.PALETTE
    decoded = np.asarray(Image.open(record.output).convert("RGB"))
    expected = quantize(PIXELS, 7)
    assert np.array_equal(decoded, expected.palette[expected.indexes])
    assert (record.inertia, record.unique_colors) == (expected.inertia, expected.unique_colors)
    assert record.mse == pytest.approx(measures.mean_squared_error(PIXELS, decoded), rel=1e-12)
    assert record.ssim == pytest.approx(measures.structural_similarity(PIXELS, decoded), rel=1e-9)
    assert (record.width, record.height, record.colors_used) == (2100, 2300, 7)
    assert record.compressed_bytes == os.path.getsize(record.output)
    assert replace(job, image_sha256=record.image_sha256).is_done()
    Path(record.output).write_bytes(b"damaged")
    assert not replace(job, image_sha256=record.image_sha256).is_done()


def test_a_damaged_tile_ends_with_65_and_names_the_file(
    tiled: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    """Seen first by a worker, from where the reason must come back as it is."""
    with tifffile.TiffFile(tiled) as file:
        offset = file.pages.first.dataoffsets[50]
    content = bytearray(tiled.read_bytes())
    content[offset : offset + 100] = bytes(100)
    damaged = tmp_path / "damaged.tif"
    damaged.write_bytes(content)
    job = _job(damaged, tmp_path / "out")
    run = _submit(job, bare_environment, "--max-pixels=1000000")
    assert run.returncode == 65, run.stderr
    reason = JobFailure.read(job.failure).reason
    assert reason.startswith(f"{str(damaged)!r} is damaged in part 50 ("), reason
    assert not Path(job.output).exists() and not Path(job.result).exists()


def test_a_tiff_that_its_own_output_would_replace_is_refused(tmp_path: Path) -> None:
    """``a.tif`` to ``a.png``: read part by part, it becomes ``a.tif``. Before Spark is needed."""
    image = tmp_path / "a.tif"
    tifffile.imwrite(image, PIXELS[:100, :100], tile=(64, 64), photometric="rgb", metadata=None)
    before = image.read_bytes()
    job = replace(_job(image, tmp_path), output=str(tmp_path / "a.png"))
    run = _run(job, COMPRESSION_MAX_PIXELS="9999")
    assert run.returncode == 65, run.stderr
    assert "would replace it; choose another output" in JobFailure.read(job.failure).reason
    assert image.read_bytes() == before


@pytest.mark.parametrize("setting", ["option", "environment"])
def test_what_is_above_the_limit_and_not_tiled_ends_with_65(setting: str, tmp_path: Path) -> None:
    """Before Spark is needed, so the interpreter alone shows it."""
    image = tmp_path / "large.png"
    Image.fromarray(PIXELS[:100, :100]).save(image)
    job = _job(image, tmp_path)
    if setting == "environment":
        run = _run(job, COMPRESSION_MAX_PIXELS="9999")
    else:
        command = [sys.executable, str(APPLICATION), *job.arguments(), "--max-pixels=9999"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 65, run.stderr
    assert "has 100 x 100 pixels, more than the limit of 9,999" in JobFailure.read(job.failure).reason


def test_what_needs_more_memory_than_a_job_has_ends_with_65_or_is_read_part_by_part(tmp_path: Path) -> None:
    """A tiled TIFF of the same size as the PNG is refused for another reason, which it has only part by part."""
    limit = {"COMPRESSION_MAX_MEMORY": str(700_000_000 + 100 * 100 * 18)}  # Nothing is left for the file itself.
    image = tmp_path / "large.png"
    Image.fromarray(PIXELS[:100, :100]).save(image)
    job = _job(image, tmp_path)
    run = _run(job, **limit)
    assert run.returncode == 65, run.stderr
    assert "has 100 x 100 pixels, whose job may need 0.7 GB of memory" in JobFailure.read(job.failure).reason
    image = tmp_path / "a.tif"
    tifffile.imwrite(image, PIXELS[:100, :100], tile=(64, 64), photometric="rgb", metadata=None)
    job = replace(_job(image, tmp_path), output=str(tmp_path / "a.png"))
    run = _run(job, **limit)
    assert run.returncode == 65, run.stderr
    assert "would replace it; choose another output" in JobFailure.read(job.failure).reason


def test_an_empty_limit_is_none_that_was_set(tmp_path: Path) -> None:
    """As docker-compose.yaml passes it where .env does not have it."""
    image = tmp_path / "no image.png"
    image.write_bytes(b"not a PNG")
    run = _run(_job(image, tmp_path), COMPRESSION_MAX_PIXELS="")
    assert run.returncode == 65, run.stderr


def test_a_wrong_limit_is_a_wrong_argument(tmp_path: Path) -> None:
    run = _run(_job(tmp_path / "none.png", tmp_path), COMPRESSION_MAX_PIXELS="many")
    assert (run.returncode, "'many' is not a whole number" in run.stderr) == (2, True), run.stderr


def test_a_job_that_takes_too_long_ends_with_65_and_says_so(tmp_path: Path, bare_environment: dict[str, str]) -> None:
    image = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(image)
    job = _job(image, tmp_path / "out")
    run = _submit(job, bare_environment | {"COMPRESSION_MAX_SECONDS": "1"})
    assert run.returncode == 65, run.stderr
    failure = JobFailure.read(job.failure)
    assert failure.killed and "a.png' takes longer than 1 seconds, the limit" in failure.reason
    assert not Path(job.output).exists()
