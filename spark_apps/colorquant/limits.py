"""Limits that several rooms share. Standard library only."""

#: Most entries of a palette: an index is one byte.
MAX_COLORS = 256

#: Most pixels of an image that is decoded as a whole: 268 megapixels, 0.8 GB as RGB.
DEFAULT_MAX_PIXELS = 2**28
