import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorquant import quantize
from colorquant.compress.pipeline import compress_image
from colorquant.decode.image_file import decode_output
from colorquant.encode.webp import encode_lossless_webp
from colorquant.errors import UnsupportedImage
from colorquant.jobs.plan import RunRequest, plan_run
from colorquant.jobs.records import CompressionResult
from colorquant.quantizer.in_process import PixelSource
from colorquant.settings import Settings
from tests.conftest import photograph


@pytest.mark.parametrize("channels", [3, 4])
def test_the_file_is_a_lossless_webp_of_the_picture(channels: int) -> None:
    pixels = photograph()
    if channels == 4:
        pixels = np.dstack([pixels, np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))])
    image = quantize(pixels, 11)
    content, picture = encode_lossless_webp(image.palette, image.indexes), image.palette[image.indexes]
    assert np.array_equal(decode_output(content, alpha=channels == 4), picture)
    with Image.open(io.BytesIO(content)) as decoded:
        assert decoded.format == "WEBP"
        assert np.array_equal(np.asarray(decoded.convert("RGBA" if channels == 4 else "RGB")), picture)


def test_jobs_of_the_format_write_files_of_its_ending_that_are_measured(photographs: Path, tmp_path: Path) -> None:
    jobs = plan_run(
        RunRequest(
            run_id="run",
            images=str(photographs),
            ks=[8],
            output=str(tmp_path / "out"),
            settings=Settings(format="webp"),
        )
    ).jobs
    for job in jobs:
        assert Path(job.output).name == "k008.webp"
        compress_image(job.image, 8, job.output, job.result, job.settings, PixelSource, job.image_sha256)
        assert job.is_done()
        record = CompressionResult.read(job.result)
        picture = np.asarray(Image.open(job.output).convert("RGB"))
        original = np.asarray(Image.open(job.image).convert("RGB"))
        assert record.mse == pytest.approx(((picture.astype(float) - original) ** 2).sum(axis=2).mean())
        assert record.compressed_bytes == Path(job.output).stat().st_size


def test_a_side_that_webp_cannot_hold_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (16_384, 1)).save(tmp_path / "long.png")
    with pytest.raises(UnsupportedImage, match="WebP allows at most 16,383 on a side"):
        compress_image(
            str(tmp_path / "long.png"), 4, str(tmp_path / "o.webp"), None, Settings(format="webp"), PixelSource
        )
