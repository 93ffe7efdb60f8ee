"""Palette files: those that people impose on images, and those that runs leave for people.

``with_colors`` puts the colors of the file that the setting ``palette`` names into the settings; ``read_palette`` reads
a file, ``palette_files`` writes one palette in several formats. Needs the standard library only, unless a file's colors
are pixels.
"""

from colorquant.palettes.formats import gpl_file, hex_file, parse_palette
from colorquant.palettes.reading import read_palette, with_colors
from colorquant.palettes.writing import palette_files

__all__ = ["gpl_file", "hex_file", "palette_files", "parse_palette", "read_palette", "with_colors"]
