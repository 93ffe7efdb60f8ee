"""The published folder: one file for each image, with a manifest, on a disk or in a bucket. Standard library only."""

from colorquant.publish.difference import Difference, difference
from colorquant.publish.folder import publish, refuse_others, verify
from colorquant.publish.manifest import (
    MANIFEST,
    UNFINISHED,
    Candidate,
    Edition,
    Manifest,
    Publication,
    manifest_of,
)

__all__ = [
    "MANIFEST",
    "UNFINISHED",
    "Candidate",
    "Difference",
    "Edition",
    "Manifest",
    "Publication",
    "difference",
    "manifest_of",
    "publish",
    "refuse_others",
    "verify",
]
