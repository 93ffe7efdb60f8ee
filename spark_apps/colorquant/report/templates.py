"""Templates of pages, in which all values are escaped and undefined values are errors."""

from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from colorquant.text import byte_size, printable, psnr_text


def environment(folder: Path) -> Environment:
    """The templates of a folder, with filters for names, numbers, sizes in bytes, and PSNR."""
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    psnr = partial(psnr_text, form="{:.2f}")
    made.filters |= {"size": byte_size, "name": printable, "number": number_text, "psnr": psnr}
    return made


def number_text(value: float | None, digits: int = 0) -> str:
    """A number with separated thousands; a dash for None."""
    return "\N{EN DASH}" if value is None else f"{value:,.{digits}f}"
