"""The images of a command line, given as files and folders, and an output file for each. Standard library only."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from colorquant.errors import InvalidInputs
from colorquant.storage import list_images, output_names


@dataclass(frozen=True)
class Task:
    """One image file and its output file."""

    image: Path
    output: Path


def tasks_of(
    named: Sequence[str], folder: str, ending: str = ".png", force: bool = False
) -> tuple[list[Task], list[Path]]:
    """Plan an output file for each image that is named, or lies in a folder that is named.

    Parameters
    ----------
    named : sequence of str
        Paths of image files and folders. Images of a folder keep their path below it; images in the output folder are
        left out.
    folder : str
        The output folder, which need not exist.
    ending : str
        Of the output files' names, with its dot.
    force : bool
        Whether existing output files may be replaced.

    Returns
    -------
    tasks : list of Task
    skipped : list of Path
        Files in these folders without an image extension, and links out of the folder.

    Raises
    ------
    InvalidInputs
        A path does not exist, a folder has no images, two images have the same name, an output file exists (unless
        ``force``), or an output would replace one of the images.
    """
    images: dict[str, Path] = {}
    skipped: list[Path] = []
    for path in map(Path, named):
        found, others = _images_at(path, Path(folder))
        skipped += others
        for name, image in found.items():
            if images.setdefault(name, image).absolute() != image.absolute():
                raise InvalidInputs(
                    f"{images[name]} and {image} would have the same output: name their common folder instead, or give "
                    "each its own --output."
                )
    names = output_names(dict.fromkeys(images, ending))
    tasks = [Task(image, Path(folder) / names[name]) for name, image in images.items()]
    # Not Path.resolve, which fails on links that lead to each other: decoding refuses such an image by itself.
    originals = {os.path.realpath(image) for image in images.values()}
    for task in tasks:
        if os.path.realpath(task.output) in originals:
            raise InvalidInputs(f"{task.output} is itself an image to compress: give another --output.")
        if not force and task.output.exists():
            raise InvalidInputs(
                f"{task.output} exists already: replace it with --force, or give another folder with --output."
            )
    return tasks, list(dict.fromkeys(skipped))


def _images_at(path: Path, folder: Path) -> tuple[dict[str, Path], list[Path]]:
    """The images at a path by their names below it, and the files there that are skipped."""
    if not path.is_dir():
        if not path.exists():
            raise InvalidInputs(f"{path} does not exist: give the path of an image or of a folder.")
        return {path.name: path}, []
    # The output folder may lie in the folder of images: outputs of an earlier run are not compressed again.
    names, skipped = list_images(path, without=[folder])
    if not names:
        raise InvalidInputs(f"There is no image in the folder {path}: no file there has an image extension.")
    return {name: path / name for name in names}, [path / name for name in skipped]
