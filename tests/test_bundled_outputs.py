"""The same input, k and settings give the bytes that they gave when the algorithm's version was last raised."""

import json
from pathlib import Path

import pytest

from colorquant.settings import ALGORITHM_VERSION, options
from tests.bundled_outputs import IMAGES, LIST, VARIANTS, outputs_of

LISTED = json.loads(LIST.read_text())


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_the_bundled_images_give_the_listed_bytes(image: Path, tmp_path: Path) -> None:
    expected = {name: sha256 for name, sha256 in LISTED["outputs"].items() if name.split(" k=")[0] == image.name}
    assert outputs_of(image, tmp_path) == expected


def test_the_list_is_of_this_version_and_of_every_setting() -> None:
    assert LISTED["algorithm_version"] == ALGORITHM_VERSION, (
        "PYTHONPATH=spark_apps python -m tests.bundled_outputs writes it"
    )
    # What is compared decides no byte, at its greatest effort the encoder takes minutes for these images, and what
    # counts in a palette of several images has no effect on one.
    left_out = {"compare", "effort", "palette_counts"}
    assert {name for variant in VARIANTS for name in variant} == options().keys() - left_out
