"""Allowed folders, and files that are opened so that no link leads out of their folder."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from colorquant.errors import InvalidLocation, NotAllowed
from colorquant.storage import allow, open_stream, read, remove, sha256_of, write_atomically
from colorquant.storage.roots import ALLOWED_ROOTS, open_below, require_allowed


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder with a file; next to it lie a secret and a folder whose name begins with its name."""
    for name in ("library/sub/a.png", "library2/b.png", "secret"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path / "library"


def _opened(folder: Path, path: str | Path) -> str:
    with open_below(str(path), str(folder)) as stream:
        return stream.read().decode()


def test_a_file_below_a_folder_is_opened_also_by_a_link_that_stays_in_it(library: Path, tmp_path: Path) -> None:
    (library / "link.png").symlink_to("sub/a.png")
    (library / "folder").symlink_to("sub")
    (tmp_path / "mounted").symlink_to(library)
    for path in ("sub/a.png", "link.png", "folder/a.png", "sub/../sub/a.png"):
        assert _opened(library, library / path) == "library/sub/a.png"
        assert _opened(tmp_path / "mounted", tmp_path / "mounted" / path) == "library/sub/a.png"


def test_nothing_else_is_opened(library: Path) -> None:
    (library / "out.png").symlink_to("../secret")
    (library / "neighbor").symlink_to("../library2")
    os.mkfifo(library / "pipe.png")
    (library / "circle").symlink_to("circle")
    for path, number in {
        "../secret": errno.EXDEV,
        "out.png": errno.EXDEV,
        "neighbor/b.png": errno.EXDEV,
        "": errno.EXDEV,
        "/etc/passwd": errno.EXDEV,
        "pipe.png": errno.EINVAL,
        "sub": errno.EISDIR,
        "circle": errno.ELOOP,
        "nothing": errno.ENOENT,
        "sub/a.png/b": errno.ENOTDIR,
    }.items():
        with pytest.raises(OSError) as caught:
            _opened(library, library / path)
        assert caught.value.errno == number, path


@pytest.mark.parametrize("swapped", ["sub", "sub/a.png"])
def test_what_is_swapped_for_a_link_while_it_is_opened_is_not_followed(
    library: Path, tmp_path: Path, swapped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_text("secret")
    real = os.open

    def swap_first(*arguments: Any, **options: Any) -> int:
        if not (library / swapped).is_symlink():
            (library / swapped).rename(library / "old")
            (library / swapped).symlink_to(tmp_path / "a.png" if swapped.endswith("png") else tmp_path)
        return real(*arguments, **options)

    monkeypatch.setattr(os, "open", swap_first)
    with pytest.raises(OSError) as caught:
        _opened(library, library / "sub" / "a.png")
    assert caught.value.errno in (errno.ELOOP, errno.ENOTDIR)


def test_a_file_must_lie_in_all_of_several_folders(library: Path, tmp_path: Path) -> None:
    path = str(library / "sub" / "a.png")
    assert open_below(path, str(tmp_path), str(library)).read() == b"library/sub/a.png"
    with pytest.raises(OSError, match="it leads out of '.*library2'"):
        open_below(path, str(library), str(tmp_path / "library2"))


def test_only_allowed_folders_are_read_and_written(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (library / "out.png").symlink_to("../secret")
    (library / "elsewhere").symlink_to("../library2")
    monkeypatch.setenv(ALLOWED_ROOTS, f" {library} ,s3://bucket/in")
    assert read(library / "sub" / "a.png") == b"library/sub/a.png"
    assert sha256_of(library / "sub" / "a.png")
    write_atomically(library / "new", b"")
    remove(library / "new")
    remove(library / "out.png")
    for path in (tmp_path / "secret", library / "elsewhere" / "b.png", library / ".." / "secret"):
        for use in (read, sha256_of, open_stream, allow, remove, lambda path: write_atomically(path, b"")):
            with pytest.raises(NotAllowed, match=f"in none of the folders that may be used here: {library}"):
                use(path)  # type: ignore[operator]
    assert (tmp_path / "secret").read_text() == "secret"
    for uri in ("s3://bucket/in/a.png", "s3://bucket/in"):
        allow(uri)
    for uri in ("s3://bucket/in2/a.png", "s3://bucket", "s3://other/in/a.png", "s3://bucket/in/../a.png"):
        with pytest.raises(NotAllowed):
            allow(uri)


def test_the_names_of_allowed_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a, b").mkdir()
    monkeypatch.setenv(ALLOWED_ROOTS, (tmp_path / "a, b").as_uri())
    allow(tmp_path / "a, b" / "c.png")
    with pytest.raises(NotAllowed):
        allow(tmp_path / "a")
    monkeypatch.setenv(ALLOWED_ROOTS, "/,s3://")
    allow("/etc/passwd")
    allow("s3://any/thing")
    with pytest.raises(NotAllowed):
        require_allowed("gs://any/thing")
    monkeypatch.setenv(ALLOWED_ROOTS, "gs://bucket/in/")
    require_allowed("gs://bucket/in/a.png")
    for uri in ("gs://bucket/in2", "gs://bucket/in/../a", "s3://bucket/in/a.png", "az://bucket/in", "/bucket/in"):
        with pytest.raises(NotAllowed):
            require_allowed(uri)
    monkeypatch.setenv(ALLOWED_ROOTS, "ftp://bucket")
    with pytest.raises(InvalidLocation, match="names 'ftp://bucket': give folders and URIs"):
        allow(tmp_path)
    for unset in ("", " , "):
        monkeypatch.setenv(ALLOWED_ROOTS, unset)
        allow("/etc/passwd")
