"""Palettes that several images have in common: their names, their files, their records. Standard library only.

A palette is named by a hash of what made it: the contents of its images and the settings that count for it. So the same
images lead to the same name, whatever they are called and in whatever order they are counted.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from colorquant.hex_colors import Color, parse_colors
from colorquant.jobs.memory import Memory
from colorquant.jobs.weights import WeightsFile
from colorquant.limits import Count, PaletteSize
from colorquant.settings import ALGORITHM_VERSION, FOLDER, LIBRARY, Settings
from colorquant.storage import JsonRecord, PathText

_SETTINGS = ("color_space", "palette_counts", "keep")
_NAME_LENGTH = 12


@dataclass(frozen=True, kw_only=True)
class SharedPalette(JsonRecord):
    """A palette of several images at one k, and what made it. Its file appears last, after those for people.

    Attributes
    ----------
    name : what made it, as hex digits (``name_of_palette``).
    folder : the sub-folder of its images; empty where they are those of the whole library.
    k : the palette size that was asked for.
    colors : as ``#rrggbb``, or ``#rrggbbaa`` with alpha, separated by commas.
    images, pixels : how many images were counted, and their pixels.
    mse : mean squared RGB distance of the pixels to their nearest colors, each pixel weighted as it counted.
    left_out : images that could not be read, by their names, each with the reason.
    seed, settings : of the search; only the settings that count for a palette.
    """

    schema_version: int = 1
    name: str
    folder: PathText
    k: PaletteSize
    colors: str
    images: Count
    pixels: Count
    mse: float
    seed: int
    settings: dict[str, Any]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def entries(self) -> tuple[Color, ...]:
        """The colors in their order."""
        return parse_colors(self.colors)


def name_of_palette(hashes: Iterable[str | None], settings: Settings) -> str:
    """The name of the palette of images with these ``content_of``; those that could not be read have none."""
    known = sorted(sha256 for sha256 in hashes if sha256)
    identity = json.dumps([settings.seed, settings_of_palette(settings), known], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:_NAME_LENGTH]


def content_of(sha256: str | None, weights: WeightsFile | None) -> str | None:
    """What an image brings to a palette, as text: its SHA-256, and that of its weights."""
    return f"{sha256} {weights.sha256}" if sha256 and weights else sha256


def settings_of_palette(settings: Settings) -> dict[str, Any]:
    """Of the settings, those that decide a palette of several images. All others decide what is done with it."""
    return {"algorithm_version": ALGORITHM_VERSION} | {name: getattr(settings, name) for name in _SETTINGS}


def group_of(image: str, settings: Settings) -> str:
    """The sub-folder whose images have one palette with an image of this name; empty for the whole library."""
    return image.rpartition("/")[0] if settings.palette == FOLDER else ""


def palette_path(output_folder: str, name: str, k: int | None) -> str:
    """Path of the record of a palette; its files for people have other suffixes."""
    return f"{output_folder.rstrip('/')}/palettes/{name}/k{k:03d}.json"


def news_of_palette(
    group: str, name: str, before: Memory, hashes: Mapping[str, str | None], is_given: bool = False
) -> str:
    """A sentence: whether a palette stays or is found again, and why.

    Parameters
    ----------
    group : the sub-folder of its images; empty for the library.
    name : the palette's name.
    before : what the last plan of the library saw. It has no images that had changed only just before.
    hashes : SHA-256 of the images of the library by their names.
    is_given : whether an earlier palette was asked for.
    """
    what = f"The palette of the folder {group!r}" if group else "The palette of the library"
    old = before.palettes.get(group)
    if is_given:
        return f"{what} stays {name}, as asked for."
    if old is None:
        return f"{what} is {name}."
    if old == name:
        return f"{what} stays {name}: no image has changed."
    joined = sum(image not in before.images for image in hashes)
    left = sum(image not in hashes for image in before.images)
    changed = sum(image in hashes and hashes[image] != seen[1] for image, seen in before.images.items())
    why = (
        f"{joined} images joined, {changed} changed and {left} left" if joined + changed + left else "settings changed"
    )
    keep = "" if group else f" palette={LIBRARY}:{old} keeps that one."
    return f"{what} is found again, as {name}: {why} since {old}. Its images are all mapped again.{keep}"
