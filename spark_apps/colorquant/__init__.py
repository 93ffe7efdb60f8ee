"""K-Means color quantization of images: palettes, index maps, and what they cost.

``quantize`` is imported on first use, so that the plan (standard library only) can be
imported by a DAG file without numpy.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colorquant.quantizer import QuantizedImage, quantize

__all__ = ["QuantizedImage", "quantize"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from colorquant import quantizer

        return getattr(quantizer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
