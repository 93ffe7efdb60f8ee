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
        """The folders that a run's parameters of these names give. Nothing is written.

        Raises
        ------
        InvalidFolder
            For a URI that cannot be opened, an image folder that is none or lies where the outputs go, and an output
            folder that is something else.
        """
        published = _location("publish", publish) if publish else None
        places = cls(_location("images", images), _location("output", output), published)
        if not _is_folder(places.images, images):
            raise InvalidFolder(f"The image folder {images!r} is no folder; give the path of one.")
        if not is_remote(places.output) and places.output.exists() and not places.output.is_dir():
            raise InvalidFolder(f"The output folder {output!r} is no folder; give the path of one, or a new one.")
        for folder in places.written():
            if is_within(places.images, folder):
                raise InvalidFolder(f"The image folder {images!r} lies where this run writes, {folder}: name another.")
        return places

    def written(self) -> list[Path]:
        """The folders that runs fill with images of their own."""
        folders = [self.output / "compressed", self.output / "runs"]
        return [*folders, self.published, versions_of(self.published)] if self.published else folders

    def image_names(self, pattern: str) -> tuple[list[str], list[str]]:
        """Names of the images that match a pattern, and of the files that are ignored (``listing.list_images``).

        The output folder and the published one may lie in the image folder: what earlier runs left there is no image
        to compress.
        """
        return list_images(self.images, pattern, without=self.written())


def _location(parameter: str, given: str) -> Path:
    try:
        return location(given)
    except InvalidLocation as error:
        raise InvalidFolder(f"{parameter}: {error}") from None


def _is_folder(place: Path, given: str) -> bool:
    try:
        return place.is_dir()
    except Exception as error:
        if not is_refusal(error):
            raise
        raise InvalidFolder(f"The image folder {given!r} cannot be read: {error}. Check the credentials.") from None


def versions_of(folder: Path) -> Path:
    """The folder beside a published folder in which its versions lie (not in a bucket)."""
    return folder.parent / f"{folder.name}.versions"
