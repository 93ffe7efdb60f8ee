"""The images of a folder, by the names of its files. Standard library only."""

import os
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from colorquant.storage.paths import StrPath, is_nameable, is_remote, location, sizes_below

#: Suffixes of the names of image files. Their content is known only when they are decoded.
IMAGE_SUFFIXES = frozenset(
    ".avif .bmp .dib .gif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp".split()
)

#: The formats that are decoded, by Pillow's names. Other plugins of Pillow are never run (EPS starts Ghostscript).
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")


def list_images(folder: StrPath, pattern: str = "*", without: Collection[StrPath] = ()) -> tuple[list[str], list[str]]:
    """The images below a folder, and the files that are ignored.

    An image is a file whose name has one of ``IMAGE_SUFFIXES``, in upper or lower case. Ignored are all other files,
    symbolic links that lead out of the folder, and names that are not UTF-8, which databases and JVMs cannot store.
    Hidden files and folders, and files that do not match the pattern, are skipped.

    Parameters
    ----------
    folder : str or path-like
        Path or URI.
    pattern : str
        For the relative path, as ``fnmatch`` matches it: ``*`` also matches slashes.
    without : collection of str or path-like
        Folders that are skipped with all their contents.

    Returns
    -------
    images, ignored : list of str
        Paths relative to the folder, with forward slashes, sorted.
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
    """Whether a path is a folder or lies below it: on a disk after following links, in a bucket by its name."""
    if is_remote(path) or is_remote(folder):
        return _as_prefix(path).startswith(_as_prefix(folder))
    return _real(location(path)).is_relative_to(_real(location(folder)))


def _as_prefix(folder: StrPath) -> str:
    return f"{str(folder).rstrip('/')}/"


def _is_utf8(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _names_on_disk(folder: Path, without: Collection[StrPath]) -> Iterator[tuple[str, bool]]:
    """Each file's relative path, and whether the file is below the folder after following links."""
    root = _real(folder)
    skipped = {_real(location(other)) for other in without if not is_remote(other)}
    if any(root.is_relative_to(other) for other in skipped):
        return
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and _real(Path(parent, name)) not in skipped]
        for name in files:
            if not name.startswith("."):
                path = Path(parent, name)
                yield path.relative_to(folder).as_posix(), _real(path).is_relative_to(root)


def _real(path: Path) -> Path:
    """The path after following links. Unlike ``Path.resolve``, it raises nothing for links in a circle."""
    return Path(os.path.realpath(path))


def _names_in_bucket(folder: StrPath, without: Collection[StrPath]) -> Iterator[tuple[str, bool]]:
    root, skipped = _as_prefix(folder), tuple(map(_as_prefix, without))
    for name in sizes_below(folder):
        if not f"{root}{name}".startswith(skipped) and not any(part.startswith(".") for part in name.split("/")):
            yield name, is_nameable(name)
