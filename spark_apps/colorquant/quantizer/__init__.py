"""From colors, wherever they are counted, to a palette and an index map.

``quantize`` takes an array of pixels; ``solve`` any ``ColorSource``, such as an image whose colors Spark has counted.
"""

from colorquant.quantizer.color_models import RGB, ColorModel, color_model, load_kernels
from colorquant.quantizer.in_process import PixelSource, QuantizedImage, quantize
from colorquant.quantizer.solution import Remapping, Solution
from colorquant.quantizer.solver import ColorSource, solve

__all__ = [
    "color_model",
    "ColorModel",
    "ColorSource",
    "load_kernels",
    "PixelSource",
    "quantize",
    "QuantizedImage",
    "Remapping",
    "RGB",
    "Solution",
    "solve",
]
