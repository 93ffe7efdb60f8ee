"""Fixtures that tests of several modules share: small images, and the environment of Spark and Airflow."""

import os
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from PIL import Image

from tests.browser import browser, page
from tests.more_stores import store
from tests.object_store import endpoint, s3

__all__ = ["browser", "endpoint", "page", "s3", "store"]  # Fixtures for every test.

# Tests use folders of their own. In processes that they start, each says what is allowed.
os.environ["COMPRESSION_ALLOWED_ROOTS"] = "/,s3://,gs://,az://"
os.environ["COMPRESSION_ALLOWED_CONNECTIONS"] = "*"
# Plans are refused where no job could be submitted: an activated environment has spark-submit on its PATH.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ["AIRFLOW_CONN_SPARK_DEFAULT"] = '{"conn_type": "spark", "host": "local[1]"}'

# A test must not fail because the machine is busy.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

PROJECT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the modules that take minutes first, so that of two processes none is left with one of them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


@pytest.fixture(scope="session")
def project() -> Path:
    """The checkout."""
    return PROJECT


@pytest.fixture(scope="session")
def bare_environment() -> dict[str, str]:
    """The environment without what names Python modules, Airflow or Spark; the virtual environment first in PATH."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "COMPRESSION_", "KMEANS_", "PYTHON", "SPARK_", "MAKE", "MFLAGS"))
    }
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def photograph(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """Something like a photograph: smooth areas, an edge and noise; uint8 (height, width, 3)."""
    rows, columns = np.mgrid[0:height, 0:width]
    smooth = np.stack([rows * 255 / height, columns * 255 / width, (rows + columns) % 128 + 64], axis=2)
    smooth[:, width // 2 :] = 255 - smooth[:, width // 2 :]
    noise = np.random.default_rng(seed).normal(0, 6, smooth.shape)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder with two small images, one of them in a sub-folder."""
    folder = tmp_path / "images"
    (folder / "sub folder").mkdir(parents=True)
    Image.fromarray(photograph(seed=1)).save(folder / "one.png")
    Image.fromarray(photograph(40, 30, seed=2)).save(folder / "sub folder" / "two.jpg", quality=90)
    return folder
