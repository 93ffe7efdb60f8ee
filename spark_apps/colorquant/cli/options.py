"""The parser and the types of arguments that all command lines of the package have. Standard library only."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from colorquant import settings
from colorquant.errors import InvalidSetting, InvalidTarget
from colorquant.jobs import EXIT_WRONG_ARGUMENTS
from colorquant.limits import Limits
from colorquant.settings import Settings
from colorquant.target import Target
from colorquant.text import printable


class Parser(argparse.ArgumentParser):
    """A command line that reports an error in one line, with exit code 2."""

    def __init__(self, description: str | None, prog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Print the message and exit."""
        print(printable(f"{self.prog}: {message}"), file=sys.stderr)
        sys.exit(EXIT_WRONG_ARGUMENTS)


def whole(least: int, most: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number from ``least`` to ``most``, both included."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return parse


def read_settings(parser: Parser, arguments: argparse.Namespace) -> Settings:
    """The settings of a command line, with the colors of a palette that is named by its path."""
    from colorquant.palettes import with_colors

    try:
        return with_colors(settings.of_arguments(arguments))
    except (InvalidSetting, OSError) as error:
        parser.error(str(error))


def palette_size(parser: Parser, k: int | None, searched: bool, chosen: Settings, flags: str) -> int | None:
    """The palette size that a command line asks for; None where it is searched for.

    Parameters
    ----------
    k : int, optional
        The one that is given.
    searched : bool
        Whether a quality is given instead.
    chosen : Settings
        Whose palette has a size of its own.
    flags : str
        What one of must be given.
    """
    if chosen.colors:
        if searched or k not in (None, len(chosen.colors)):
            parser.error(f"argument --palette: it has {len(chosen.colors)} colors, which is k; leave {flags} out")
        return len(chosen.colors)
    if searched and chosen.shared:
        parser.error(f"argument --palette: the palette of a {chosen.shared} is found at a palette size; give --k")
    if k is None and not searched:
        parser.error(f"one of {flags} is required")
    if k is not None:
        try:
            chosen.check_k(k)
        except InvalidSetting as error:
            parser.error(str(error))
    return k


def quality(text: str) -> Target:
    """The type of an argument that is a quality target."""
    try:
        return Target.parse(text)
    except InvalidTarget as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Take the limits of images from the environment, and add the option ``--max-pixels``, which changes one."""
    try:
        limits = Limits.of_environment()
    except InvalidSetting as error:
        parser.error(str(error))
    parser.set_defaults(limits=limits)
    parser.add_argument(
        "--max-pixels",
        type=whole(1, 10**12),
        default=str(limits.pixels),
        help=f"refuse images with more pixels (default {limits.pixels}), except TIFFs, which compress_image.py reads "
        "part by part",
    )


def limits_of(arguments: argparse.Namespace) -> Limits:
    """The limits of a command line with the options of ``add_limits``."""
    limits: Limits = arguments.limits
    return replace(limits, pixels=arguments.max_pixels)
