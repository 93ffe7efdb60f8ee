"""K-Means color quantization of images: palettes, index maps, and what they cost.

``quantize`` is imported on first use, so that a DAG file can import the plan (standard library only) without numpy.
"""

from typing import TYPE_CHECKING

from colorquant.lazy import imported_on_first_use

if TYPE_CHECKING:
    from colorquant.quantizer.in_process import QuantizedImage, quantize

__all__ = ["QuantizedImage", "quantize"]

__getattr__ = imported_on_first_use(
    __name__, {"QuantizedImage": "quantizer.in_process", "quantize": "quantizer.in_process"}
)
