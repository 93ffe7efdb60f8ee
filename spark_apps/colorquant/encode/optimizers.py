"""Programs that make PNG files smaller without a change of a pixel: oxipng and Zopfli, for the last percent."""

import zlib

import oxipng
import zopfli.png
import zopfli.zlib

from colorquant.encode.png_chunks import compressed_rows, with_compressed_rows

_OXIPNG_LEVEL = 6
# Zopfli's own numbers, as zopflipng takes them: fewer rounds above so many bytes of rows.
_ITERATIONS = 15
_ITERATIONS_OF_LARGE = 5
_LARGE_BYTES = 200_000


def smaller_files(ours: bytes, plain: bytes) -> list[bytes]:
    """Files of the same picture by oxipng (level 6) and zopflipng; and oxipng's and ours, their rows by Zopfli.

    Parameters
    ----------
    ours : bytes
        A PNG file of the picture, whose palette order and row filters are kept.
    plain : bytes
        A PNG file of it, for the optimizers to choose all themselves.

    Returns
    -------
    list of bytes
        PNG files of the picture, of any color type.
    """
    by_oxipng = oxipng.optimize_from_memory(plain, level=_OXIPNG_LEVEL)
    return [by_oxipng, zopfli.png.optimize(plain), *map(compressed_by_zopfli, {ours, by_oxipng})]


def compressed_by_zopfli(content: bytes, iterations: int | None = None) -> bytes:
    """A PNG file whose rows Zopfli has compressed; by default in as many rounds as zopflipng."""
    rows = zlib.decompress(compressed_rows(content))
    iterations = iterations or (_ITERATIONS if len(rows) < _LARGE_BYTES else _ITERATIONS_OF_LARGE)
    return with_compressed_rows(content, zopfli.zlib.compress(rows, numiterations=iterations))
