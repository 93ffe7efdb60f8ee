"""A job: one image at one palette size, or at a quality target, and whether it is done. Standard library only.

DAG files import this module: nothing here may load numpy, OpenCV or PySpark, or open a file at import time.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from colorquant.errors import InvalidRecord
from colorquant.jobs.records import CompressionResult
from colorquant.jobs.weights import WeightsFile
from colorquant.limits import Count, PaletteSize
from colorquant.settings import Settings
from colorquant.storage import PathText, location, sha256_of
from colorquant.target import Target
from colorquant.text import printable

#: Suffix of the output of an image that is compressed tile by tile, whatever suffix was planned.
TILED_SUFFIX = ".tif"

_MAX_TITLE_NAME = 200


@dataclass(frozen=True, kw_only=True)
class Job:
    """One image at one palette size ``k``, or, where that is None, at the smallest that reaches ``target``.

    The paths of output and result contain the input's hash and the settings, so these files never change once they
    exist. The failure belongs to the run.

    Attributes
    ----------
    image : path or URI of the image file.
    name : the image's path below the input folder, which is what people call it.
    image_sha256 : hex SHA-256 of the file; None where it could not be read.
    output, result, failure : paths or URIs of the output, of its ``CompressionResult``, and of a ``JobFailure``.
    image_bytes : size of the file; 0 where it is not known.
    shared_palette : path or URI of the record of the palette that the image has in common with others
        (``SharedPalette``); None for a palette of its own.
    weights : the picture that says how much each pixel counts; None where all count the same.
    algorithm_version : that of the plan, where an earlier version of this project planned; None for this one.

    Raises
    ------
    InvalidTarget
        Where there is no k, and ``target`` is not a quality target.
    """

    image: PathText
    name: PathText
    image_sha256: str | None
    k: PaletteSize | None
    settings: Settings
    output: PathText
    result: PathText
    failure: PathText
    target: str | None = None
    image_bytes: Count = 0
    shared_palette: PathText | None = None
    weights: WeightsFile | None = None
    algorithm_version: int | None = None

    def __post_init__(self) -> None:
        if self.k is None:
            Target.parse(self.target or "")

    @property
    def label(self) -> str:
        """The job's name within its plan, where it is unique."""
        return f"{self.name} {self._choice}"

    @property
    def title(self) -> str:
        """The job's name for people, for example ``astronaut.png k=16``: one printable line.

        A long name is cut in its middle: a job scheduler may allow 250 characters.
        """
        name = printable(self.name)
        if len(name) > _MAX_TITLE_NAME:
            name = f"{name[: _MAX_TITLE_NAME // 2]}…{name[-_MAX_TITLE_NAME // 2 :]}"
        return f"{name} {self._choice}"

    @property
    def _choice(self) -> str:
        return str(self.target) if self.k is None else f"k={self.k}"

    @property
    def palette(self) -> int | Target:
        """The palette size, or the target that the smallest palette must reach."""
        return Target.parse(self.target or "") if self.k is None else self.k

    @property
    def palette_name(self) -> str | None:
        """The name of the palette that the image has in common with others."""
        return self.shared_palette and self.shared_palette.rsplit("/", 2)[-2]

    @property
    def kills(self) -> str:
        """Path of what is known of processes that this image file ended (``kills``): for all runs, ks and settings."""
        folder = self.output.rsplit("/", 2)[0]
        return f"{folder}/kills-{(self.image_sha256 or 'unknown')[:16]}.json"

    def arguments(self) -> list[str]:
        """Arguments of ``compress_image.py``, as ``--name=value``, because a value may begin with a dash."""
        arguments = [
            f"--image={self.image}",
            f"--target={self.target}" if self.k is None else f"--k={self.k}",
            f"--output={self.output}",
            f"--result={self.result}",
            f"--failure={self.failure}",
            # The folder has been looked through.
            *replace(self.settings, weights="").arguments(),
        ]
        if self.shared_palette is not None:
            arguments.append(f"--shared-palette={self.shared_palette}")
        if self.weights is not None:
            arguments += [f"--weights-file={self.weights.path}", f"--weights-sha256={self.weights.sha256}"]
        if self.image_sha256 is not None:
            arguments.append(f"--image-sha256={self.image_sha256}")
        return arguments

    def is_done(self) -> bool:
        """Whether this job's result exists, with what was to be compared, and its output is the file of the result."""
        try:
            result = CompressionResult.read(self.result)
            return (
                self.is_answered_by(result)
                and result.comparison.keys() >= set(self.settings.compare)
                and result.image_sha256 == self.image_sha256
                and result.output_sha256 == sha256_of(self.written(result))
            )
        except (OSError, InvalidRecord):
            return False

    def output_paths(self) -> tuple[Path, Path]:
        """The two paths that the output may have: as planned, or with ``TILED_SUFFIX``."""
        output = location(self.output)
        return output, output.with_suffix(TILED_SUFFIX)

    def written(self, result: CompressionResult) -> Path:
        """The output's path, with the file name of its record: the suffix may be ``TILED_SUFFIX``."""
        return location(self.output).with_name(Path(result.output).name)

    def is_answered_by(self, result: CompressionResult) -> bool:
        """Whether a result is of this job's settings and k, or of the search for its target."""
        settings = Settings.of_record(result.settings, result.seed, self.algorithm_version)
        if result.palette_name != self.palette_name:
            return False
        if result.weights_sha256 != (self.weights and self.weights.sha256):
            return False
        if settings is None or not self.settings.allows(settings):
            return False
        if self.k is not None:
            return result.k == self.k
        search = result.search
        return search is not None and (search.target, search.free) == (self.target, self.settings.free)
