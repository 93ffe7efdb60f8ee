"""From an image and a goal to a palette and an index map: at a palette size, or by a search for a quality."""

import math
from dataclasses import replace

from colorquant.compress.choice import Choice, imposed, remapped
from colorquant.compress.smallest_file import smallest_file
from colorquant.compress.source import OpenedImage
from colorquant.compress.stopwatch import Stopwatch
from colorquant.errors import UnsupportedImage
from colorquant.jobs import KSearchRecord, SharedPalette
from colorquant.limits import MAX_COLORS
from colorquant.pixels import as_palette
from colorquant.quality import quality
from colorquant.settings import Settings
from colorquant.target import KSearch, Target, smallest_k


def choose(
    opened: OpenedImage,
    goal: int | Target,
    settings: Settings,
    clock: Stopwatch,
    must_reach: bool = False,
    shared: SharedPalette | None = None,
) -> Choice:
    """Compute the palette and the index map of an image.

    Parameters
    ----------
    opened : OpenedImage
    goal : int or Target
        The palette size, or the quality to reach: with the smallest file where settings are free, else with the fewest
        colors.
    settings : Settings
    clock : Stopwatch
        Gets the steps ``kmeans`` and, where the palette size is given, ``remap``.
    must_reach : bool
        Whether to refuse an image that reaches the target with no palette; else the best result is taken.
    shared : SharedPalette, optional
        The palette that the image has in common with others. One of the settings' own comes before it, and then the
        goal has no effect.

    Raises
    ------
    UnsupportedImage
        No palette reaches the target, and ``must_reach`` is set; or a given palette does not fit (``imposed``).
    """
    if settings.colors or shared is not None:
        with clock("remap"):
            if settings.colors:
                given = as_palette(settings.colors)
                return imposed(opened, given, len(given), settings.fixed(), in_order=True)
            assert shared is not None
            return imposed(opened, as_palette(shared.entries), shared.k, settings.fixed(), in_order=False)
    if not isinstance(goal, Target):
        return _at(opened, goal, settings.fixed(), clock)
    if settings.free:
        with clock("kmeans"):
            trial, record = smallest_file(opened, goal, settings)
        if must_reach and not record.reached:
            raise UnsupportedImage(_out_of_reach(opened, goal, trial.choice.k, trial.value))
        return replace(trial.choice, search=record)
    with clock("kmeans"):
        trials = _Trials(opened, goal, settings)
        least = max(1, len(settings.kept))
        search = smallest_k(goal, trials.quality_at, max(least, min(MAX_COLORS, opened.unique_colors)), least)
    if must_reach and not search.reached:
        raise UnsupportedImage(_out_of_reach(opened, goal, search.k, search.tried[search.k]))
    return replace(trials.best(search.k), search=_as_record(goal, search))


def _at(opened: OpenedImage, k: int, settings: Settings, clock: Stopwatch) -> Choice:
    with clock("kmeans"):
        solution = opened.solve(k, settings)
    with clock("remap"):
        return remapped(opened, k, settings, solution)


def _out_of_reach(opened: OpenedImage, target: Target, k: int, value: float) -> str:
    best = f"{target.name} {target.text(value)}"
    return f"{opened.path!r}: no palette reaches {target.title} (k = {k} has {best}); lower the target."


class _Trials:
    """One palette size after another. Only the best result so far is kept: an index map is as large as the image."""

    def __init__(self, opened: OpenedImage, target: Target, settings: Settings) -> None:
        self._opened, self._target, self._settings = opened, target, settings
        self._best: Choice | None = None

    def quality_at(self, k: int) -> float:
        """The target's measure of the output with ``k`` colors. The file is encoded only once its k is known."""
        choice = _at(self._opened, k, self._settings, Stopwatch())
        value = quality(self._target.measure, self._opened.decoded.pixels, choice.shown)
        # The search begins with the largest k, and returns the smallest that reaches the target, if any does.
        if self._best is None or (self._target.reached_by(value) and k < self._best.k):
            self._best = choice
        return value

    def best(self, k: int) -> Choice:
        """The result at the k that the search has returned."""
        assert self._best is not None and self._best.k == k, "smallest_k tries the largest k first"
        return self._best


def _as_record(target: Target, search: KSearch) -> KSearchRecord:
    tried = tuple((k, value if math.isfinite(value) else None) for k, value in search.tried.items())
    return KSearchRecord(target=str(target), reached=search.reached, tried=tried)
