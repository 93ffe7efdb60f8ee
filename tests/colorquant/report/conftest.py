"""A small library of images, planned and compressed by Pillow: a run without Spark, with true figures."""

import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from colorquant.jobs import CompressionResult, JobFailure
from colorquant.jobs.job import Job
from colorquant.jobs.plan import Plan, RunRequest, plan_run, run_folder
from colorquant.storage.atomic import sha256_of, write_atomically


def compress(job: Job) -> CompressionResult:
    """Do a job by Pillow's median cut, and write its output and its record."""
    with Image.open(job.image) as image:
        pixels = image.convert("RGB")
    quantized = pixels.quantize(job.k)
    Path(job.output).parent.mkdir(parents=True, exist_ok=True)
    quantized.save(job.output)
    before, after = (np.asarray(picture.convert("RGB"), dtype=float) for picture in (pixels, quantized))
    mse = float(((before - after) ** 2).sum(axis=2).mean())
    height, width, _ = before.shape
    size = os.path.getsize(job.output)
    ssim = 1.0
    if min(width, height) >= 11:
        ssim = float(structural_similarity(before, after, channel_axis=2, data_range=255))
    result = CompressionResult(
        image=job.image,
        image_sha256=sha256_of(job.image),
        width=width,
        height=height,
        unique_colors=len(np.unique(before.reshape(-1, 3), axis=0)),
        k=job.k,
        colors_used=len(quantized.getcolors(256) or ()),
        seed=job.settings.seed,
        settings=job.settings.as_record(),
        iterations=1,
        converged=True,
        inertia=round(mse * width * height),
        mse=mse,
        psnr_db=10 * math.log10(255**2 / (mse / 3)) if mse else None,
        ssim=ssim,
        lossless=mse == 0,
        original_bytes=os.path.getsize(job.image),
        compressed_bytes=size,
        compression_ratio=os.path.getsize(job.image) / size,
        bits_per_pixel=8 * size / (width * height),
        output=job.output,
        output_sha256=sha256_of(job.output),
        seconds={"total": 1.5},
        spark={"version": "4.2.0"},
    )
    result.write(job.result)
    return result


def photograph(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    """Smooth gradients with some noise: many colors, and structure."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin((across * (1 + c) + down * (3 - c)) / 17 + seed + c) for c in range(3)]
    noisy = np.stack(waves, axis=2) + random.normal(0, 8, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


class Library:
    """Images in a folder, and the run that compresses them."""

    def __init__(self, root: Path) -> None:
        self.images = root / "images"
        self.output = root / "output"
        self.images.mkdir()

    def add(self, name: str | bytes, image: Image.Image | None = None) -> Path:
        """Save an image (a photograph by default) under a name, in the format of its ending."""
        path = self.images / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as stream:
            (image or photograph()).save(stream, "JPEG" if path.suffix == ".jpg" else "PNG")
        return path

    def add_bytes(self, name: str, content: bytes) -> Path:
        """Put a file there that is perhaps no image."""
        write_atomically(self.images / name, content)
        return self.images / name

    def plan(self, ks: tuple[int | str, ...] = (2, 8), target: str = "", run_id: str = "test_run") -> Plan:
        """Plan the run, as Airflow's first task does."""
        return plan_run(
            RunRequest(run_id=run_id, images=str(self.images), ks=ks, output=str(self.output), target=target)
        )

    def run(self, ks: tuple[int, ...] = (2, 8), target: str = "", run_id: str = "test_run") -> Plan:
        """Plan the run, and do all jobs of it."""
        plan = self.plan(ks, target, run_id)
        for job in plan.pending():
            compress(job)
        return plan

    def compress(self, job: Job) -> CompressionResult:
        """Do a job."""
        return compress(job)

    def fail(self, job: Job, reason: str) -> None:
        """Leave a failure in place of a result."""
        JobFailure(image=job.image, k=job.k, reason=reason, exit_code=65, retryable=False).write(job.failure)

    def folder(self, run_id: str = "test_run") -> Path:
        """The run's own folder."""
        return run_folder(self.output, run_id)

    def sheets(self) -> list[Path]:
        """The contact sheets of all images."""
        return sorted(self.output.glob("compressed/**/sheet-*.png"))


@pytest.fixture(scope="session")
def picture() -> Callable[..., Image.Image]:
    """Makes a photograph of a given width, height and seed."""
    return photograph


@pytest.fixture(scope="session")
def library_in() -> type[Library]:
    """Makes a library in a folder."""
    return Library


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)
