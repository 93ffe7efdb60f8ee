"""How close an output is to its original, and how small: MSE, PSNR, SSIM, SSIMULACRA2, ratio, bits per pixel."""

from colorquant.quality import measures
from colorquant.quality.measures import (
    HALO,
    bits_per_pixel,
    compression_ratio,
    count_colors,
    mean_squared_error,
    perceptual_similarity,
    psnr_db,
    quality,
    structural_similarity,
)

__all__ = [
    "HALO",
    "bits_per_pixel",
    "compression_ratio",
    "count_colors",
    "mean_squared_error",
    "measures",
    "perceptual_similarity",
    "psnr_db",
    "quality",
    "structural_similarity",
]
