"""What a person sees before a run publishes, and the answer. Standard library only."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from colorquant.limits import Count, PaletteSize
from colorquant.publish import Difference
from colorquant.report.summary import Summary
from colorquant.storage import JsonRecord

#: The name of its file, in the run's folder.
REVIEW = "review.json"
MAX_WORST = 8


@dataclass(frozen=True, kw_only=True)
class Doubtful:
    """A chosen output of low quality among those that would be new: ``ssimulacra2`` is None where it is unknown."""

    image: str
    k: PaletteSize
    ssimulacra2: float | None
    bytes: Count
    original_bytes: Count


@dataclass(frozen=True, kw_only=True)
class Review(JsonRecord):
    """A publication that waits for a person.

    Attributes
    ----------
    run_id : of the run.
    folder : the published folder.
    difference : what the publication would change.
    worst : the eight outputs with the lowest SSIMULACRA2 among those that would be added or changed, the lowest first.
        What is published already was approved before.
    approved : the person's answer; None before there is one.
    answer : who answered, in a sentence.
    """

    schema_version: int = 1
    run_id: str
    folder: str
    difference: Difference
    worst: tuple[Doubtful, ...] = ()
    approved: bool | None = None
    answer: str = ""

    @classmethod
    def of(cls, summary: Summary, folder: str, difference: Difference) -> Self:
        """The review of a run, without an answer."""
        return cls(run_id=summary.run_id, folder=folder, difference=difference, worst=_worst(summary, difference))

    def answered(self, approved: bool, answer: str) -> Self:
        """The same review with an answer."""
        return dataclasses.replace(self, approved=approved, answer=answer)

    def is_approved_as(self, before: "Review") -> bool:
        """Whether this is what a person has approved ``before``."""
        return before.approved is True and dataclasses.replace(before, approved=None, answer="") == self


def _worst(summary: Summary, difference: Difference) -> tuple[Doubtful, ...]:
    new = {*difference.added, *difference.changed}
    qualities = {
        (row.image, row.k): (row.ssimulacra2, bool(row.lossless))
        for row in summary.rows
        if row.image in new and not row.failed
    }
    found = []
    for choice in summary.choices:
        if choice.k is None or choice.image not in new:
            continue
        quality, lossless = qualities[choice.image, choice.k]
        if not lossless:
            found.append(
                Doubtful(
                    image=choice.image,
                    k=choice.k,
                    ssimulacra2=quality,
                    bytes=choice.bytes,
                    original_bytes=choice.original_bytes,
                )
            )
    return _lowest(found)


def _lowest(found: Sequence[Doubtful]) -> tuple[Doubtful, ...]:
    # What was not measured comes first: nobody knows how bad it is.
    return tuple(sorted(found, key=lambda one: -math.inf if one.ssimulacra2 is None else one.ssimulacra2)[:MAX_WORST])
