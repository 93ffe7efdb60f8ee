"""From colors, wherever they are counted, to a palette and an index map.

``quantize`` does it for an array of pixels; ``solve`` for any ``ColorSource``, such as an image that Spark has counted.
"""

from colorquant.quantizer.color_models import RGB, ColorModel, Remapping, color_model, load_kernels
from colorquant.quantizer.in_process import PixelSource, QuantizedImage, quantize
from colorquant.quantizer.solver import ColorSource, Solution, solve

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
