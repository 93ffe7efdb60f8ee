"""Which files of a folder are images, and which are passed over or named."""

from pathlib import Path

import pytest

from colorquant.storage import put
from colorquant.storage.listing import IMAGE_SUFFIXES, list_images


def _library(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"?")
    return folder


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_every_suffix_counts_in_either_case(suffix: str, tmp_path: Path) -> None:
    _library(tmp_path, f"a{suffix}", f"b{suffix.upper()}")
    assert list_images(tmp_path).images == [f"a{suffix}", f"b{suffix.upper()}"]


def test_photographs_in_other_formats_are_named_with_what_to_do(tmp_path: Path) -> None:
    _library(tmp_path, "a.jpg", "2026/b.HEIC", "c.jxl", "d.dng", "e.CR3", "notes.txt")
    found = list_images(tmp_path)
    assert (found.images, found.ignored) == (["a.jpg"], ["notes.txt"])
    assert list(found.unreadable) == ["2026/b.HEIC", "c.jxl", "d.dng", "e.CR3"]
    assert found.unreadable["2026/b.HEIC"].startswith("HEIC is a format that is not read; save it as JPEG or PNG")
    assert list(list_images(tmp_path, "*.jpg").unreadable) == []


@pytest.mark.parametrize(
    "name", ["@eaDir", "#recycle", ".@__thumb", "@Recycle", "lost+found", "$RECYCLE.BIN", "__MACOSX"]
)
def test_folders_of_systems_are_passed_over_at_any_depth(name: str, tmp_path: Path) -> None:
    _library(tmp_path, "a.jpg", f"{name}/b.jpg", f"2026/{name}/deeper/c.jpg", f"{name}.jpg")
    (tmp_path / "sub" / "lost+found").mkdir(parents=True, mode=0)
    found = list_images(tmp_path)
    visible = [] if name.startswith(".") else [f"{name}.jpg"]
    assert found.images == sorted(["a.jpg", *visible])
    assert (found.ignored, found.unreadable) == ([], {})


@pytest.mark.parametrize(
    ("exclude", "images", "unread"),
    [
        ("", ["a.jpg", "b;c.png", "raw/d.jpg"], ["raw/e.dng"]),
        ("*.dng", ["a.jpg", "b;c.png", "raw/d.jpg"], []),
        ("raw/*", ["a.jpg", "b;c.png"], []),
        (" *.dng ; a.* ;", ["b;c.png", "raw/d.jpg"], []),
        ("A.JPG", ["a.jpg", "b;c.png", "raw/d.jpg"], ["raw/e.dng"]),
    ],
)
def test_what_matches_an_excluding_pattern_is_left_out(
    exclude: str, images: list[str], unread: list[str], tmp_path: Path
) -> None:
    found = list_images(_library(tmp_path, "a.jpg", "b;c.png", "raw/d.jpg", "raw/e.dng"), exclude=exclude)
    assert (found.images, list(found.unreadable)) == (images, unread)


def test_a_folder_that_cannot_be_read_can_be_excluded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    _library(tmp_path, "a.jpg", "away/b.jpg")
    scandir = os.scandir

    def scan(folder: Path) -> object:
        if Path(folder).name == "away":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr("os.scandir", scan)
    assert list(list_images(tmp_path).unreadable) == ["away"]
    for exclude in ("away", "away/*"):
        assert list_images(tmp_path, exclude=exclude).unreadable == {}


def test_a_folder_with_the_mark_of_outputs_is_skipped_in_a_bucket_too(s3: dict[str, str]) -> None:
    mark = "smaller/compressed/.colorquant-outputs"
    for name in ("a.png", mark, "smaller/compressed/a.png/0/k004.png", "smaller/b.png"):
        put(f"s3://results/marked/{name}", b"")
    assert list_images("s3://results/marked").images == ["a.png", "smaller/b.png"]
