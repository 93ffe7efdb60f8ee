"""The fields of the records. How they are read is tested in ``tests/colorquant/storage/test_json_record.py``."""

import dataclasses

from colorquant.jobs.records import CompressionResult

# The names are a contract with whoever reads the records.
RESULT_FIELDS = """
    schema_version image image_sha256 width height unique_colors k colors_used seed settings iterations converged
    inertia mse psnr_db ssim lossless original_bytes compressed_bytes compression_ratio bits_per_pixel output
    output_sha256 seconds spark ssimulacra2 search
"""


def test_the_result_has_the_documented_fields() -> None:
    assert [field.name for field in dataclasses.fields(CompressionResult)] == RESULT_FIELDS.split()
