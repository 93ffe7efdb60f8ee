"""The same steps for images with alpha, in premultiplied color and four dimensions."""

from colorquant.alpha.histogram import AlphaCells
from colorquant.alpha.kmeans import AlphaSums
from colorquant.alpha.premultiplied import pack, unpack
from colorquant.alpha.remap import remap_alpha
from colorquant.alpha.solver import solve_alpha

__all__ = ["AlphaCells", "AlphaSums", "pack", "remap_alpha", "solve_alpha", "unpack"]
