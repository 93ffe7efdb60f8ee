"""Compiled kernels have a folder wherever this runs, and nobody else can put code there."""

import os
import tempfile
from pathlib import Path

import pytest

from colorquant import kernel_cache


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without a home, and an installation that only others may write to; returns the temporary folder."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.setattr(kernel_cache, "_is_writable", lambda folder: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_where_numba_has_a_folder_of_its_own_nothing_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new" / "cache"))
    kernel_cache.ensure_kernel_cache()
    assert not os.environ["NUMBA_CACHE_DIR"]


def test_a_folder_that_somebody_named_stays(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/named")
    kernel_cache.ensure_kernel_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == "/named" and not list(nowhere.iterdir())


def test_otherwise_it_is_a_private_folder_that_later_processes_find(nowhere: Path) -> None:
    kernel_cache.ensure_kernel_cache()
    folder = os.environ.pop("NUMBA_CACHE_DIR")
    assert Path(folder).parent == nowhere and Path(folder).stat().st_mode & 0o777 == 0o700
    kernel_cache.ensure_kernel_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == folder


@pytest.mark.parametrize("planted", ["open to all", "a link", "a file"])
def test_a_folder_that_others_may_write_to_is_not_used(planted: str, nowhere: Path) -> None:
    expected, elsewhere = nowhere / f"colorquant-kernels-{os.getuid()}", nowhere / "elsewhere"
    elsewhere.mkdir()
    if planted == "open to all":
        expected.mkdir()
        expected.chmod(0o777)
    elif planted == "a link":
        expected.symlink_to(elsewhere)
    else:
        expected.write_text("")
    kernel_cache.ensure_kernel_cache()
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    assert folder not in (expected, elsewhere) and folder.stat().st_mode & 0o777 == 0o700
    assert not list(elsewhere.iterdir())
