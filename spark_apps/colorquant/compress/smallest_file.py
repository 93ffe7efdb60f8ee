"""The smallest file of a quality: over the palette size and over every setting that is left free.

A candidate is one value for each free setting. For each candidate in turn the search looks for the smallest palette
that reaches the target, on a ladder of sizes whose steps are a factor of the square root of 2. It starts near where the
candidate before ended, and goes as far as the target is away by the gain of a usual step. It leaves a candidate as soon
as a trial that misses the target is larger than the smallest file so far, since more colors mostly take more bytes. The
best candidate's palette is then looked for between two steps of the ladder. Each trial is a palette, an index map and a
measurement; where bytes have to be compared, also an encoded file.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from colorquant.compress.choice import Choice, remapped
from colorquant.compress.output import encode
from colorquant.compress.source import OpenedImage
from colorquant.jobs import KSearchRecord
from colorquant.limits import MAX_COLORS
from colorquant.quality import quality
from colorquant.quantizer import Solution, solve
from colorquant.settings import Settings
from colorquant.target import Target

_OKLAB = {"objective": "squared-error", "color_space": "oklab", "dither": "none"}
_PERCEPTUAL = {"objective": "perceptual", "color_space": "rgb", "dither": "none"}
_DITHERED = _PERCEPTUAL | {"dither": "direct-search"}
_RGB = {"objective": "squared-error", "color_space": "rgb", "dither": "none"}

# By the target's measure, the cheapest to compute first. For SSIMULACRA2 each was the smallest on one of four Kodak
# images; the others are the same idea, and were not compared with more.
_CANDIDATES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "ssimulacra2": (_OKLAB | {"rate": 0.3}, _OKLAB | {"rate": 0.1}, _DITHERED | {"rate": 0.3}),
    "ssim": (_OKLAB | {"rate": 0.3}, _OKLAB | {"rate": 0.1}, _PERCEPTUAL | {"rate": 0.1}),
    "psnr": (_RGB | {"rate": 0.3}, _RGB | {"rate": 0.1}, _RGB | {"rate": 0.05}),
}
# Tried where none of these reaches the target.
_LAST: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "ssimulacra2": (_DITHERED | {"rate": 0.0}, _OKLAB | {"rate": 0.0}),
    "ssim": (_PERCEPTUAL | {"rate": 0.0}, _RGB | {"rate": 0.0}),
    "psnr": (_RGB | {"rate": 0.0},),
}

_STEPS_TO_DOUBLE = 2
_FIRST_STEP = 9
# What a step of the ladder adds to a measure, about.
_GAIN_OF_A_STEP = {"ssimulacra2": 6.0, "ssim": 0.02, "psnr": 1.2}
# Dithered, an image reaches a quality with fewer colors: about so many steps of the ladder on four Kodak images.
_STEPS_BELOW = {"none": 0, "blue-noise": 2, "direct-search": 3}
# Trials between two steps of the ladder.
_REFINEMENTS = 2


@dataclass(frozen=True, eq=False)
class Trial:
    """A choice, and the value that it has of the target's measure."""

    choice: Choice
    value: float

    @property
    def size(self) -> int:
        """Bytes of the file, which is encoded."""
        assert self.choice.encoded is not None
        return len(self.choice.encoded)


@dataclass
class _Entry:
    """What the record says of a trial."""

    k: int
    settings: Settings
    value: float
    size: int | None = None


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
    if opened.unique_colors <= MAX_COLORS:
        # Lossless. On graphics that is often the smallest file: without noise, more colors need not take more bytes.
        search.try_size(opened.unique_colors, settings.fixed())
    for candidate in _distinct(_CANDIDATES[target.measure], settings):
        search.try_candidate(candidate)
    for candidate in _distinct(_LAST[target.measure], settings):
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
        self._log: list[_Entry] = []
        self.best: Trial | None = None
        self._nearest: Trial | None = None

    def try_size(self, k: int, settings: Settings) -> None:
        """One trial, which is kept if it reaches the target and is the smallest."""
        trial = self._measured(k, settings)
        if self._target.reached_by(trial.value):
            self._keep(self._encoded(trial))

    def try_candidate(self, settings: Settings) -> None:
        """Find the first step of the ladder that reaches the target, or give the candidate up."""
        step, reached, missed = max(0, self._step - _STEPS_BELOW[settings.dither]), len(self._ladder), -1
        smallest: Trial | None = None
        while missed < step < reached:
            trial = self._measured(self._ladder[step], settings)
            if self._target.reached_by(trial.value):
                reached, smallest = step, trial
            else:
                missed = step
                if smallest is None and self.best and self._encoded(trial).size >= self.best.size:
                    break
            step = self._next(missed, reached, step, trial.value)
        if smallest is not None:
            self._keep(self._encoded(smallest))
        if self.best is None or smallest is not None:
            # Where nothing has reached the target yet, the next candidate begins at the end.
            self._step = min(reached + _STEPS_BELOW[settings.dither], len(self._ladder) - 1)

    def _next(self, missed: int, reached: int, step: int, value: float) -> int:
        """The step where the target is expected, between those that are known to miss and to reach it."""
        ahead = min(max((self._target.value - value) / _GAIN_OF_A_STEP[self._target.measure], -99), 99)
        return min(max(step + (math.ceil(ahead) or -1), missed + 1), reached - 1)

    def refine(self) -> None:
        """Look between the best step of the ladder and the one before it."""
        if self.best is None:
            return
        settings, above = self.best.choice.settings, self.best.choice.k
        missed = [one.k for one in self._log if one.settings == settings and not self._target.reached_by(one.value)]
        below = max((k for k in missed if k < above), default=0)
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
        settings = trial.choice.settings
        record = KSearchRecord(
            target=str(self._target),
            reached=self.best is not None,
            tried=tuple(sorted({one.k: _finite(one.value) for one in self._log if one.settings == settings}.items())),
            free=self._free,
            trials=tuple((self._words(one.settings), one.k, _finite(one.value), one.size) for one in self._log),
        )
        return trial, record

    def _words(self, settings: Settings) -> str:
        return " ".join(f"{name}={getattr(settings, name)}" for name in self._free)

    def _measured(self, k: int, settings: Settings) -> Trial:
        source = self._opened.source
        key = (k, settings.objective, settings.color_space, settings.objective == "perceptual" and settings.dither)
        if key not in self._solutions:
            self._solutions[key] = solve(source, k, settings)
        choice = remapped(self._opened, k, settings, self._solutions[key])
        trial = Trial(choice, quality(self._target.measure, self._opened.decoded.pixels, choice.shown))
        self._log.append(_Entry(k, settings, trial.value))
        if self._nearest is None or trial.value > self._nearest.value:
            self._nearest = trial
        return trial

    def _encoded(self, trial: Trial) -> Trial:
        choice = trial.choice
        metadata = self._opened.decoded.metadata
        encoded = encode(choice.solution.palette, choice.indexes, choice.settings, metadata)
        entry = next(one for one in self._log if (one.k, one.settings) == (choice.k, choice.settings))
        entry.size = len(encoded)
        return replace(trial, choice=replace(choice, encoded=encoded))

    def _keep(self, trial: Trial) -> None:
        if self.best is None or trial.size < self.best.size:
            self.best = trial


def _ladder(max_k: int) -> list[int]:
    """Palette sizes from 2 on, each larger by a factor of the square root of 2, and the largest."""
    count = _STEPS_TO_DOUBLE * 8
    sizes = {round(2 ** (step / _STEPS_TO_DOUBLE)) for step in range(_STEPS_TO_DOUBLE, count)}
    return sorted({size for size in sizes if size < max_k} | {max_k})


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
