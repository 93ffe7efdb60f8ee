"""The pictures of an image for a report: drawn once for the same outputs, and kept next to these.

The names of the two files contain a hash of all that they show, so they never change. A contact sheet is linked by the
page; the small pictures, which the page contains, are kept to be read again. They are kept only where every picture
could be decoded: what was missing once may be there the next time.
"""

import dataclasses
import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import ClassVar

from PIL.Image import Image

from colorquant.errors import InvalidRecord
from colorquant.report.contact_sheet import contact_sheet
from colorquant.report.preview_process import PreviewProcess
from colorquant.report.previews import Picture, embed, embed_preview, load_preview, palette_strip, thumbnail
from colorquant.report.rows import Row
from colorquant.storage import JsonRecord, StrPath, is_file, location, resolve, write_atomically
from colorquant.text import readable

# Raised when the same rows give other pictures. So do other versions of these packages.
_VERSION = 4
_PACKAGES = ("imagecodecs", "matplotlib", "pillow")
# What a picture does not depend on.
_NOT_SHOWN = ("state", "output", "seconds", "spark_version", "iterations", "converged")


@dataclass(frozen=True, kw_only=True)
class Illustrations(JsonRecord):
    """The embedded pictures of an image: the original, a thumbnail, and outputs and their palettes by k, as text.

    ``transparent`` is whether a pixel of any of them is not opaque.
    """

    indent: ClassVar[int | None] = None

    schema_version: int = 1
    original: Picture | None = None
    thumbnail: Picture | None = None
    pictures: dict[str, Picture] = field(default_factory=dict)
    palettes: dict[str, str] = field(default_factory=dict)
    transparent: bool = False


def illustrate(
    rows: list[Row],
    original: StrPath,
    below: StrPath,
    sha256: str | None,
    folder: Path,
    budget: int,
    process: PreviewProcess,
) -> tuple[Illustrations, str | None]:
    """The pictures of an image, drawn where they are not there already, and the path of its contact sheet.

    Parameters
    ----------
    rows : list of Row
        All of the image.
    original, below : str or path-like
        The image's file, and the folder in which it must lie.
    sha256 : str or None
        Of the file when it was planned.
    folder : pathlib.Path
        That of the report. The path of the sheet is relative to it; None where the image has no output.
    budget : int
        Largest size of a picture in bytes.
    process : PreviewProcess
        Decodes.

    Raises
    ------
    OSError
        Where a file cannot be written.
    """
    preview = partial(load_preview, location(original), below=below, process=process, sha256=sha256)
    output = next((row.output for row in rows if row.output), None)
    if output is None:
        return _illustrations(preview(), [], budget), None
    home, digest = resolve(folder, output).parent, _digest(rows, budget)
    sheet, kept = home / f"sheet-{digest}.png", home / f"pictures-{digest}.json"
    link = Path(os.path.relpath(str(sheet), str(folder))).as_posix()
    with suppress(OSError, InvalidRecord):
        if is_file(sheet):
            return Illustrations.read(kept), link
    files = [resolve(folder, row.output) if row.output else None for row in rows]
    versions = [
        load_preview(file, process=process, sha256=row.output_sha256) if file else None
        for row, file in zip(rows, files, strict=True)
    ]
    shown = preview()
    drawn = _illustrations(shown, list(zip(rows, files, versions, strict=True)), budget)
    write_atomically(sheet, contact_sheet(readable(rows[0].image), shown, list(zip(rows, versions, strict=True))))
    if shown and all(version or row.failed for row, version in zip(rows, versions, strict=True)):
        drawn.write(kept)
    return drawn, link


def _illustrations(
    original: Image | None, outputs: list[tuple[Row, Path | None, Image | None]], budget: int
) -> Illustrations:
    pictures: dict[str, Picture] = {}
    palettes: dict[str, str] = {}
    for row, file, version in outputs:
        if file and version:
            pictures[str(row.k)] = embed(file, version, budget)
            if strip := palette_strip(file):
                palettes[str(row.k)] = strip
    return Illustrations(
        original=embed_preview(original, budget) if original else None,
        thumbnail=thumbnail(original) if original else None,
        pictures=pictures,
        palettes=palettes,
        transparent=any(image.mode == "RGBA" for image in (original, *(version for *_, version in outputs)) if image),
    )


@cache
def _versions() -> list[str]:
    return [metadata.version(package) for package in _PACKAGES]


def _digest(rows: list[Row], budget: int) -> str:
    versions = [_VERSION, budget, *_versions()]
    shown = [{name: value for name, value in dataclasses.asdict(row).items() if name not in _NOT_SHOWN} for row in rows]
    return hashlib.sha256(json.dumps([versions, shown], sort_keys=True).encode()).hexdigest()[:16]
