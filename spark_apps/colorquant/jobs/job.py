"""A job: one image at one palette size, or at a quality target, and whether it is done. Standard library only.

A DAG file imports this module, so nothing here may load numpy, cv2 or pyspark, nor touch a file at import time.
"""

from dataclasses import dataclass
from pathlib import Path

from colorquant.errors import InvalidRecord
from colorquant.jobs.records import CompressionResult
from colorquant.settings import Settings
from colorquant.storage import location, sha256_of
from colorquant.target import Target

#: Of the output of an image that is read by regions, whatever suffix was planned.
TILED_SUFFIX = ".tif"

_LONGEST_NAME = 200


@dataclass(frozen=True, kw_only=True)
class Job:
    """One image at one palette size ``k``, or, where that is None, at the smallest that reaches ``target``.

    ``image`` is the file's path, ``name`` what people call it: its path below the input folder. ``image_bytes`` is the
    file's size, 0 where it is not known.
    ``output`` and ``result`` hold the input's hash and the settings in their path, so they never change once they
    are there. ``failure`` belongs to the run.
    """

    image: str
    name: str
    image_sha256: str | None
    k: int | None
    settings: Settings
    output: str
    result: str
    failure: str
    target: str | None = None
    image_bytes: int = 0

    @property
    def label(self) -> str:
        """What tells the job from others of its plan."""
        return f"{self.name} {self._choice}"

    @property
    def title(self) -> str:
        """What the job is called for people, for example ``astronaut.png k=16``: one line, nothing of it invisible.

        A long name is cut in its middle: Airflow's database has room for 250 characters.
        """
        name = "".join(
            character if character.isprintable() else character.encode("unicode_escape").decode()
            for character in self.name
        )
        if len(name) > _LONGEST_NAME:
            name = f"{name[: _LONGEST_NAME // 2]}…{name[-_LONGEST_NAME // 2 :]}"
        return f"{name} {self._choice}"

    @property
    def _choice(self) -> str:
        return str(self.target) if self.k is None else f"k={self.k}"

    @property
    def palette(self) -> int | Target:
        """The palette size, or the target that it is searched for."""
        return Target.parse(self.target or "") if self.k is None else self.k

    def arguments(self) -> list[str]:
        """Command line of ``compress_image.py``; ``--name=value``, because a value may begin with a dash."""
        arguments = [
            f"--image={self.image}",
            f"--target={self.target}" if self.k is None else f"--k={self.k}",
            f"--output={self.output}",
            f"--result={self.result}",
            f"--failure={self.failure}",
            *self.settings.arguments(),
        ]
        if self.image_sha256 is not None:
            arguments.append(f"--image-sha256={self.image_sha256}")
        return arguments

    def is_done(self) -> bool:
        """Whether a result of just this job is there, and its output is the one that was measured."""
        try:
            result = CompressionResult.read(self.result)
            return (
                self.is_answered_by(result)
                and Settings.of_record(result.settings, result.seed) == self.settings
                and result.image_sha256 == self.image_sha256
                and result.output_sha256 == sha256_of(self.written(result))
            )
        except (OSError, InvalidRecord):
            return False

    def output_paths(self) -> tuple[Path, Path]:
        """The paths that the output may have, at one of which it is: as planned, or a TIFF of an image in regions."""
        output = location(self.output)
        return output, output.with_suffix(TILED_SUFFIX)

    def written(self, result: CompressionResult) -> Path:
        """The output's path by the name that the record has: a TIFF where the input was read by regions."""
        return location(self.output).with_name(Path(result.output).name)

    def is_answered_by(self, result: CompressionResult) -> bool:
        """Whether a result is at this job's k, or has searched for its target."""
        if self.k is not None:
            return result.k == self.k
        return isinstance(result.search, dict) and result.search.get("target") == self.target
