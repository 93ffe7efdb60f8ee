"""Templates of pages, in which all values are escaped and undefined values are errors."""

from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from colorquant.text import byte_size, printable, psnr_text


def environment(folder: Path) -> Environment:
    """The templates of a folder, with filters for names, sizes in bytes, and PSNR."""
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"size": byte_size, "name": printable, "psnr": partial(psnr_text, form="{:.2f}")}
    return made
