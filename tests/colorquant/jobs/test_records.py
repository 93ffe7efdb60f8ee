"""The fields of the records. How they are read is tested in ``tests/colorquant/storage/test_json_record.py``."""

import dataclasses
import json
from pathlib import Path

import pytest

from colorquant.jobs import CompressionResult, JobFailure

FAILURE = JobFailure(image="cat.png", k=4, reason="no image", exit_code=65, retryable=False)

# The names are a contract with whoever reads the records.
RESULT_FIELDS = """
    schema_version image image_sha256 width height unique_colors k colors_used seed settings iterations converged
    inertia mse psnr_db ssim lossless original_bytes compressed_bytes compression_ratio bits_per_pixel output
    output_sha256 seconds spark ssimulacra2 search comparison palette_name shared_mse own_mse weights_sha256
    weights_notice
"""


def test_the_result_has_the_documented_fields() -> None:
    assert [field.name for field in dataclasses.fields(CompressionResult)] == RESULT_FIELDS.split()


@pytest.mark.parametrize(("exit_code", "retryable"), [(1, True), (137, True), (2, False), (65, False)])
def test_the_exit_code_says_whether_a_retry_may_help(exit_code: int, retryable: bool) -> None:
    failure = JobFailure.of(exit_code, "why")
    assert (failure.retryable, failure.image, failure.k) == (retryable, None, None)


def test_a_failure_that_cannot_be_written_goes_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    FAILURE.leave(tmp_path / "file" / "failure.json")
    assert capsys.readouterr().err.startswith(f"no image (this could not be written to {tmp_path}/file/failure.json: ")


def test_a_failure_of_a_whole_library_names_no_image_and_no_k(tmp_path: Path) -> None:
    JobFailure.of(1, "why").leave(tmp_path / "failure.json")
    written = json.loads((tmp_path / "failure.json").read_text())
    assert (written["image"], written["k"]) == (None, None)
