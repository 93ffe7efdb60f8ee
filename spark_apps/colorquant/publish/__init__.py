"""The published folder: one file for each image, with a manifest, on a disk or in a bucket. Standard library only."""

from colorquant.publish.folder import Candidate, PublishFailed, publish, refuse_others

__all__ = ["Candidate", "publish", "PublishFailed", "refuse_others"]
