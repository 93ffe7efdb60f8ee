"""The images of a command line, and an output for each: files and folders, or ``-``. Standard library only."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from colorquant.errors import InvalidInputs
from colorquant.jobs import WeightsFile, weights_below
from colorquant.settings import FOLDER, Settings
from colorquant.storage import Listing, is_within, list_images, output_names, status_of

#: The output folder where none is given.
DEFAULT_OUTPUT = "compressed"
#: In place of an image or the output folder: standard input or output.
STANDARD_STREAM = "-"


@dataclass(frozen=True)
class Task:
    """One image file and its output file; None stands for standard input and standard output.

    ``name`` is the image's path below the folder that was named, ``weights`` the picture that says how much its pixels
    count.
    """

    image: Path | None
    output: Path | None
    name: str = ""
    weights: WeightsFile | None = None

    @property
    def title(self) -> str:
        """The image as messages name it."""
        return "standard input" if self.image is None else str(self.image)

    def folder(self, settings: Settings) -> str:
        """The folder whose images have one palette with this one; empty where it is that of all."""
        return str(self.image.parent) if self.image and settings.shared == FOLDER else ""


@dataclass(frozen=True)
class Tasks:
    """What a command line asks for.

    Attributes
    ----------
    tasks : list of Task
    skipped : list of Path
        Files in the named folders without an image extension, links out of the folder, and links to folders.
    unreadable : dict of Path to str
        Folders that cannot be read, and photographs in formats that are not read, each with the reason.
    """

    tasks: list[Task]
    skipped: list[Path] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)


def tasks_of(named: Sequence[str], folder: str, ending: str = ".png", force: bool = False) -> Tasks:
    """Plan an output file for each image that is named, or lies in a folder that is named.

    Parameters
    ----------
    named : sequence of str
        Paths of image files and folders. Images of a folder keep their path below it; images in the output folder are
        left out. ``-`` alone is standard input, whose output is standard output.
    folder : str
        The output folder, which need not exist; ``-`` for standard output, which takes one image.
    ending : str
        Of the output files' names, with its dot.
    force : bool
        Whether existing output files may be replaced.

    Raises
    ------
    InvalidInputs
        A path does not exist or cannot be read, a folder has no images, two images have the same name, an output file
        exists (unless ``force``), an output would replace one of the images, or ``-`` does not fit with the others.
    """
    if STANDARD_STREAM in named or folder == STANDARD_STREAM:
        return Tasks([_streamed(named, folder)])
    images: dict[str, Path] = {}
    skipped: list[Path] = []
    unreadable: dict[Path, str] = {}
    for path in map(Path, named):
        found, listing = _images_at(path, Path(folder))
        skipped += [path / name for name in listing.ignored]
        unreadable |= {path / name: reason for name, reason in listing.unreadable.items()}
        for name, image in found.items():
            if images.setdefault(name, image).absolute() != image.absolute():
                raise InvalidInputs(
                    f"{images[name]} and {image} would have the same output: name their common folder instead, or give "
                    "each its own --output."
                )
    names = output_names(dict.fromkeys(images, ending))
    outputs = {name: Path(folder) / output for name, output in names.items()}
    # Not Path.resolve, which fails on links that lead to each other: decoding refuses such an image by itself.
    originals = {os.path.realpath(image) for image in images.values()}
    for output in outputs.values():
        if os.path.realpath(output) in originals:
            raise InvalidInputs(f"{output} is itself an image to compress: give another --output.")
        if not force and _status(output) is not None:
            raise InvalidInputs(
                f"{output} exists already: replace it with --force, or give another folder with --output."
            )
    tasks = [Task(image, outputs[name], name) for name, image in images.items()]
    return Tasks(tasks, list(dict.fromkeys(skipped)), unreadable)


def with_weights(found: Tasks, folder: str) -> Tasks:
    """The same with the pictures of weights of a folder.

    Images of this folder, which may lie in a folder of images, are left out.

    Raises
    ------
    InvalidInputs
        It is not a folder, or has all the images.
    """
    if not _is_folder(Path(folder)):
        raise InvalidInputs(f"The folder of weights {folder} is not a folder: give the path of one.")
    tasks = [task for task in found.tasks if task.image and not is_within(task.image.parent, folder)]
    if not tasks:
        raise InvalidInputs(f"The folder of weights {folder} contains the images: give another one.")
    below = weights_below(folder, [task.name for task in tasks])
    paths = {image: os.path.join(folder, name) for image, (name, _) in below.items()}
    with_theirs = [
        replace(task, weights=WeightsFile(path=paths[task.name])) if task.name in paths else task for task in tasks
    ]
    return replace(found, tasks=with_theirs)


def _streamed(named: Sequence[str], folder: str) -> Task:
    """The only image of a command line with ``-``."""
    if STANDARD_STREAM in named:
        if len(named) > 1:
            raise InvalidInputs("- is standard input, which is one image: give no other image with it.")
        if folder not in (STANDARD_STREAM, DEFAULT_OUTPUT):
            raise InvalidInputs("The output of - goes to standard output: redirect it (> small.png), without --output.")
        return Task(None, None)
    path = Path(named[0])
    if len(named) > 1 or _is_folder(path):
        raise InvalidInputs("--output - takes one image file: give one, or a folder with --output.")
    return Task(path, None, path.name)


def _status(path: Path) -> os.stat_result | None:
    try:
        return status_of(path)
    except OSError as error:
        raise InvalidInputs(f"{path} cannot be read: {error.strerror}; check the path and its permissions.") from None


def _is_folder(path: Path) -> bool:
    status = _status(path)
    if status is None:
        raise InvalidInputs(f"{path} does not exist: give the path of an image or of a folder.")
    return stat.S_ISDIR(status.st_mode)


def _images_at(path: Path, folder: Path) -> tuple[dict[str, Path], Listing]:
    """The images at a path by their names below it, and what else lies there."""
    if not _is_folder(path):
        return {path.name: path}, Listing()
    try:
        # The output folder may lie in the folder of images: outputs of an earlier run are not compressed again.
        listing = list_images(path, without=[folder])
    except OSError as error:
        raise InvalidInputs(f"{path} cannot be read: {error.strerror}; check the path and its permissions.") from None
    if not listing.images:
        unread = "".join(f" {path / name} is not read: {reason}." for name, reason in listing.unreadable.items())
        raise InvalidInputs(f"There is no image in the folder {path}: no file there has an image extension.{unread}")
    return {name: path / name for name in listing.images}, listing
