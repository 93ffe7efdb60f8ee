"""The smallest file of a quality: over the palette size and over every setting that is left free.

A candidate is one value for each free setting. For each candidate in turn the search looks for the smallest palette
that reaches the target, on a ladder of sizes whose steps are a factor of the square root of 2. It starts where the
candidate before ended, which is close; and it leaves a candidate as soon as a trial that misses the target is already
larger than the smallest file so far, since more colors take more bytes. The best candidate's palette is then looked for
between the two steps of the ladder. Each trial is a palette, an index map, a measurement, and for most an encoded file.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from colorquant.compress.output import encode
from colorquant.compress.source import OpenedImage
from colorquant.jobs import KSearchRecord
from colorquant.limits import MAX_COLORS
from colorquant.pixels import Pixels
from colorquant.quality import quality
from colorquant.quantizer import Solution, palette_eye, solve
from colorquant.settings import Settings
from colorquant.target import Target

_OKLAB = {"objective": "squared-error", "color_space": "oklab", "dither": "none"}
_PERCEPTUAL = {"objective": "perceptual", "color_space": "rgb", "dither": "none"}
_DITHERED = _PERCEPTUAL | {"dither": "direct-search"}
_RGB = {"objective": "squared-error", "color_space": "rgb", "dither": "none"}

# The cheapest to compute first. Measured: each is the smallest on some image (docs/choice.md).
_FOR_EYES: tuple[Mapping[str, Any], ...] = (
    _OKLAB | {"rate": 0.3},
    _OKLAB | {"rate": 0.1},
    _PERCEPTUAL | {"rate": 0.1},
    _DITHERED | {"rate": 0.3},
)
_FOR_PSNR: tuple[Mapping[str, Any], ...] = (_RGB | {"rate": 0.3}, _RGB | {"rate": 0.1}, _RGB | {"rate": 0.05})
# Tried where none of the others reaches the target: the best quality first.
_BEST_FOR_EYES: tuple[Mapping[str, Any], ...] = (_DITHERED | {"rate": 0.0}, _OKLAB | {"rate": 0.0})
_BEST_FOR_PSNR: tuple[Mapping[str, Any], ...] = (_RGB | {"rate": 0.0},)

_STEPS_TO_DOUBLE = 2
_FIRST_STEP = 7
# Trials between two steps of the ladder.
_REFINEMENTS = 2


@dataclass(frozen=True, eq=False)
class Trial:
    """One palette size with one candidate's settings.

    Attributes
    ----------
    k : int
    settings : Settings
        With nothing free.
    solution : Solution
    indexes : uint8 (H, W)
    value : float
        Of the target's measure.
    bytes : int, optional
        Size of the file; None where it was not encoded.
    """

    k: int
    settings: Settings
    solution: Solution
    indexes: Pixels
    value: float
    bytes: int | None = None


def smallest_file(opened: OpenedImage, target: Target, settings: Settings) -> tuple[Trial, KSearchRecord]:
    """The smallest file that reaches a target, and how it was found.

    Parameters
    ----------
    opened : OpenedImage
    target : Target
    settings : Settings
        With at least one that is free.

    Returns
    -------
    trial : Trial
        Where no trial reaches the target, the best one.
    record : KSearchRecord
    """
    search = _Search(opened, target, settings)
    for_psnr = target.measure == "psnr"
    for candidate in _distinct(_FOR_PSNR if for_psnr else _FOR_EYES, settings):
        search.try_candidate(candidate)
    for candidate in _distinct(_BEST_FOR_PSNR if for_psnr else _BEST_FOR_EYES, settings):
        if search.best is None:
            search.try_candidate(candidate)
    search.refine()
    return search.result()


def _distinct(candidates: tuple[Mapping[str, Any], ...], settings: Settings) -> list[Settings]:
    """The candidates in the settings that are free; those that are then the same once."""
    chosen = [
        settings.chosen(**{name: value for name, value in one.items() if name in settings.free}) for one in candidates
    ]
    return list(dict.fromkeys(chosen))


class _Search:
    """What was tried. Only two index maps are kept, each as large as the image: the smallest file's and the best."""

    def __init__(self, opened: OpenedImage, target: Target, settings: Settings) -> None:
        self._opened, self._target, self._free = opened, target, settings.free
        self._ladder = _ladder(min(MAX_COLORS, opened.unique_colors))
        self._step = min(_FIRST_STEP, len(self._ladder) - 1)
        self._solutions: dict[tuple[Any, ...], Solution] = {}
        self._trials: list[Trial] = []
        self.best: Trial | None = None
        self._nearest: Trial | None = None

    def try_candidate(self, settings: Settings) -> None:
        """Find the first step of the ladder that reaches the target, or give the candidate up."""
        step, reached, missed = self._step, len(self._ladder), -1
        while missed < step < reached:
            trial = self._measured(self._ladder[step], settings)
            if self._target.reached_by(trial.value):
                reached = step
                self._keep(self._encoded(trial))
            else:
                missed = step
                if self.best is not None and (self._encoded(trial).bytes or 0) >= (self.best.bytes or 0):
                    break
            step = self._next(missed, reached)
        if reached < len(self._ladder):
            self._step = reached

    def _next(self, missed: int, reached: int) -> int:
        """The step between: half-way before the first result, else the one beside what is known."""
        if self.best is None or len(self._trials) < 3:
            return (missed + reached) // 2
        return reached - 1 if reached < len(self._ladder) else missed + 1

    def refine(self) -> None:
        """Look between the best step of the ladder and the one before it."""
        if self.best is None:
            return
        settings = self.best.settings
        tried = [trial for trial in self._trials if trial.settings == settings]
        above = self.best.k
        below = max(
            (trial.k for trial in tried if not self._target.reached_by(trial.value) and trial.k < above), default=0
        )
        for _ in range(_REFINEMENTS):
            middle = round(math.sqrt(max(1, below) * above))
            if not below < middle < above:
                break
            trial = self._measured(middle, settings)
            if self._target.reached_by(trial.value):
                above = middle
                self._keep(self._encoded(trial))
            else:
                below = middle

    def result(self) -> tuple[Trial, KSearchRecord]:
        """The trial to take, and the record of all."""
        trial = self.best or self._nearest
        assert trial is not None, "every candidate is tried at least once"
        same = {one.k: _finite(one.value) for one in self._trials if one.settings == trial.settings}
        record = KSearchRecord(
            target=str(self._target),
            reached=self.best is not None,
            tried=tuple(sorted(same.items())),
            free=self._free,
            trials=tuple((self._words(one), one.k, _finite(one.value), one.bytes) for one in self._trials),
        )
        return trial, record

    def _words(self, trial: Trial) -> str:
        return " ".join(f"{name}={getattr(trial.settings, name)}" for name in self._free)

    def _measured(self, k: int, settings: Settings) -> Trial:
        source, pixels = self._opened.source, self._opened.decoded.pixels
        key = (k, settings.objective, settings.color_space, settings.objective == "perceptual" and settings.dither)
        if key not in self._solutions:
            self._solutions[key] = solve(source, k, settings.seed, settings.color_space, eye=palette_eye(settings))
        solution = self._solutions[key]
        indexes = source.remap(solution.palette, solution.remapping(settings, pixels.shape[1]))
        value = quality(self._target.measure, pixels, solution.palette[indexes])
        trial = Trial(k, settings, solution, indexes, value)
        self._trials.append(replace(trial, indexes=indexes[:0]))
        if self._nearest is None or value > self._nearest.value:
            self._nearest = trial
        return trial

    def _encoded(self, trial: Trial) -> Trial:
        encoded = encode(trial.solution.palette, trial.indexes, trial.settings, self._opened.decoded.metadata)
        self._trials[-1] = replace(self._trials[-1], bytes=len(encoded))
        return replace(trial, bytes=len(encoded))

    def _keep(self, trial: Trial) -> None:
        if self.best is None or (trial.bytes or 0) < (self.best.bytes or 0):
            self.best = trial


def _ladder(max_k: int) -> list[int]:
    """Palette sizes from 2 on, each larger by a factor of the square root of 2, and the largest."""
    count = _STEPS_TO_DOUBLE * 8
    sizes = {round(2 ** (step / _STEPS_TO_DOUBLE)) for step in range(_STEPS_TO_DOUBLE, count)}
    return sorted({size for size in sizes if size < max_k} | {max_k})


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
