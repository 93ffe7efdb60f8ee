"""K-Means color quantization of images: palettes, index maps, and what they cost.

``quantize`` is imported on first use, so that a DAG file can import the plan (standard library only) without numpy.
"""

from typing import TYPE_CHECKING

from colorquant.kernel_cache import ensure_kernel_cache
from colorquant.lazy import imported_on_first_use

if TYPE_CHECKING:
    from colorquant.quantizer.in_process import QuantizedImage, quantize

__all__ = ["QuantizedImage", "__version__", "quantize"]

# The one place of the version: the wheel, `colorquant --version` and the changelog follow it.
__version__ = "1.0.0"

ensure_kernel_cache()

__getattr__ = imported_on_first_use(
    __name__, {"QuantizedImage": "quantizer.in_process", "quantize": "quantizer.in_process"}
)
