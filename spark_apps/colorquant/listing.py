"""Which images a folder holds, by the names of its files. Standard library only."""

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from colorquant.storage import StrPath, is_nameable, is_remote, location, sizes_below

#: Which files of a folder are images. What they really hold is found out by decoding them.
IMAGE_SUFFIXES = frozenset(
    ".avif .bmp .dib .gif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp".split()
)


def list_images(folder: StrPath, pattern: str = "*") -> tuple[list[str], list[str]]:
    """Relative paths of the images below a folder, and of the files that are ignored; both sorted.

    An image is a file whose name ends as an image's does, in any case of letters. Hidden files and folders are passed
    over; so are what does not match the pattern, a symbolic link that leads out of the folder, and a name that is not
    UTF-8, which neither Airflow's database nor Spark's JVM can hold.

    Parameters
    ----------
    pattern : as `fnmatch` has it, for the relative path: ``*`` also matches slashes.
    """
    images: list[str] = []
    ignored: list[str] = []
    for name, inside in _names_in_bucket(folder) if is_remote(folder) else _names_on_disk(location(folder)):
        if fnmatchcase(name, pattern):
            is_image = PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES and inside and _is_utf8(name)
            (images if is_image else ignored).append(name)
    return sorted(images), sorted(ignored)


def _is_utf8(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _names_on_disk(folder: Path) -> Iterator[tuple[str, bool]]:
    """Each file's name, and whether it is truly in the folder."""
    root = _real(folder)
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                path = Path(parent, name)
                yield path.relative_to(folder).as_posix(), _real(path).is_relative_to(root)


def _real(path: Path) -> Path:
    """Where a path leads. Of links that lead to each other, which ``Path.resolve`` dies of, the path itself."""
    return Path(os.path.realpath(path))


def _names_in_bucket(folder: StrPath) -> Iterator[tuple[str, bool]]:
    for name in sizes_below(folder):
        if not any(part.startswith(".") for part in name.split("/")):
            yield name, is_nameable(name)
