"""Which images a folder holds, by the names of its files. Standard library only."""

import os
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from colorquant.storage.paths import StrPath, is_nameable, is_remote, location, sizes_below

#: Which files of a folder are images. What they really hold is found out by decoding them.
IMAGE_SUFFIXES = frozenset(
    ".avif .bmp .dib .gif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp".split()
)

#: What an image may hold, by Pillow's names: naming them keeps Pillow from its heavier plugins (Ghostscript for EPS).
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")


def list_images(folder: StrPath, pattern: str = "*", without: Collection[StrPath] = ()) -> tuple[list[str], list[str]]:
    """Relative paths of the images below a folder, and of the files that are ignored; both sorted.

    An image is a file whose name ends as an image's does, in any case of letters. Hidden files and folders are passed
    over; so are what does not match the pattern, a symbolic link that leads out of the folder, and a name that is not
    UTF-8, which neither Airflow's database nor Spark's JVM can hold.

    Parameters
    ----------
    pattern : as `fnmatch` has it, for the relative path: ``*`` also matches slashes.
    without : folders to pass over, with all that is in them.
    """
    images: list[str] = []
    ignored: list[str] = []
    listed = _names_in_bucket(folder, without) if is_remote(folder) else _names_on_disk(location(folder), without)
    for name, inside in listed:
        if fnmatchcase(name, pattern):
            is_image = PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES and inside and _is_utf8(name)
            (images if is_image else ignored).append(name)
    return sorted(images), sorted(ignored)


def is_within(path: StrPath, folder: StrPath) -> bool:
    """Whether a path is a folder, or lies below it: on a disk where links lead to, in a bucket by its name."""
    if is_remote(path) or is_remote(folder):
        return _as_prefix(path).startswith(_as_prefix(folder))
    return _real(location(path)).is_relative_to(_real(location(folder)))


def _as_prefix(folder: StrPath) -> str:
    return f"{str(folder).rstrip('/')}/"


def _is_utf8(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _names_on_disk(folder: Path, without: Collection[StrPath]) -> Iterator[tuple[str, bool]]:
    """Each file's name, and whether it is truly in the folder."""
    root = _real(folder)
    passed_over = {_real(location(other)) for other in without if not is_remote(other)}
    if any(root.is_relative_to(other) for other in passed_over):
        return
    for parent, folders, files in os.walk(folder):
        folders[:] = [
            name for name in folders if not name.startswith(".") and _real(Path(parent, name)) not in passed_over
        ]
        for name in files:
            if not name.startswith("."):
                path = Path(parent, name)
                yield path.relative_to(folder).as_posix(), _real(path).is_relative_to(root)


def _real(path: Path) -> Path:
    """Where a path leads. Of links that lead to each other, which ``Path.resolve`` dies of, the path itself."""
    return Path(os.path.realpath(path))


def _names_in_bucket(folder: StrPath, without: Collection[StrPath]) -> Iterator[tuple[str, bool]]:
    root, passed_over = _as_prefix(folder), tuple(map(_as_prefix, without))
    for name in sizes_below(folder):
        if not f"{root}{name}".startswith(passed_over) and not any(part.startswith(".") for part in name.split("/")):
            yield name, is_nameable(name)
