"""The settings of a compression: what, beside the image and k, decides the output's bytes. Standard library only.

A setting is one field of ``Settings``, with its help and its limits. The applications' options, the parameters of the
DAGs and ``make run`` all come from here, so that each knows every setting by the same name and limits.
"""

import argparse
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

#: Raised by one whenever the same input, k and settings give other bytes than before, so that old outputs are not
#: taken for current ones.
ALGORITHM_VERSION = 10


class InvalidSetting(ValueError):
    """A setting is unknown or has a value out of its limits; the message says which and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """What a person is told of a setting, and its values: one of ``choices``, or from ``least`` to ``most`` (both)."""

    title: str
    help: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


def _option(default: Any, title: str, help: str, **limits: Any) -> Any:
    return dataclasses.field(default=default, metadata={"option": Option(title=title, help=help, **limits)})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What, beside the image and k, decides the output's bytes.

    Raises
    ------
    InvalidSetting
        For a value out of its limits.
    """

    seed: int = _option(0, "Seed of the search", "the same seed gives the same bytes", least=0, most=2**31 - 1)
    objective: str = _option(
        "squared-error",
        "Objective",
        "what the palette is made for: the least squared error, or the least error that an eye sees (perceptual), best "
        "with dither direct-search",
        choices=("squared-error", "perceptual"),
    )
    color_space: str = _option(
        "rgb",
        "Color space",
        "where the squared error is made small: rgb for the mean squared error, oklab for what people see; no effect "
        "with objective perceptual",
        choices=("rgb", "oklab"),
    )
    rate: float = _option(
        0.0,
        "Rate",
        "what a bit of the file may cost, as part of the error: 0 for the least error, 0.1 for files some 10 % smaller "
        "that look the same",
        least=0,
        most=100,
    )
    dither: str = _option(
        "none",
        "Dithering",
        "none for the least error, direct-search to mix pixels as it looks best, blue-noise to mix two colors by a "
        "mask: fewer visible bands, larger files; rate has no effect on "
        "blue-noise",
        choices=("none", "blue-noise", "direct-search"),
    )
    format: str = _option(
        "png",
        "File format",
        "png for an indexed PNG, webp for a lossless WebP, often smaller",
        choices=("png", "webp"),
    )
    metadata: str = _option(
        "stripped",
        "Metadata",
        "stripped, or copyright to keep copyright and author; the resolution (DPI) is always kept",
        choices=("stripped", "copyright"),
    )

    def __post_init__(self) -> None:
        for name, (default, option) in options().items():
            _check(name, getattr(self, name), default, option)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Settings of values as people write them, by name: ``{"seed": "7"}``. Raises InvalidSetting."""
        known = options()
        for name in values:
            if name not in known:
                raise InvalidSetting(f"There is no setting {name!r}; there are {', '.join(known)}.")
        return cls(**{name: _parsed(name, value, *known[name]) for name, value in values.items()})

    @classmethod
    def of_record(cls, settings: Mapping[str, Any], seed: int) -> Self | None:
        """The settings of a result record; None where another version's record has other ones than these."""
        values = {name: value for name, value in settings.items() if name != "algorithm_version"}
        if settings.get("algorithm_version") != ALGORITHM_VERSION or not values.keys() <= options().keys():
            return None
        try:
            return cls(**values, seed=seed)
        except (InvalidSetting, TypeError):
            return None

    def as_record(self) -> dict[str, Any]:
        """The settings as a result record names them; the seed has a field of its own there."""
        values = dataclasses.asdict(self)
        del values["seed"]
        return {"algorithm_version": ALGORITHM_VERSION} | values

    def identity(self) -> list[Any]:
        """What tells these settings from others. A default is left out: a new setting leaves old outputs current."""
        known = options()
        changed = {name: value for name, value in self.as_record().items() if name in known and value != known[name][0]}
        return [self.seed, {"algorithm_version": ALGORITHM_VERSION} | changed]

    def arguments(self) -> list[str]:
        """The settings as options of an application's command line."""
        return [f"--{name.replace('_', '-')}={_text(value)}" for name, value in dataclasses.asdict(self).items()]


def options() -> dict[str, tuple[Any, Option]]:
    """Default and ``Option`` of every setting, by name."""
    return {field.name: (field.default, field.metadata["option"]) for field in dataclasses.fields(Settings)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add an option for each setting to a command line."""
    for name, (default, option) in options().items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            default=default,
            type=_argument(name, default, option),
            help=f"{option.help} ({allowed(default, option)}; default {_text(default)})".replace("%", "%%"),
        )


def of_arguments(arguments: argparse.Namespace) -> Settings:
    """The settings of a parsed command line."""
    return Settings(**{name: getattr(arguments, name) for name in options()})


def allowed(default: Any, option: Option) -> str:
    """The values that a setting takes, in words."""
    if isinstance(default, bool):
        return "true or false"
    if option.choices:
        return f"one of {', '.join(option.choices)}"
    number = "a whole number" if isinstance(default, int) else "a number"
    return f"{number} from {option.least} to {option.most}"


def _check(name: str, value: Any, default: Any, option: Option) -> None:
    kind = type(default)
    wrong = type(value) is not kind and not (kind is float and type(value) is int)
    if not wrong and option.choices:
        wrong = value not in option.choices
    if not wrong and option.least is not None:
        wrong = not option.least <= value
    if not wrong and option.most is not None:
        wrong = not value <= option.most
    if wrong:
        raise InvalidSetting(f"{name} = {value!r} is wrong: it takes {allowed(default, option)}.")


def _parsed(name: str, value: Any, default: Any, option: Option) -> Any:
    text = _text(value).strip()
    parsed: Any = text
    try:
        if isinstance(default, bool):
            parsed = {"true": True, "false": False}[text.lower()]
        elif isinstance(default, int):
            parsed = int(text) if text.isascii() and "_" not in text else None
        elif isinstance(default, float):
            parsed = float(text) if text.isascii() and "_" not in text else None
    except (ValueError, KeyError):
        parsed = None
    if parsed is None:
        raise InvalidSetting(f"{name} = {value!r} is wrong: it takes {allowed(default, option)}.")
    _check(name, parsed, default, option)
    return parsed


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _argument(name: str, default: Any, option: Option) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return _parsed(name, text, default, option)
        except InvalidSetting:
            raise argparse.ArgumentTypeError(f"{text!r} is wrong: it takes {allowed(default, option)}") from None

    return parse
