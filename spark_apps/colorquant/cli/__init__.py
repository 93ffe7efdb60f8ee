"""The command ``colorquant``, and what the Spark applications' command lines share with it. Standard library only."""

from colorquant.cli.options import Parser, add_limits, limits_of, palette_size, quality, read_settings, whole
from colorquant.cli.progress import Progress

__all__ = ["Parser", "Progress", "add_limits", "limits_of", "palette_size", "quality", "read_settings", "whole"]
