"""Writing the report of a run into its folder."""

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from colorquant.errors import InvalidRecord
from colorquant.jobs import Plan, forget
from colorquant.report.comparison import compare, previous_summaries
from colorquant.report.illustrations import illustrate
from colorquant.report.large_summary import LargeSummary, summary_of
from colorquant.report.library import ROWS_FOLDER, library_of, rows_by_page
from colorquant.report.page import ImageSection, page_html, picture_budget, repetition_html, rows_html
from colorquant.report.preview_process import PreviewProcess
from colorquant.report.repetition import Repetition, read_repetition
from colorquant.report.summary import SUMMARY, Summary
from colorquant.report.tables import csv_lines
from colorquant.storage import is_file, write_atomically

PAGE = "summary.html"
# That draw pictures: each holds those of one image.
_MAX_THREADS = 8


def summarize_run(plan: Plan, folder: Path, written_at: datetime | None = None) -> Summary:
    """Read the results and failures of a plan's jobs, and write the report.

    Parameters
    ----------
    plan : Plan
        The run's plan.
    folder : pathlib.Path
        The run's folder. The function writes ``summary.json``, ``summary.csv`` and last ``summary.html``, each of them
        atomically; where the plan is in parts, before them rows and choices to ``parts``. Of a large library the page
        shows some images, and ``rows/`` has the figures of all. The contact sheets and small pictures of the images
        that the page shows are next to their outputs, where earlier runs may have left them. Where nothing is new since
        the previous run, only ``summary.json`` and ``summary.html`` are written, and both name the run that they
        repeat.
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
    summary = summary_of(plan, folder, written_at)
    if plan.output_folder and summary.has_lost(plan):
        # The plan did not see it: a disk may change a file without a trace.
        forget(plan.output_folder, plan.library)
    for path, previous in previous_summaries(summary, folder):
        try:
            compared = dataclasses.replace(summary, changes=compare(previous, summary))
            repetition = Repetition.of(compared, previous, path)
        except (OSError, InvalidRecord):
            if not previous.in_parts:
                raise
            continue  # A part of it is damaged or gone. Those of this run are read again below.
        summary = compared
        # A summary that is already there may be repeated by a later run.
        if repetition and not _is_summary(folder / SUMMARY):
            repetition.write(folder / SUMMARY)
            write_atomically(folder / PAGE, repetition_html(repetition).encode())
            if isinstance(summary, LargeSummary):
                summary.remove_parts()
                return repetition.summary(folder / SUMMARY)
            return summary
        break
    # The figures first: they are complete even if drawing is interrupted or the disk fills.
    write_atomically(folder / SUMMARY, summary.as_json().encode("ascii"))
    write_atomically(folder / "summary.csv", (line.encode() for line in csv_lines(summary.rows)))
    library = library_of(summary)
    planned = plan.numbered(library.shown if library else summary.rows_by_image().keys())
    by_image = {}
    for image, (number, jobs_of_image) in planned.items():
        count = len(jobs_of_image)
        by_image[image] = list(summary.rows[(number - 1) * count : number * count])
    if library:
        for number, rows in enumerate(rows_by_page(summary), start=1):
            text = rows_html(summary, library, number, rows)
            write_atomically(folder / ROWS_FOLDER / library.pages[number - 1].file, text.encode())
    budget = picture_budget(sum(1 + len(rows) for rows in by_image.values()))
    choices = {choice.image: choice for choice in summary.choices if choice.image in by_image}
    with PreviewProcess() as process, ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:

        def section(image: str) -> ImageSection:
            rows, (number, (job, *_)) = by_image[image], planned[image]
            pictures, sheet = illustrate(rows, job.image, plan.images_folder, job.image_sha256, folder, budget, process)
            return ImageSection(
                number=number,
                name=image,
                rows=rows,
                choice=choices.get(image),
                original=pictures.original,
                thumbnail=pictures.thumbnail,
                pictures={int(k): picture for k, picture in pictures.pictures.items()},
                palettes={int(k): strip for k, strip in pictures.palettes.items()},
                contact_sheet=sheet,
                transparent=pictures.transparent,
            )

        sections = list(pool.map(section, by_image))
    write_atomically(folder / PAGE, page_html(summary, sections, library).encode())
    return summary


def standing_report(plan: Plan, folder: Path) -> tuple[Path, Summary] | None:
    """The report that already is that of a plan.

    Parameters
    ----------
    plan : Plan
        A plan that need not be written.
    folder : pathlib.Path
        Where its run's folder would be.

    Returns
    -------
    tuple of (pathlib.Path, Summary), or None
        The page of the run that this one would repeat, and what it says; None where a job is pending or has failed, a
        part of the library cannot be read, or anything else is new; and of a plan in parts, which only a run reports.

    Raises
    ------
    OSError
    """
    if plan.part_files() or plan.pending() or plan.unreadable:
        return None
    summary = Summary.of(plan, folder)
    found = next(previous_summaries(summary, folder), None)
    if summary.totals.failed or not found:
        return None
    path, previous = found
    repetition = Repetition.of(summary, previous, path)
    page = path.parent.parent / repetition.same_as / PAGE if repetition else None
    return (page, previous) if page and is_file(page) else None


def _is_summary(path: Path) -> bool:
    try:
        return read_repetition(path) is None
    except FileNotFoundError:
        return False
    except InvalidRecord:
        return True
