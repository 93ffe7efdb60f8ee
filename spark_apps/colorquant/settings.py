"""The settings of a compression: what decides the output's bytes besides the image and k. Standard library only.

One more, ``compare``, decides only what is measured. A setting is one field of ``Settings``, with its help and its
limits. Command lines and forms are made from these fields, so all of them know every setting by the same name and
limits. To add a setting, add a field.
"""

import argparse
import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from colorquant.errors import InvalidSetting
from colorquant.hex_colors import Color, colors_text, parse_colors

#: Raised by one whenever the same input, k and settings give other bytes than before, so that outputs of older
#: versions are not taken for current ones.
ALGORITHM_VERSION = 15


#: In place of a value: where a quality target is given, the job chooses it; else the default holds.
AUTO = "auto"


#: The formats that an output can be compared with, by the name that the setting ``compare`` takes: their titles.
COMPARED_FORMATS = {"jpeg": "JPEG", "webp": "WebP", "avif": "AVIF", "jxl": "JPEG XL"}


def _normal_palette(text: str) -> str:
    """A palette's colors in one spelling; a path as it is. Raises ValueError with a sentence."""
    return colors_text(parse_colors(text)) if text.startswith("#") else text


def _normal_colors(text: str) -> str:
    """Colors in one spelling. Raises ValueError with a sentence."""
    return colors_text(parse_colors(text))


#: Values of the setting ``palette``: one palette for all images of a run, or for those of each sub-folder.
LIBRARY, FOLDER = "library", "folder"
_EARLIER = re.compile(rf"{LIBRARY}:([0-9a-f]{{12}})")


def names_file(palette: str) -> bool:
    """Whether a value of the setting ``palette`` is the path of a file."""
    return not (palette in ("", LIBRARY, FOLDER) or palette.startswith("#") or _EARLIER.fullmatch(palette))


@dataclass(frozen=True, kw_only=True)
class Option:
    """A setting as people see it, and its values: one of ``choices``, or from ``minimum`` to ``maximum``, inclusive.

    A setting whose default is a tuple takes any number of its ``choices``. A text without choices is free, up to what
    its ``normal`` form allows.

    Attributes
    ----------
    name : name of the field of ``Settings``.
    default : its default; the values have the default's type: bool, int, float, str or tuple of str.
    title, help : for forms and help texts.
    automatic : whether ``AUTO`` stands for a value that the job chooses, where it searches for a quality.
    normal : of a free text: the one spelling of what it says; raises ValueError with a sentence.
    words : of a free text: what a person may write.
    """

    name: str
    default: Any
    title: str
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    automatic: bool = False
    normal: Callable[[str], str] | None = None
    words: str = ""

    @property
    def initial(self) -> Any:
        """What forms and command lines begin with."""
        return AUTO if self.automatic else self.default

    @property
    def flag(self) -> str:
        """The option's name on a command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def allowed(self) -> str:
        """What a person may write, in words."""
        return f"{AUTO}, or {self._values}" if self.automatic else self._values

    @property
    def _values(self) -> str:
        """The values that the setting takes, in words."""
        if isinstance(self.default, bool):
            return "true or false"
        if isinstance(self.default, tuple):
            return f"any of {', '.join(self.choices)}, separated by commas"
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.normal:
            return self.words
        number = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{number} from {self.minimum} to {self.maximum}"

    def check(self, value: Any) -> None:
        """Raise InvalidSetting unless the value has the setting's type and is within its limits."""
        kind = type(self.default)
        wrong = type(value) is not kind and not (kind is float and type(value) is int)
        if not wrong and kind is tuple:
            wrong = not all(part in self.choices for part in value)
        elif not wrong and self.choices:
            wrong = value not in self.choices
        if not wrong and self.minimum is not None:
            wrong = not self.minimum <= value
        if not wrong and self.maximum is not None:
            wrong = not value <= self.maximum
        if wrong:
            raise InvalidSetting(f"{self.name} = {value!r} is wrong: it takes {self._values}.")
        if self.normal:
            self._normalized(value)

    def parse(self, value: Any) -> Any:
        """The setting's value of what a person wrote: ``"7"``, ``" oklab "``, ``True``, ``"auto"``.

        Where any number of choices is allowed: ``"webp, avif"``, ``["webp", "avif"]``, or None for none. Raises
        InvalidSetting.
        """
        if isinstance(self.default, tuple):
            return self._parse_several(value)
        if self.normal:
            return self._normalized("" if value is None else _text(value).strip())
        text = _text(value).strip()
        if self.automatic and text.lower() == AUTO:
            return AUTO
        parsed: Any = text
        try:
            if isinstance(self.default, bool):
                parsed = {"true": True, "false": False}[text.lower()]
            elif isinstance(self.default, int | float):
                parsed = type(self.default)(text) if text.isascii() and "_" not in text else None
        except (ValueError, KeyError):
            parsed = None
        if parsed is None:
            raise self._refused(value)
        try:
            self.check(parsed)
        except InvalidSetting:
            raise self._refused(parsed) from None
        return parsed

    def _normalized(self, text: str) -> str:
        assert self.normal is not None
        try:
            return self.normal(text)
        except ValueError as error:
            raise InvalidSetting(f"{self.name}: {error}.") from None

    def _parse_several(self, value: Any) -> tuple[str, ...]:
        parts = value.split(",") if isinstance(value, str) else [] if value is None else value
        if not isinstance(parts, list | tuple):
            raise self._refused(value)
        named = [part.strip() if isinstance(part, str) else part for part in parts if part != ""]
        if not all(part in self.choices for part in named):
            raise self._refused(value)
        # In the order of the choices, each once: the same request is always written in the same way.
        return tuple(choice for choice in self.choices if choice in named)

    def argument(self, text: str) -> Any:
        """As ``parse``; the type of an argument of ``argparse``."""
        try:
            return self.parse(text)
        except InvalidSetting as error:
            if self.normal:
                raise argparse.ArgumentTypeError(str(error).removeprefix(f"{self.name}: ").rstrip(".")) from None
            raise argparse.ArgumentTypeError(f"{text!r} is wrong: it takes {self.allowed}") from None

    def _refused(self, value: Any) -> InvalidSetting:
        return InvalidSetting(f"{self.name} = {value!r} is wrong: it takes {self.allowed}.")


MAX_RATE = 1000.0


def _option(default: Any, title: str, help: str, decides_bytes: bool = True, **limits: Any) -> Any:
    # Settings are equal where their outputs have the same bytes.
    return dataclasses.field(default=default, compare=decides_bytes, metadata={"title": title, "help": help, **limits})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides the output's bytes besides the image and k, and what is measured in addition.

    Settings are equal where their outputs have the same bytes, whatever they ``compare``, and wherever ``weights`` are.

    Attributes
    ----------
    free : tuple of str
        Names of the settings that a job chooses itself, where it searches for the smallest file of a quality; their
        values here are the defaults.

    Raises
    ------
    InvalidSetting
        For a value outside its limits.
    """

    seed: int = _option(0, "Seed of the search", "the same seed gives the same bytes", minimum=0, maximum=2**31 - 1)
    objective: str = _option(
        "squared-error",
        "Objective",
        "what the palette minimizes: squared-error, or perceptual for the error that people see, best with the "
        "dithering direct-search",
        choices=("squared-error", "perceptual"),
        automatic=True,
    )
    color_space: str = _option(
        "rgb",
        "Color space",
        "in which the squared error is minimized: rgb for the mean squared error, oklab for the differences that "
        "people see; no effect with the objective perceptual",
        choices=("rgb", "oklab"),
        automatic=True,
    )
    rate: float = _option(
        0.0,
        "Rate",
        "weight of the file's bits against the error: 0 for the smallest error, 0.1 for files some 10 % smaller that "
        "look the same; with the objective perceptual 1 for the smallest file of a quality",
        minimum=0,
        maximum=MAX_RATE,
        automatic=True,
    )
    dither: str = _option(
        "none",
        "Dithering",
        "none for the smallest error, direct-search to mix pixels so that it looks best, blue-noise to mix two colors "
        "by a mask: fewer visible bands, larger files; rate has no effect on blue-noise",
        choices=("none", "blue-noise", "direct-search"),
        automatic=True,
    )
    palette: str = _option(
        "",
        "Palette",
        "a palette that every image is mapped to, in its own order: a file (.png, .gpl, .act, .pal, or hex colors as "
        "text), or the colors themselves, as #000000,#ffffff; library for one that is found for all images, folder for "
        "one for each sub-folder, library:name for an earlier one; empty for a palette of each image's own",
        normal=_normal_palette,
        words="the path of a palette, colors, library, folder or library:name",
    )
    palette_counts: str = _option(
        "pixels",
        "What counts in a common palette",
        "pixels: every pixel of all images counts the same; images: every image does, whatever its size; no effect "
        "where each image has a palette of its own",
        choices=("pixels", "images"),
    )
    keep: str = _option(
        "",
        "Colors to keep",
        "colors that every palette has exactly, as #ffffff,#d62728; pixels of these colors keep them",
        normal=_normal_colors,
        words="colors, separated by commas",
    )
    # The pictures decide the bytes, and not where they are: jobs are named by their hashes.
    weights: str = _option(
        "",
        "Weights",
        "a folder of grey pictures with the images' names: how much each pixel counts for the palette, white 64 times "
        "as much as black; in an image without such a picture all pixels count the same",
        decides_bytes=False,
        normal=str.strip,
        words="the path of a folder",
    )
    format: str = _option(
        "png",
        "File format",
        "png for an indexed PNG, webp for a lossless WebP, often smaller",
        choices=("png", "webp"),
    )
    effort: str = _option(
        "normal",
        "Effort",
        "normal; high, with which Zopfli makes the PNGs of graphics some 2 % smaller in about a second; or max for the "
        "smallest PNG: oxipng and zopflipng try too, some 20 s for a megapixel; no effect on webp",
        choices=("normal", "high", "max"),
        automatic=True,
    )
    metadata: str = _option(
        "stripped",
        "Metadata",
        "stripped, or copyright to keep copyright and author; the resolution (DPI) is always kept. Published originals "
        "are stripped likewise, of positions and cameras; with original they are published as they are",
        choices=("stripped", "copyright", "original"),
    )
    compare: tuple[str, ...] = _option(
        (),
        "Compare with",
        "other formats: measure the bytes that they need for the SSIMULACRA2 of the output, seven trials of each; this "
        "does not change the output",
        decides_bytes=False,
        choices=tuple(COMPARED_FORMATS),
    )
    free: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = options()
        for name, option in known.items():
            option.check(getattr(self, name))
        if tuple(name for name in known if known[name].automatic and name in self.free) != self.free:
            raise InvalidSetting(
                f"free = {self.free!r} is wrong: it takes names of automatic settings, in their order."
            )
        if self.weights and (self.colors or self.is_palette_path):
            raise InvalidSetting("weights: they have no effect on a palette that is given; leave one of the two out.")
        if self.shared and self.objective != "squared-error":
            raise InvalidSetting(
                f"objective: the palette of a {self.shared} minimizes the squared error; leave objective out."
            )

    @property
    def colors(self) -> tuple[Color, ...]:
        """The colors of the palette, in its order, where the setting has them and not a path."""
        return parse_colors(self.palette) if self.palette.startswith("#") else ()

    @property
    def shared(self) -> str:
        """Which images have one palette: ``LIBRARY``, ``FOLDER``, or empty where none is found for several."""
        return LIBRARY if _EARLIER.fullmatch(self.palette) else self.palette * (self.palette in (LIBRARY, FOLDER))

    @property
    def earlier_palette(self) -> str | None:
        """The name of the earlier palette of a library that is to be used again."""
        match = _EARLIER.fullmatch(self.palette)
        return match and match[1]

    @property
    def is_palette_path(self) -> bool:
        """Whether the palette is given as the path of a file, which has to be read."""
        return names_file(self.palette)

    @property
    def kept(self) -> tuple[Color, ...]:
        """The colors that every palette has."""
        return parse_colors(self.keep)

    def check_k(self, k: int) -> None:
        """Raise InvalidSetting where a palette of k colors cannot have those that are to be kept."""
        if len(self.kept) > k:
            raise InvalidSetting(f"keep: {len(self.kept)} colors are to be kept, which are more than k = {k}.")

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """The settings of values as people write them, by name: ``{"seed": "7"}``. Raises InvalidSetting."""
        known = options()
        for name in values:
            if name not in known:
                raise InvalidSetting(f"There is no setting {name!r}; there are {', '.join(known)}.")
        return cls._of({name: option.initial for name, option in known.items()} | dict(values))

    @classmethod
    def _of(cls, values: Mapping[str, Any]) -> Self:
        """Settings of a value for each name, in which ``AUTO`` leaves a setting free."""
        parsed = {name: option.parse(values[name]) for name, option in options().items()}
        free = tuple(name for name, value in parsed.items() if value == AUTO)
        return cls(**{name: value for name, value in parsed.items() if name not in free}, free=free)

    @classmethod
    def of_record(cls, settings: Mapping[str, Any], seed: int, version: int | None = None) -> Self | None:
        """The settings of a result record; None where another version, with other settings, wrote it.

        ``version`` is that of an algorithm that may have written it too, besides this one.
        """
        values = {name: value for name, value in settings.items() if name != "algorithm_version"}
        versions = (ALGORITHM_VERSION, ALGORITHM_VERSION if version is None else version)
        if settings.get("algorithm_version") not in versions or not values.keys() <= options().keys():
            return None
        try:
            return cls(**values, seed=seed)
        except (InvalidSetting, TypeError):
            return None

    def as_record(self) -> dict[str, Any]:
        """The settings that decide the bytes as a result record names them; the seed has a field of its own there."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.compare}
        del values["seed"], values["free"]
        return {"algorithm_version": ALGORITHM_VERSION} | values

    def identity(self) -> list[Any]:
        """What tells these settings from others. Without defaults: a new setting leaves old outputs current."""
        known = options()
        changed = {
            name: value for name, value in self.as_record().items() if name in known and value != known[name].default
        }
        free = {"free": list(self.free)} if self.free else {}
        return [self.seed, {"algorithm_version": ALGORITHM_VERSION} | changed | free]

    def fixed(self) -> Self:
        """These settings with nothing free: the defaults hold."""
        return dataclasses.replace(self, free=())

    def chosen(self, **values: Any) -> Self:
        """These settings with nothing free, and other values of those that were."""
        assert values.keys() <= set(self.free)
        return dataclasses.replace(self, **values, free=())

    def allows(self, chosen: "Settings") -> bool:
        """Whether settings are these, except those that are free."""
        return self.chosen(**{name: getattr(chosen, name) for name in self.free}) == chosen

    def arguments(self) -> list[str]:
        """The settings as options of an application's command line."""
        values = self.as_parameters()
        return [f"{option.flag}={_text(values[name])}" for name, option in options().items()]

    def as_parameters(self) -> dict[str, Any]:
        """The value of each setting by its name, with ``AUTO`` for one that is free: JSON that ``parse`` takes."""
        values = {name: AUTO if name in self.free else getattr(self, name) for name in options()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def options() -> dict[str, Option]:
    """The ``Option`` of every setting, by name."""
    return _options_of(Settings)


@cache
def _options_of(kind: type[Settings]) -> dict[str, Option]:
    return {
        field.name: Option(name=field.name, default=field.default, **field.metadata)
        for field in dataclasses.fields(kind)
        if field.metadata
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add an option for each setting to a command line."""
    for option in options().values():
        parser.add_argument(
            option.flag,
            default=option.initial,
            type=option.argument,
            help=f"{option.help} ({option.allowed}; default {_default_text(option) or 'none'})".replace("%", "%%"),
        )


def of_arguments(arguments: argparse.Namespace) -> Settings:
    """The settings of a parsed command line."""
    return Settings.parse({name: getattr(arguments, name) for name in options()})


def _default_text(option: Option) -> str:
    default = _text(option.default)
    return f"{AUTO}: {default} where the palette size is given" if option.automatic else default


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
