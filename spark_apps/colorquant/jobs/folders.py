"""Where a run reads and writes: its image folder, its output folder, its published folder. Standard library only."""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from colorquant.errors import InvalidFolder, InvalidLocation
from colorquant.storage import (
    OUTPUTS_MARK,
    Listing,
    StrPath,
    allow,
    is_file,
    is_folder,
    is_refusal,
    is_remote,
    is_within,
    list_images,
    location,
    probe,
    status_of,
    write_atomically,
)


@dataclass(frozen=True)
class RunFolders:
    """The folders of a run. ``published`` and ``weights`` are None where there is none."""

    images: Path
    output: Path
    published: Path | None = None
    weights: Path | None = None

    @classmethod
    def of(cls, images: str, output: str, publish: str | None = None, weights: str | None = None) -> Self:
        """The folders that a run's parameters name: paths, or URIs. Nothing is left in them.

        Raises
        ------
        InvalidFolder
            For a URI that cannot be opened, a folder that this process may not use, a folder of images or weights that
            is not a folder, one of weights that contains the images, an image folder that the run would write to, an
            output folder that is not a folder or cannot be written, and a published folder that contains outputs or
            lies among them. The message names the value of each parameter that is wrong.
        """
        problems: list[str] = []
        found: dict[str, Path] = {}
        for parameter, given, check in (
            ("images", images, partial(_require_folder, "image folder")),
            ("output", output, _require_output),
            ("publish", publish, None),
            ("weights", weights, partial(_require_folder, "folder of weights")),
        ):
            try:
                if given:
                    found[parameter] = _location(parameter, given)
                    if check:
                        check(found[parameter], given)
            except InvalidFolder as error:
                problems.append(str(error))
        if problems:
            raise InvalidFolder(" ".join(problems))
        published = found.get("publish")
        folders = cls(found["images"], found["output"], published, found.get("weights"))
        if folders.weights and is_within(folders.images, folders.weights):
            raise InvalidFolder(f"The folder of weights {weights!r} contains the images: name another one.")
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

        The output folder, the published folder and that of weights may lie in the image folder: their files are not
        listed. Raises InvalidFolder where the image folder cannot be read.
        """
        with _usable(f"The image folder {str(self.images)!r}", "read"):
            return list_images(self.images, pattern, [*self.written(), *filter(None, [self.weights])], exclude)


def _location(parameter: str, given: str) -> Path:
    if "\0" in given:
        raise InvalidFolder(f"{parameter}: {given!r} is not a path: no name contains a NUL.")
    if not given.strip():
        raise InvalidFolder(f"{parameter}: {given!r} is not a folder: give a path or a URI such as s3://bucket/folder.")
    try:
        allow(given)
        return location(given)
    except InvalidLocation as error:
        raise InvalidFolder(f"{parameter}: {error}") from None


def _require_folder(what: str, folder: Path, given: str) -> None:
    with _usable(f"The {what} {given!r}", "read"):
        if not _is_folder(folder):
            raise InvalidFolder(f"The {what} {given!r} is not a folder; give the path of one.")
        if not is_remote(folder):
            os.scandir(folder).close()


def _require_output(folder: Path, given: str) -> None:
    """Make a folder where the output folder is, or will be, and remove it: hours of work would be lost later."""
    what = f"The output folder {given!r}"
    if is_remote(folder):
        try:
            with _usable(what, "written"):
                probe(folder)
        except FileNotFoundError as error:  # The bucket.
            raise InvalidFolder(f"{what} cannot be written: {error}.") from None
        return
    with _usable(what, "read"):
        if status_of(folder) is not None and not _is_folder(folder):
            raise InvalidFolder(f"{what} is not a folder; give the path of one, or a new path.")
    # Those in it may be another user's.
    for needed in (folder, folder / "compressed", folder / "runs"):
        existing = next(each for each in (needed, *needed.parents) if os.path.lexists(each))
        try:
            for name in needed.relative_to(existing).parts:
                if len(os.fsencode(name)) > os.pathconf(existing, "PC_NAME_MAX"):
                    raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
            os.rmdir(tempfile.mkdtemp(prefix=".tmp-", dir=existing))
        except OSError as error:
            if not is_refusal(error) and error.errno != errno.ENOENT:  # No folder can be made in /proc.
                raise
            raise InvalidFolder(f"{what} cannot be written: {error.strerror} ({existing}). Name another one.") from None


def _is_folder(folder: Path) -> bool:
    if is_remote(folder):
        return is_folder(folder)
    status = status_of(folder)
    return status is not None and stat.S_ISDIR(status.st_mode)


@contextmanager
def _usable(folder: str, how: str) -> Iterator[None]:
    """Say which folder cannot be used ("read", "written"), where a retry is useless."""
    try:
        yield
    except Exception as error:
        if not is_refusal(error):
            raise
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise InvalidFolder(
            f"{folder} cannot be {how}: {reason}. Check its path, its rights and the credentials."
        ) from None


def versions_of(folder: Path) -> Path:
    """The folder next to a published folder that contains its versions. A bucket has none."""
    return folder.parent / f"{folder.name}.versions"


def mark_outputs(output_folder: StrPath) -> None:
    """Mark the folders to which runs write images, so that a run with another output folder takes none for its own.

    The output folder may lie in the image folder of both. Raises OSError.
    """
    for name in ("compressed", "runs"):
        mark = f"{str(output_folder).rstrip('/')}/{name}/{OUTPUTS_MARK}"
        if not is_file(mark):
            write_atomically(mark, b"")
