"""What a person is asked before a run publishes: a line, and a text in Markdown for Airflow's UI."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from colorquant_airflow.links import in_frame, run_path

if TYPE_CHECKING:
    from colorquant.jobs import Plan
    from colorquant.report import Doubtful, Review, Summary

_MAX_NAMED = 10


@dataclass(frozen=True)
class Question:
    """What a person is asked; ``body`` is Markdown."""

    subject: str
    body: str


def question_of(dag_id: str, plan: "Plan", summary: "Summary", review: "Review") -> Question:
    """The question of a run: totals, what would change, and the worst pictures, with links to their pages."""
    pages = run_path(dag_id, plan.run_id)
    lines = [
        _totals(summary),
        f"[Look at the pictures and at all names]({in_frame(f'{pages}/review')})",
        *_changes(review),
        *_worst(pages, plan, review),
    ]
    return Question(f"Publish to {review.folder}? {review.difference.sentence()}", "\n\n".join(lines))


def _totals(summary: "Summary") -> str:
    from colorquant.text import byte_size

    totals = summary.totals
    text = f"{totals.images_compressed} of {totals.images} images compressed, {totals.failed} jobs failed."
    if chosen := totals.chosen:
        text += f" {byte_size(chosen.original_bytes)} before, {byte_size(chosen.bytes)} after."
        if chosen.low_quality:
            text += f" {chosen.low_quality} chosen outputs have a low quality."
    return text


def _changes(review: "Review") -> Iterator[str]:
    found = review.difference
    for title, names in (("Removed", found.removed), ("Changed", found.changed), ("Added", found.added)):
        if names:
            more = [f"and {len(names) - _MAX_NAMED} more"] if len(names) > _MAX_NAMED else []
            yield f"**{title}: {len(names)}**\n\n" + _list([*map(_escaped, names[:_MAX_NAMED]), *more])


def _worst(pages: str, plan: "Plan", review: "Review") -> Iterator[str]:
    if not review.worst:
        return
    planned = plan.numbered({one.image for one in review.worst})
    lines = ["| Original | Output | Lowest quality among what is added or changed |", "|---|---|---|"]
    for one in review.worst:
        number, jobs = planned[one.image]
        image = f"{pages}/images/{number}"
        ks = [job.k for job in jobs]
        position = ks.index(one.k) + 1 if one.k in ks else 1
        thumbnails = f"![original]({image}/thumbnail) | ![output]({image}/outputs/{position}/thumbnail)"
        lines.append(f"| {thumbnails} | [{_escaped(one.image)}]({in_frame(image)}?job={position}): {_figures(one)} |")
    yield "\n".join(lines)


def _figures(one: "Doubtful") -> str:
    from colorquant.text import byte_size

    quality = "not measured" if one.ssimulacra2 is None else f"{one.ssimulacra2:.1f}"
    return f"k = {one.k}, SSIMULACRA2 {quality}, {byte_size(one.original_bytes)} to {byte_size(one.bytes)}"


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _escaped(name: str) -> str:
    """A file name as Markdown that shows it and is nothing else."""
    from colorquant.text import printable

    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", printable(name))
