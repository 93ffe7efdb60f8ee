"""Where a run reads and writes: its image folder, its output folder, its published folder. Standard library only."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from colorquant.errors import InvalidFolder, InvalidLocation
from colorquant.storage import Listing, allow, is_refusal, is_remote, is_within, list_images, location, status_of


@dataclass(frozen=True)
class RunFolders:
    """The folders of a run. ``published`` is None where nothing is to be published."""

    images: Path
    output: Path
    published: Path | None = None

    @classmethod
    def of(cls, images: str, output: str, publish: str | None = None) -> Self:
        """The folders that a run's parameters name: paths, or URIs. Nothing is written.

        Raises
        ------
        InvalidFolder
            For a URI that cannot be opened, a folder that this process may not use, an image folder that is not a
            folder or that the run would write to, an output folder that is not a folder, and a published folder that
            contains outputs or lies among them. The message names the parameter's value.
        """
        published = _location("publish", publish) if publish else None
        folders = cls(_location("images", images), _location("output", output), published)
        with _readable(f"The image folder {images!r}"):
            if not _is_folder(folders.images):
                raise InvalidFolder(f"The image folder {images!r} is not a folder; give the path of one.")
        with _readable(f"The output folder {output!r}"):
            output_fits = is_remote(folders.output) or status_of(folders.output) is None or _is_folder(folders.output)
        if not output_fits:
            raise InvalidFolder(f"The output folder {output!r} is not a folder; give the path of one, or a new path.")
        if published and is_within(folders.output, published):
            raise InvalidFolder(f"The published folder {publish!r} contains the output folder: name another one.")
        if published and any(
            is_within(published, written) for written in cls(folders.images, folders.output).written()
        ):
            raise InvalidFolder(f"The published folder {publish!r} is one of the run's outputs: name another one.")
        for written in folders.written():
            if is_within(folders.images, written):
                raise InvalidFolder(
                    f"The run would write to {written}, which contains the image folder {images!r}: name another one."
                )
        return folders

    def written(self) -> list[Path]:
        """The folders to which runs write images."""
        folders = [self.output / "compressed", self.output / "runs"]
        return [*folders, self.published, versions_of(self.published)] if self.published else folders

    def list_images(self, pattern: str, exclude: str = "") -> Listing:
        """The images that match a pattern and are not excluded, as ``storage.list_images``.

        The output folder and the published folder may lie in the image folder: files written by earlier runs are
        not listed. Raises InvalidFolder where the image folder cannot be read.
        """
        with _readable(f"The image folder {str(self.images)!r}"):
            return list_images(self.images, pattern, self.written(), exclude)


def _location(parameter: str, given: str) -> Path:
    try:
        allow(given)
        return location(given)
    except InvalidLocation as error:
        raise InvalidFolder(f"{parameter}: {error}") from None


def _is_folder(folder: Path) -> bool:
    if is_remote(folder):
        return folder.is_dir()
    status = status_of(folder)
    return status is not None and stat.S_ISDIR(status.st_mode)


@contextmanager
def _readable(folder: str) -> Iterator[None]:
    """Say which folder cannot be read, where a retry is useless."""
    try:
        yield
    except Exception as error:
        if not is_refusal(error):
            raise
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise InvalidFolder(
            f"{folder} cannot be read: {reason}. Check its path, its rights and the credentials."
        ) from None


def versions_of(folder: Path) -> Path:
    """The folder next to a published folder that contains its versions. A bucket has none."""
    return folder.parent / f"{folder.name}.versions"
