"""From colors, wherever they are counted, to a palette and an index map.

``quantize`` takes an array of pixels; ``solve`` any ``ColorSource``, such as an image whose colors Spark has counted.
"""

from colorquant.quantizer.color_models import RGB, RGBA, ColorModel, color_model, load_kernels
from colorquant.quantizer.histogram_source import HistogramSource
from colorquant.quantizer.in_process import PixelSource, QuantizedImage, quantize
from colorquant.quantizer.solution import Remapping, Solution, kept_colors, with_kept_colors
from colorquant.quantizer.solver import ColorSource, impose, solve
from colorquant.quantizer.weighted import FULL_WEIGHT, WeightedColors, counted_by_pixels, weights_of

__all__ = [
    "color_model",
    "ColorModel",
    "ColorSource",
    "counted_by_pixels",
    "FULL_WEIGHT",
    "HistogramSource",
    "impose",
    "kept_colors",
    "load_kernels",
    "PixelSource",
    "quantize",
    "QuantizedImage",
    "Remapping",
    "RGB",
    "RGBA",
    "Solution",
    "solve",
    "WeightedColors",
    "weights_of",
    "with_kept_colors",
]
