"""The smallest file of a quality: over the palette size and over every setting that is left free.

1. Of an image of few colors the file without loss is one to compare with.
2. A candidate is one value for each free setting. For the first one, the smallest palette that reaches the target is
   looked for on a ladder of sizes whose steps are a factor of the square root of 2: as far ahead as the target is away
   by the gain of a usual step.
3. Each other candidate is tried at twice that palette size. Where its file would be smaller at the target, as far as
   its index map and its quality tell, its palette is looked for in the same way.
4. Of all trials the one whose file would be smallest at the target is taken there by its rate; a small palette first by
   its size, between two steps of the ladder. Where the rate is given, that is all.

A trial is a palette, an index map and a measurement; only the chosen file is encoded, and the one without loss.
"""

import math
import zlib
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from colorquant.compress.choice import Choice, remapped
from colorquant.compress.output import encode
from colorquant.compress.source import OpenedImage
from colorquant.jobs import KSearchRecord
from colorquant.limits import MAX_COLORS
from colorquant.pixels import Pixels
from colorquant.quality import quality
from colorquant.quantizer import Solution
from colorquant.settings import MAX_RATE, Settings
from colorquant.target import Target

# Only files that may be the smallest are encoded.
_EFFORT = {"effort": "high"}
_OKLAB = {"objective": "squared-error", "color_space": "oklab", "dither": "none"}
_PERCEPTUAL = {"objective": "perceptual", "color_space": "rgb", "dither": "none"}
_DITHERED = _PERCEPTUAL | {"dither": "direct-search"}
_RGB = {"objective": "squared-error", "color_space": "rgb", "dither": "none"}

# By the target's measure, with the rates that a search begins with. Near 1 files of photographs are the smallest.
_CANDIDATES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "ssimulacra2": (_DITHERED | {"rate": 1.0}, _PERCEPTUAL | {"rate": 1.0}),
    "ssim": (_OKLAB | {"rate": 0.3}, _PERCEPTUAL | {"rate": 0.3}),
    "psnr": (_RGB | {"rate": 0.3},),
}
# Tried where none of these reaches the target.
_LAST: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "ssimulacra2": (_DITHERED | {"rate": 0.0},),
    "ssim": (_PERCEPTUAL | {"rate": 0.0}, _RGB | {"rate": 0.0}),
    "psnr": (_RGB | {"rate": 0.0},),
}

_STEPS_TO_DOUBLE = 2
_FIRST_STEP = 11
# Where another candidate than the first is tried, of those without dithering: they need more colors. And where more
# colors are tried at so many times the rate, so often at most.
_STEPS_UP = 2
_RATE_FOR_COLORS = 4.0
_CLIMBS = 2
# Up to so many colors one between two steps of the ladder is tried.
_FEW_COLORS = 64
# What a step of the ladder adds to a measure, about.
_GAIN_OF_A_STEP = {"ssimulacra2": 6.0, "ssim": 0.02, "psnr": 1.2}
# By how much a file grows, about, for that gain.
_GROWTH_OF_A_STEP = 0.12
# A file is taken for smaller than another where it would have so many of its bytes.
_CLEARLY = 0.97
# Trials between two steps of the ladder.
_REFINEMENTS = 2
# Of the rate: what doubling it costs of a measure, about; trials; and how near two rates are the same.
_LOSS_OF_DOUBLING = {"ssimulacra2": 7.0, "ssim": 0.02, "psnr": 1.2}
_RATES = 4
_SAME_RATE = 1.08


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
    size_at_target: float
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
        # On graphics that is often the smallest file: without noise, more colors need not take more bytes.
        search.try_lossless(_chosen({}, settings))
    search.look(_distinct(_CANDIDATES[target.measure], settings))
    if not search.reached:
        search.look(_distinct(_LAST[target.measure], settings))
    return search.result()


def _distinct(candidates: tuple[Mapping[str, Any], ...], settings: Settings) -> list[Settings]:
    """The candidates in the settings that are free; those that are then the same once."""
    return list(dict.fromkeys(_chosen(one, settings) for one in candidates))


def _chosen(candidate: Mapping[str, Any], settings: Settings) -> Settings:
    """The values of a candidate in the settings that are free."""
    return settings.chosen(**{name: value for name, value in {**candidate, **_EFFORT}.items() if name in settings.free})


class _Search:
    """What was tried. Of the index maps, each as large as the image, no more than five are kept at a time."""

    def __init__(self, opened: OpenedImage, target: Target, settings: Settings) -> None:
        kept = settings.kept
        self._opened, self._target, self._free = opened, target, settings.free
        # Colors that are to be kept need as large a palette as they are many.
        self._ladder = _ladder(min(MAX_COLORS, opened.unique_colors), len(kept))
        self._solutions: dict[tuple[Any, ...], Solution] = {}
        self._log: list[_Entry] = []
        self._best: Trial | None = None
        self._nearest: Trial | None = None

    @property
    def reached(self) -> bool:
        """Whether a trial reaches the target."""
        return self._best is not None

    def try_lossless(self, settings: Settings) -> None:
        """A trial with all colors of the image."""
        self._keep(self._measured(max(self._opened.unique_colors, len(settings.kept)), settings))

    def look(self, candidates: list[Settings]) -> None:
        """Keep the smallest file of some candidates, if it is smaller than the one so far."""
        begun, last = len(self._log), len(self._ladder) - 1
        found = self._fewest_colors(candidates[0], min(_FIRST_STEP, last))
        for candidate in candidates[1:]:
            step = min(self._ladder.index(found.choice.k) + _STEPS_UP, last)
            trial = self._measured(self._ladder[step], candidate)
            if self._entry(trial).size_at_target < _CLEARLY * self._entry(found).size_at_target:
                other = self._fewest_colors(candidate, step, trial)
                if self._target.reached_by(other.value):
                    found = other
        if self._free_rate(found.choice.settings):
            for smallest in self._promising(self._log[begun:]) or [self._entry(found)]:
                # No rate may lift a palette to the target: then one is taken that is there.
                for one in self._between_steps(smallest), self._smallest_palette(smallest.settings):
                    if one and self._keep(self._with_rate(self._with_more_colors(one))):
                        return
        if self._target.reached_by(found.value):
            self._keep(self._refined_size(found))

    def _fewest_colors(self, settings: Settings, step: int, first: Trial | None = None) -> Trial:
        """The trial at the first step of the ladder that reaches the target, looked for from a step on, or the last."""
        reached, missed = len(self._ladder), -1
        above: Trial | None = None
        below: Trial | None = None
        while missed < step < reached:
            trial = first or self._measured(self._ladder[step], settings)
            first = None
            if self._target.reached_by(trial.value):
                reached, above = step, trial
            else:
                missed, below = step, trial
            if above and below and math.isfinite(above.value):
                part = (self._target.value - below.value) / (above.value - below.value)
                wanted = missed + round(part * (reached - missed))
            else:
                wanted = step + (math.ceil(-self._steps_over(trial.value)) or -1)
            step = min(max(wanted, missed + 1), reached - 1)
        found = above or below
        assert found is not None, "at least one step is tried"
        return found

    def _steps_over(self, value: float) -> float:
        """By how many steps of the ladder, about, a value is above the target."""
        return min(max((value - self._target.value) / _GAIN_OF_A_STEP[self._target.measure], -99.0), 99.0)

    def _size_at_target(self, indexes: Pixels, value: float) -> float:
        """About how many bytes an index map would take, if it had the target's quality in place of a value."""
        # What a file would save that is far better than the target is not known: on graphics nearly nothing.
        steps = min(self._steps_over(value), 1.0)
        return len(zlib.compress(indexes.tobytes())) * math.exp(-_GROWTH_OF_A_STEP * steps)

    def _free_rate(self, settings: Settings) -> bool:
        """Whether the search may change the rate, and it has an effect."""
        return settings.rate > 0 and "rate" in self._free and settings.dither != "blue-noise"

    def _promising(self, log: list[_Entry]) -> list[_Entry]:
        """For each settings of some trials the one whose file would be smallest at the target, the smallest first."""
        sizes: dict[Settings, tuple[float, _Entry]] = {}
        for one in log:
            if abs(self._steps_over(one.value)) <= 1:
                known = sizes.get(one.settings, (math.inf, one))
                sizes[one.settings] = min(known, (one.size_at_target, one), key=itemgetter(0))
        for settings in dict.fromkeys(one.settings for one in log):
            # A small picture may have no trial so near. What its file would save at the target is not known.
            if settings not in sizes and (reaching := self._smallest_palette(settings)):
                sizes[settings] = reaching.size_at_target * math.exp(_GROWTH_OF_A_STEP), reaching
        return [one for _, one in sorted(sizes.values(), key=itemgetter(0))]

    def _smallest_palette(self, settings: Settings) -> _Entry | None:
        """The smallest palette that reached the target with some settings."""
        reaching = [one for one in self._log if one.settings == settings and self._target.reached_by(one.value)]
        return min(reaching, key=lambda one: one.k, default=None)

    def _between_steps(self, found: _Entry) -> _Entry:
        """A trial with about as many colors as just reach the target, if few do.

        A higher rate brings a palette to the target too, but saves fewer bytes there than fewer colors do: on a heat
        map 3 %, on 16 graphics in the mean 1.5 %.
        """
        missed = [one for one in self._log if one.settings == found.settings and one.k < found.k]
        below = max(missed, key=lambda one: one.k, default=found)
        if found.k > _FEW_COLORS or not below.value < self._target.value < found.value < math.inf:
            return found
        part = (self._target.value - below.value) / (found.value - below.value)
        k = round(below.k * (found.k / below.k) ** part)
        if not below.k < k < found.k:
            return found
        return self._entry(self._measured(k, found.settings))

    def _with_more_colors(self, begun: _Entry) -> _Entry:
        """A trial with more colors at a higher rate, as long as its file would be smaller at the target.

        On photographs it mostly is not. Graphics have small errors, so that their best rates are high.
        """
        found = begun
        for _ in range(_CLIMBS):
            step = bisect(self._ladder, found.k) - 1 + _STEPS_UP
            rate = _RATE_FOR_COLORS * found.settings.rate
            if step >= len(self._ladder) or rate > MAX_RATE:
                break
            entry = self._entry(self._measured(self._ladder[step], replace(found.settings, rate=rate)))
            if entry.size_at_target >= _CLEARLY * found.size_at_target:
                break
            found = entry
        return found

    def _with_rate(self, begun: _Entry) -> Trial:
        """A trial with the largest rate that reaches the target, of one palette; the last one where none does."""
        rate, value = begun.settings.rate, begun.value
        reached, missed = 0.0, math.inf
        loss = _LOSS_OF_DOUBLING[self._target.measure]
        found: Trial | None = None
        for _ in range(_RATES):
            if self._target.reached_by(value):
                reached = rate
            else:
                missed = rate
            doublings = min(max((value - self._target.value) / loss, -2.0), 2.0)
            wanted = min(rate * 2**doublings, MAX_RATE)
            if missed < reached * _SAME_RATE or reached == rate and wanted < reached * _SAME_RATE:
                break
            wanted = min(wanted, missed / _SAME_RATE)
            if wanted <= reached:
                wanted = math.sqrt(reached * missed)
            wanted = float(f"{wanted:.2g}")
            if not reached < wanted < missed:
                break
            trial = self._measured(begun.k, replace(begun.settings, rate=wanted))
            if found is None or self._target.reached_by(trial.value):
                found = trial
            if not reached and rate > wanted and 2 * (trial.value - value) < self._target.value - trial.value:
                break  # Lower rates gain less and less.
            # At low rates and on graphics a doubling costs less than on photographs: half as much, or a third.
            loss = min(max((value - trial.value) / math.log2(wanted / rate), loss / 4), loss * 2)
            rate, value = wanted, trial.value
        if found and (self._target.reached_by(found.value) or not self._target.reached_by(begun.value)):
            return found
        return self._measured(begun.k, begun.settings)

    def _refined_size(self, found: Trial) -> Trial:
        settings = found.choice.settings
        missed = [one.k for one in self._log if one.settings == settings and not self._target.reached_by(one.value)]
        below = max((k for k in missed if k < found.choice.k), default=0)
        for _ in range(_REFINEMENTS):
            middle = round(math.sqrt(max(1, below) * found.choice.k))
            if not below < middle < found.choice.k:
                break
            trial = self._measured(middle, settings)
            if self._target.reached_by(trial.value):
                found = trial
            else:
                below = middle
        return found

    def result(self) -> tuple[Trial, KSearchRecord]:
        """The trial to take, and the record of all."""
        trial = self._best or self._nearest
        assert trial is not None, "every candidate is tried at least once"
        settings = trial.choice.settings
        record = KSearchRecord(
            target=str(self._target),
            reached=self.reached,
            tried=tuple(sorted({one.k: _finite(one.value) for one in self._log if one.settings == settings}.items())),
            free=self._free,
            trials=tuple((self._words(one.settings), one.k, _finite(one.value), one.size) for one in self._log),
        )
        return trial, record

    def _words(self, settings: Settings) -> str:
        return " ".join(f"{name}={getattr(settings, name)}" for name in self._free)

    def _measured(self, k: int, settings: Settings) -> Trial:
        # No other setting decides the palette, and with a rate the dithering does not either.
        key = (k, settings.objective, settings.color_space, settings.rate > 0 or settings.dither)
        if key not in self._solutions:
            self._solutions[key] = self._opened.solve(k, settings)
        choice = remapped(self._opened, k, settings, self._solutions[key])
        trial = Trial(choice, quality(self._target.measure, self._opened.decoded.pixels, choice.shown))
        self._log.append(_Entry(k, settings, trial.value, self._size_at_target(choice.indexes, trial.value)))
        if self._nearest is None or trial.value > self._nearest.value:
            self._nearest = trial
        return trial

    def _encoded(self, trial: Trial) -> Trial:
        choice = trial.choice
        metadata = self._opened.decoded.metadata
        encoded = encode(choice.solution.palette, choice.indexes, choice.settings, metadata)
        self._entry(trial).size = len(encoded)
        return replace(trial, choice=replace(choice, encoded=encoded))

    def _entry(self, trial: Trial) -> _Entry:
        return next(one for one in self._log if (one.k, one.settings) == (trial.choice.k, trial.choice.settings))

    def _keep(self, trial: Trial) -> bool:
        """Encode a trial that reaches the target, and keep it if it is the smallest; whether it does reach it."""
        if not self._target.reached_by(trial.value):
            return False
        trial = self._encoded(trial)
        if self._best is None or trial.size < self._best.size:
            self._best = trial
        return True


def _ladder(max_k: int, min_k: int = 1) -> list[int]:
    """Palette sizes from 2 on, each larger by one or by a factor of the square root of 2, and the largest.

    None is less than ``min_k``.
    """
    count = _STEPS_TO_DOUBLE * 8
    sizes = {round(2 ** (step / _STEPS_TO_DOUBLE)) for step in range(_STEPS_TO_DOUBLE, count)} | {5, 7}
    return sorted({size for size in sizes if min_k <= size < max_k} | {max(max_k, min_k)})


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
