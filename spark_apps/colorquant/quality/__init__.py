"""How close an image is to its original: mean squared error, PSNR, SSIM, SSIMULACRA2."""

from colorquant.quality import measures
from colorquant.quality.measures import (
    figures,
    mean_squared_error,
    perceptual_similarity,
    quality,
    structural_similarity,
)

__all__ = [
    "figures",
    "mean_squared_error",
    "measures",
    "perceptual_similarity",
    "quality",
    "structural_similarity",
]
