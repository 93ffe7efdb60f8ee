"""Writing the report of a run into its folder."""

import dataclasses
import logging
from datetime import datetime
from pathlib import Path

from PIL.Image import Image

from colorquant.jobs import Plan
from colorquant.report.choice import Choice
from colorquant.report.comparison import compare, previous_summary
from colorquant.report.contact_sheet import contact_sheet, sheet_names
from colorquant.report.library import ROWS_FOLDER, library_of
from colorquant.report.page import ImageSection, page_html, picture_budget, rows_html
from colorquant.report.preview_process import PreviewProcess
from colorquant.report.previews import Picture, embed, embed_preview, load_preview, palette_strip, thumbnail
from colorquant.report.rows import Row
from colorquant.report.summary import Summary
from colorquant.storage import location, resolve, write_atomically
from colorquant.text import readable

logger = logging.getLogger(__name__)

SHEETS_FOLDER = "contact_sheets"


def summarize_run(plan: Plan, folder: Path, written_at: datetime | None = None) -> Summary:
    """Read the results and failures of a plan's jobs, and write the report.

    Parameters
    ----------
    plan : Plan
        The run's plan.
    folder : pathlib.Path
        The run's folder. The function writes ``summary.json``, ``summary.csv``, ``contact_sheets/<image>.png`` for
        each image with an output, and last ``summary.html``, each of them atomically. Of a large library the page
        shows some images, only these have contact sheets, and ``rows/`` has the figures of all.
    written_at : datetime.datetime, optional
        The time of the report; now by default.

    Returns
    -------
    Summary
        As written.

    Raises
    ------
    OSError
        Where the folder cannot be written. Missing and damaged results are failed rows.
    """
    summary = _since_the_previous_run(Summary.of(plan, folder, written_at), folder)
    # The figures first: they are complete even if drawing is interrupted or the disk fills.
    write_atomically(folder / "summary.json", summary.as_json().encode("ascii"))
    write_atomically(folder / "summary.csv", summary.as_csv().encode())
    library = library_of(summary)
    originals = {job.name: job.image for job in plan.jobs}
    by_image = summary.rows_by_image()
    numbers = {image: number for number, image in enumerate(by_image, start=1)}
    if library:
        by_image = {image: rows for image, rows in by_image.items() if image in library.shown}
        for number, page in enumerate(library.pages, start=1):
            write_atomically(folder / ROWS_FOLDER / page.file, rows_html(summary, library, number).encode())
    sheets = sheet_names(image for image, rows in by_image.items() if not all(row.failed for row in rows))
    budget = picture_budget(sum(1 + len(rows) for rows in by_image.values()))
    choices = {choice.image: choice for choice in summary.choices}
    with PreviewProcess() as process:
        sections = [
            _illustrate(
                numbers[image],
                rows,
                choices.get(image),
                load_preview(location(originals[image]), below=plan.images_folder, process=process),
                folder,
                sheets.get(image),
                budget,
                process,
            )
            for image, rows in by_image.items()
        ]
    write_atomically(folder / "summary.html", page_html(summary, sections, library).encode())
    return summary


def _since_the_previous_run(summary: Summary, folder: Path) -> Summary:
    previous = previous_summary(summary, folder)
    return dataclasses.replace(summary, changes=compare(previous, summary)) if previous else summary


def _illustrate(
    number: int,
    rows: list[Row],
    choice: Choice | None,
    preview: Image | None,
    folder: Path,
    sheet: str | None,
    budget: int,
    process: PreviewProcess,
) -> ImageSection:
    """Decode the outputs of an image once, write the contact sheet, and return the image's part of the page."""
    image = rows[0].image
    versions = []
    pictures: dict[int, Picture] = {}
    palettes: dict[int, str] = {}
    for row in rows:
        output = resolve(folder, row.output) if row.output else None
        version = load_preview(output, process=process) if output else None
        versions.append((row, version))
        if output and version and row.k is not None:
            pictures[row.k] = embed(output, version, budget)
            if strip := palette_strip(output):
                palettes[row.k] = strip
    if sheet:
        write_atomically(folder / SHEETS_FOLDER / sheet, contact_sheet(readable(image), preview, versions))
    return ImageSection(
        number=number,
        name=image,
        rows=rows,
        choice=choice,
        original=embed_preview(preview, budget) if preview else None,
        thumbnail=thumbnail(preview) if preview else None,
        pictures=pictures,
        palettes=palettes,
        contact_sheet=f"{SHEETS_FOLDER}/{sheet}" if sheet else None,
    )
