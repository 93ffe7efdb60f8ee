"""The files of a run to publish. Standard library only."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from colorquant.errors import InvalidRecord
from colorquant.jobs import Plan
from colorquant.publish import Candidate
from colorquant.report.summary import Summary, failures_in
from colorquant.storage import location, resolve


def candidates_of(plan: Plan, summary: Summary, folder: Path) -> Iterator[Candidate]:
    """The file to publish for each planned image: the chosen output, or the original.

    Parameters
    ----------
    plan, summary : Plan, Summary
        Of the same run.
    folder : pathlib.Path
        The run's folder, which the summary's paths are relative to.

    Raises
    ------
    InvalidRecord
        Where the summary is not of this plan.
    """
    outcomes = summary.by_image()
    for image, group in groupby(plan.jobs, key=lambda job: job.name):
        job = next(group)
        rows, choice = next(outcomes, ([], None))
        if not rows or rows[0].image != image:
            raise InvalidRecord(
                f"the summary of the run {plan.run_id!r} is not of its plan: it has no row of {image!r}"
            )
        if choice and choice.output and choice.k:
            yield Candidate(
                image=image,
                source=resolve(folder, choice.output),
                folder=folder.parent.parent / "compressed",
                sha256=next(row.output_sha256 for row in rows if row.k == choice.k),
                k=choice.k,
                reason=choice.reason,
                original_sha256=job.image_sha256,
                palette=job.palette_name,
            )
        else:
            yield Candidate(
                image=image,
                source=location(job.image),
                folder=plan.images_folder,
                sha256=job.image_sha256,
                k=None,
                reason=choice.reason if choice else f"Original kept: {failures_in(rows)[-1][1]}",
                metadata=job.settings.metadata,
                original_sha256=job.image_sha256,
            )
