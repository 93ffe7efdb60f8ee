"""The published folder: one file for each image, with a manifest, on a disk or in a bucket. Standard library only."""

from colorquant.publish.folder import publish, refuse_others, verify
from colorquant.publish.manifest import Candidate, Edition, Manifest, Publication

__all__ = ["Candidate", "Edition", "Manifest", "Publication", "publish", "refuse_others", "verify"]
