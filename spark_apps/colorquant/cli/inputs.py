"""What a command line names: image files and folders of them. Standard library only."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from colorquant.errors import InvalidInputs
from colorquant.storage import list_images, output_names


@dataclass(frozen=True)
class Task:
    """One image file and the output file that it becomes."""

    image: Path
    output: Path


def tasks_of(
    named: Sequence[str], folder: str, ending: str = ".png", force: bool = False
) -> tuple[list[Task], list[Path]]:
    """An output below ``folder`` for each image that is named, or lies below a folder that is named.

    Also the files of these folders that are ignored: they are no images by their names, or links out of the folder.

    Parameters
    ----------
    named : paths of image files and of folders. Images of a folder keep their path below it; those in the output
        folder are passed over.
    folder : the output folder, which need not be there.
    force : whether outputs that are there may be replaced.

    Raises
    ------
    InvalidInputs
        For a path that is not there, a folder without images, two images of one name, an output that is there (unless
        ``force``), and one that would replace an image that is named.
    """
    images: dict[str, Path] = {}
    ignored: list[Path] = []
    for path in map(Path, named):
        found, others = _images_at(path, Path(folder))
        ignored += others
        for name, image in found.items():
            if images.setdefault(name, image).absolute() != image.absolute():
                raise InvalidInputs(
                    f"{images[name]} and {image} would have the same output: name their common folder instead, or give "
                    "each its own --output."
                )
    names = output_names(dict.fromkeys(images, ending))
    tasks = [Task(image, Path(folder) / names[name]) for name, image in images.items()]
    # Not Path.resolve: links that lead to each other are refused as images, one by one.
    originals = {os.path.realpath(image) for image in images.values()}
    for task in tasks:
        if os.path.realpath(task.output) in originals:
            raise InvalidInputs(f"{task.output} is itself an image to compress: give another --output.")
        if not force and task.output.exists():
            raise InvalidInputs(f"{task.output} is there already: --force replaces it, --output names another folder.")
    return tasks, list(dict.fromkeys(ignored))


def _images_at(path: Path, folder: Path) -> tuple[dict[str, Path], list[Path]]:
    """The images that a path names, by their names below it, and the files that are ignored there."""
    if not path.is_dir():
        if not path.exists():
            raise InvalidInputs(f"{path} is not there: give the path of an image or of a folder.")
        return {path.name: path}, []
    # The output folder may lie in the folder of the images: what an earlier run left there is no image to compress.
    names, ignored = list_images(path, without=[folder])
    if not names:
        raise InvalidInputs(f"There is no image in the folder {path}: no file there is named as images are.")
    return {name: path / name for name in names}, [path / name for name in ignored]
