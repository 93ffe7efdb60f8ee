"""Pictures that say how much the pixels of images count: which file belongs to which image. Standard library only."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from colorquant.storage import FileVersion, PathText, versions_below

_SUFFIX = ".png"


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """The grey picture of an image's weights: its path or URI, and its hex SHA-256 where it was planned."""

    path: PathText
    sha256: str | None = None


def weights_below(folder: str, images: Iterable[str]) -> dict[str, tuple[str, FileVersion]]:
    """The names of the pictures of weights below a folder, and their versions, by the names of their images.

    A picture has the relative path of its image, with the same suffix or with ``.png``.
    """
    version_of: Callable[[str], FileVersion | None] = versions_below(folder)
    found = {}
    for image in images:
        for name in dict.fromkeys((image, str(PurePosixPath(image).with_suffix(_SUFFIX)))):
            if version := version_of(name):
                found[image] = (name, version)
                break
    return found


def no_weights(folder: str) -> str:
    """Why all pixels of an image count the same that has no picture of weights that can be read."""
    return f"All pixels count the same: there is no picture of this name in {folder!r} that can be read."
