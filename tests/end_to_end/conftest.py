"""An Airflow home and a library that the tests of a module share, as the runs of one checkout do.

What a test leaves must not trouble the next.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import photograph
from tests.end_to_end.checkout import processes_of


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home") / "airflow"
    yield folder
    for process in processes_of(folder):
        process.kill()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images, one with a name that a template engine would evaluate (its é is two characters), below a path with a
    space."""
    folder = tmp_path_factory.mktemp("a library")
    (folder / "sub folder").mkdir()
    Image.fromarray(photograph(60, 80, seed=1)).save(folder / "{{ ds }} cafe\u0301.png")
    Image.fromarray(photograph(50, 40, seed=2)).save(folder / "sub folder" / "it's.jpg", quality=90)
    return folder
