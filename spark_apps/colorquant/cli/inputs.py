"""The images of a command line, and an output for each: files and folders, or ``-``. Standard library only."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from colorquant.errors import InvalidInputs
from colorquant.storage import list_images, output_names

#: The output folder where none is given.
DEFAULT_OUTPUT = "compressed"
_STANDARD_STREAM = "-"


@dataclass(frozen=True)
class Task:
    """One image file and its output file; None stands for standard input and standard output."""

    image: Path | None
    output: Path | None

    @property
    def title(self) -> str:
        """The image as messages name it."""
        return "standard input" if self.image is None else str(self.image)


def tasks_of(
    named: Sequence[str], folder: str, ending: str = ".png", force: bool = False
) -> tuple[list[Task], list[Path]]:
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

    Returns
    -------
    tasks : list of Task
    skipped : list of Path
        Files in these folders without an image extension, and links out of the folder.

    Raises
    ------
    InvalidInputs
        A path does not exist, a folder has no images, two images have the same name, an output file exists (unless
        ``force``), an output would replace one of the images, or ``-`` does not fit with the others.
    """
    if _STANDARD_STREAM in named or folder == _STANDARD_STREAM:
        return [_streamed(named, folder)], []
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
    outputs = {name: Path(folder) / output for name, output in names.items()}
    # Not Path.resolve, which fails on links that lead to each other: decoding refuses such an image by itself.
    originals = {os.path.realpath(image) for image in images.values()}
    for output in outputs.values():
        if os.path.realpath(output) in originals:
            raise InvalidInputs(f"{output} is itself an image to compress: give another --output.")
        if not force and output.exists():
            raise InvalidInputs(
                f"{output} exists already: replace it with --force, or give another folder with --output."
            )
    tasks = [Task(image, outputs[name]) for name, image in images.items()]
    return tasks, list(dict.fromkeys(skipped))


def _streamed(named: Sequence[str], folder: str) -> Task:
    """The only image of a command line with ``-``."""
    if _STANDARD_STREAM in named:
        if len(named) > 1:
            raise InvalidInputs("- is standard input, which is one image: give no other image with it.")
        if folder not in (_STANDARD_STREAM, DEFAULT_OUTPUT):
            raise InvalidInputs("The output of - goes to standard output: redirect it (> small.png), without --output.")
        return Task(None, None)
    path = Path(named[0])
    if len(named) > 1 or path.is_dir():
        raise InvalidInputs("--output - takes one image file: give one, or a folder with --output.")
    _require(path)
    return Task(path, None)


def _require(path: Path) -> None:
    if not path.exists():
        raise InvalidInputs(f"{path} does not exist: give the path of an image or of a folder.")


def _images_at(path: Path, folder: Path) -> tuple[dict[str, Path], list[Path]]:
    """The images at a path by their names below it, and the files there that are skipped."""
    if not path.is_dir():
        _require(path)
        return {path.name: path}, []
    # The output folder may lie in the folder of images: outputs of an earlier run are not compressed again.
    names, skipped = list_images(path, without=[folder])
    if not names:
        raise InvalidInputs(f"There is no image in the folder {path}: no file there has an image extension.")
    return {name: path / name for name in names}, [path / name for name in skipped]
