"""Where a run reads and writes: its image folder, its output folder, its published folder. Standard library only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from colorquant.errors import InvalidFolder, InvalidLocation
from colorquant.storage import is_refusal, is_remote, is_within, list_images, location


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
            For a URI that cannot be opened, an image folder that is not a folder or that the run would write to, and
            an output folder that is not a folder. The message names the parameter's value.
        """
        published = _location("publish", publish) if publish else None
        folders = cls(_location("images", images), _location("output", output), published)
        if not _is_folder(folders.images, images):
            raise InvalidFolder(f"The image folder {images!r} is not a folder; give the path of one.")
        if not is_remote(folders.output) and folders.output.exists() and not folders.output.is_dir():
            raise InvalidFolder(f"The output folder {output!r} is not a folder; give the path of one, or a new path.")
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

    def image_names(self, pattern: str) -> tuple[list[str], list[str]]:
        """Names of the images that match a pattern, and of the files that are ignored, as ``storage.list_images``.

        The output folder and the published folder may lie in the image folder: files written by earlier runs are
        not listed.
        """
        return list_images(self.images, pattern, without=self.written())


def _location(parameter: str, given: str) -> Path:
    try:
        return location(given)
    except InvalidLocation as error:
        raise InvalidFolder(f"{parameter}: {error}") from None


def _is_folder(folder: Path, given: str) -> bool:
    try:
        return folder.is_dir()
    except Exception as error:
        if not is_refusal(error):
            raise
        raise InvalidFolder(f"The image folder {given!r} cannot be read: {error}. Check the credentials.") from None


def versions_of(folder: Path) -> Path:
    """The folder next to a published folder that contains its versions. A bucket has none."""
    return folder.parent / f"{folder.name}.versions"
