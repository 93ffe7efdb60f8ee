"""The templates of pages: whatever stands in them is escaped, and nothing undefined is passed over."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from colorquant.text import byte_size, printable


def environment(folder: Path) -> Environment:
    """The templates of a folder, with the filters that write names and sizes."""
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"size": byte_size, "name": printable}
    return made
