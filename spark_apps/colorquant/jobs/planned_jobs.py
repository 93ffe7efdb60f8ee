"""The jobs of a library of very many images: made where they are needed, of what files say. Standard library only."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any, overload

from colorquant.errors import InvalidRecord
from colorquant.jobs.job import Job
from colorquant.limits import Count
from colorquant.storage import Part, Parts, PathText, StrPath

#: Of an image: its name, the SHA-256 and the size of its file, and the indexes of its jobs that are done.
Entry = tuple[str, str | None, int, tuple[int, ...]]
ENTRY = tuple[PathText, str | None, Count, tuple[Count, ...]]


def entries_of(folder: StrPath, parts: Sequence[Part]) -> Parts[Entry]:
    """The entries of a plan whose parts are in a folder."""
    return Parts(folder, parts, ENTRY, _checked)


def _checked(entry: Entry) -> Entry:
    # Paths are made of names.
    if not {"", ".", ".."}.isdisjoint(entry[0].split("/")):
        raise InvalidRecord(f"{entry[0]!r} is not the name of a file below a folder")
    return entry


@dataclass(frozen=True)
class Stretch:
    """Images of a plan that follow one another, counted from 0: ``images`` of them are pending, with so many bytes."""

    start: int
    stop: int
    images: int
    image_bytes: int


class PlannedJobs(Sequence[Job]):
    """The jobs of a plan in its order, those of an image one after the other.

    Parameters
    ----------
    entries : one for each image, ascending by name.
    jobs_of : makes the jobs of an image.
    per_image : how many these are.
    """

    def __init__(self, entries: Parts[Entry], jobs_of: Callable[[Entry], list[Job]], per_image: int) -> None:
        self.entries, self._jobs_of, self._per_image = entries, jobs_of, per_image

    def __len__(self) -> int:
        return len(self.entries) * self._per_image

    def __iter__(self) -> Iterator[Job]:
        for entry in self.entries:
            yield from self._jobs_of(entry)

    @overload
    def __getitem__(self, index: int) -> Job: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Job, ...]: ...

    def __getitem__(self, index: int | slice) -> Job | tuple[Job, ...]:
        if isinstance(index, slice):
            return tuple(self[position] for position in range(*index.indices(len(self))))
        number, position = divmod(range(len(self))[index], self._per_image)
        return self._jobs_of(self.entries[number])[position]

    def of_image(self, number: int) -> list[Job]:
        """The jobs of an image, counted from 0."""
        return self._jobs_of(self.entries[number])

    def number_of(self, name: str) -> int | None:
        """The number of an image, counted from 0; None where the plan does not have it."""
        if not self.entries.parts:
            return None
        part = self.entries.part_with(name)
        entries = self.entries.part(part)
        position = bisect_left(entries, name, key=lambda entry: entry[0])
        if position == len(entries) or entries[position][0] != name:
            return None
        return self.entries.starts()[part] + position

    def with_states(self) -> Iterator[tuple[Job, bool]]:
        """Each job, and whether it is done."""
        for entry in self.entries:
            for index, job in enumerate(self._jobs_of(entry)):
                yield job, index in entry[3]

    def pending(self) -> Iterator[Job]:
        """The jobs that are not done."""
        for entry in self.entries:
            if len(entry[3]) < self._per_image:
                yield from self._pending_of(entry)

    def pending_images(self, stretch: Stretch) -> list[tuple[Job, ...]]:
        """The jobs that are not done, of each image of a stretch that has any."""
        found = map(self._pending_of, self.entries.between(stretch.start, stretch.stop))
        return [jobs for jobs in found if jobs]

    def stretches(self, max_images: int, max_bytes: float) -> Iterator[Stretch]:
        """The pending images, cut where a stretch would have more images or bytes. Each lies in one part.

        A larger image is a stretch of its own.
        """
        for part, start in enumerate(self.entries.starts()[:-1]):
            found: Stretch | None = None
            for number, (_, _, size, done) in enumerate(self.entries.iterate(part), start=start):
                if len(done) == self._per_image:
                    continue
                if found and (found.images == max_images or found.image_bytes + size > max_bytes):
                    yield found
                    found = None
                before = found or Stretch(number, number, 0, 0)
                found = Stretch(before.start, number + 1, before.images + 1, before.image_bytes + size)
            if found:
                yield found

    def _pending_of(self, entry: Entry) -> tuple[Job, ...]:
        return tuple(job for index, job in enumerate(self._jobs_of(entry)) if index not in entry[3])


class ReusedLabels(Set[str]):
    """The labels of the jobs of a plan that are done.

    Parameters
    ----------
    jobs : of the plan.
    count : how many of them are done.
    """

    def __init__(self, jobs: PlannedJobs, count: int) -> None:
        self._jobs, self._count = jobs, count

    @classmethod
    def _from_iterable(cls, it: Any) -> frozenset[str]:  # type: ignore[override]
        return frozenset(it)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        for number, entry in enumerate(self._jobs.entries):
            if entry[3]:
                jobs = self._jobs.of_image(number)
                yield from (jobs[index].label for index in entry[3])

    def __contains__(self, label: object) -> bool:
        if not isinstance(label, str):
            return False
        number = self._jobs.number_of(label.rpartition(" ")[0])
        if number is None or not (done := self._jobs.entries[number][3]):
            return False
        jobs = self._jobs.of_image(number)
        return any(jobs[index].label == label for index in done)
