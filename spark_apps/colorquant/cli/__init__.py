"""Command lines: ``colorquant`` itself, and what it shares with the Spark applications. Standard library only."""

from colorquant.cli.options import Parser, add_max_pixels, end_with_parent, quality, reason_of, whole
from colorquant.cli.progress import Progress

__all__ = ["Parser", "Progress", "add_max_pixels", "end_with_parent", "quality", "reason_of", "whole"]
