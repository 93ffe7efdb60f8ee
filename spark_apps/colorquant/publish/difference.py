"""What a publication would change, found without writing anything. Standard library only."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from colorquant.errors import Unpublishable
from colorquant.limits import Count
from colorquant.publish.copying import measured, pieces_of
from colorquant.publish.manifest import Candidate, Edition, by_image, left_out, manifest_of, refuse_older


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The images whose published file would come, change or go; ``published`` counts the images that are there now."""

    published: Count
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether every published file would stay as it is."""
        return not (self.added or self.changed or self.removed)

    def sentence(self) -> str:
        """How many images it is about, as a sentence."""
        counts = [(len(self.removed), "removed"), (len(self.changed), "changed"), (len(self.added), "added")]
        told = ", ".join(f"{count} {what}" for count, what in counts if count) or "nothing changes"
        return f"Of {self.published} published images: {told}."


def difference(candidates: Iterable[Candidate], folder: Path, edition: Edition) -> Difference:
    """Compare the files of a run with those of the published folder, by their hashes.

    Parameters
    ----------
    candidates, folder, edition
        As for ``publish``. Originals are read, since what is published of them has less metadata. A candidate that
        cannot be published leaves what is published of its image as it is, as ``publish`` does.

    Raises
    ------
    PublishFailed
        Where a newer run has published there.
    OSError
        Where the manifest, or an original's store, cannot be read.
    """
    there = manifest_of(folder)
    refuse_older(there, edition)
    published = by_image(there)
    added, changed = [], []
    planned = set()
    for one in candidates:
        planned.add(one.image)
        try:
            sha256 = one.sha256 if one.k is not None else measured(pieces_of(one))[1]
        except Unpublishable:
            continue
        if one.image not in published:
            added.append(one.image)
        elif published[one.image].sha256 != sha256:
            changed.append(one.image)
    planned |= {file.image for file in left_out(there, edition, planned)}
    return Difference(
        published=len(published),
        added=tuple(added),
        changed=tuple(changed),
        removed=tuple(image for image in published if image not in planned),
    )
