"""The files of a run to publish. Standard library only."""

from collections.abc import Iterator
from pathlib import Path

from colorquant.jobs import Plan
from colorquant.publish import Candidate
from colorquant.report.summary import Summary
from colorquant.storage import location, resolve


def candidates_of(plan: Plan, summary: Summary, folder: Path) -> Iterator[Candidate]:
    """The file to publish for each planned image: the chosen output, or the original.

    Parameters
    ----------
    plan, summary : Plan, Summary
        Of the same run.
    folder : pathlib.Path
        The run's folder, which the summary's paths are relative to.
    """
    originals = {job.name: job for job in plan.jobs}
    choices = {choice.image: choice for choice in summary.choices}
    reasons = {image: reason for image, reason, _ in summary.failures()}
    hashes = {(row.image, row.k): row.output_sha256 for row in summary.rows}
    for image, job in originals.items():
        choice = choices.get(image)
        if choice and choice.output and choice.k:
            yield Candidate(
                image=image,
                source=resolve(folder, choice.output),
                folder=folder.parent.parent / "compressed",
                sha256=hashes[image, choice.k],
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
                reason=choice.reason if choice else f"Original kept: {reasons[image]}",
                metadata=job.settings.metadata,
                original_sha256=job.image_sha256,
            )
