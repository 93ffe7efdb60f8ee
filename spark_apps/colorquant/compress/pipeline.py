"""The main path of one image: decode, count colors, find the palette, remap, encode, measure, commit."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from colorquant.compress.comparison import needed_bytes
from colorquant.compress.goal import choose
from colorquant.compress.output import check_size, encode, encode_and_foresee, measure
from colorquant.compress.palette_fit import PaletteFit
from colorquant.compress.record import Original, record_of
from colorquant.compress.source import OpenedImage, Source
from colorquant.compress.stopwatch import Stopwatch
from colorquant.compress.weights import weighted
from colorquant.decode import changed, read_image
from colorquant.jobs import CompressionResult, NeededBytes, SharedPalette, WeightsFile
from colorquant.limits import DEFAULT_LIMITS, Limits
from colorquant.pixels import Pixels
from colorquant.settings import Settings
from colorquant.storage import write_atomically
from colorquant.target import Target

# Of an image that is worth the threads. More of them would need more memory than they save.
_PARALLEL_PIXELS = 1 << 22
_MAX_THREADS = 8


def compress_image(
    image: str,
    goal: int | Target,
    output: str,
    result: str | None,
    settings: Settings,
    distribute: Callable[[Pixels], Source],
    expected_sha256: str | None = None,
    must_reach: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    shared: SharedPalette | None = None,
    weights: WeightsFile | None = None,
) -> CompressionResult:
    """Compress one image at one palette size, or at the smallest that reaches a target; write output and record.

    Parameters
    ----------
    image : str
        Path or URI of the image file, which is only read.
    goal : int or Target
        The palette size, 1 to 256, or the quality that the smallest palette must reach.
    output, result : str, str or None
        Paths of the output file and of the JSON record. Each appears whole or not at all, the record last; without
        a path no record is written.
    settings : Settings
    distribute : callable
        Makes the source of pixels uint8 (H, W, 3 or 4). It is called once the image is decoded.
    expected_sha256 : str, optional
        Hash of the file that was planned.
    must_reach : bool
        Whether to refuse an image that reaches the target with no palette; else the largest palette is taken.
    limits : Limits
        An image beyond one of them is refused before it is decoded.
    shared : SharedPalette, optional
        The palette that the image has in common with others.
    weights : WeightsFile, optional
        The picture that says how much each pixel counts. Where it has another size or cannot be decoded, all count the
        same, and the record says why.

    Raises
    ------
    UnsupportedImage
        The image cannot be compressed; a retry is useless.
    OSError
        Reading or writing failed for a reason that may go away.
    """
    clock = Stopwatch()
    opened = open_image(image, distribute, clock, expected_sha256, limits, weights=weights)
    compressed = compress_opened(opened, goal, output, settings, clock, must_reach, shared, _threads())
    compressed.commit(result)
    return compressed.record


def open_image(
    image: str,
    distribute: Callable[[Pixels], Source],
    clock: Stopwatch,
    expected_sha256: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    stream: BinaryIO | None = None,
    weights: WeightsFile | None = None,
) -> OpenedImage:
    """Decode an image and count its colors, once for all palette sizes.

    The content is that of ``stream``, a binary file, if there is one; ``image`` is then only its name. For the
    rest see ``compress_image``.
    """
    with clock("decode"):
        decoded = read_image(image, limits, stream)
        if expected_sha256 not in (None, decoded.sha256):
            raise changed(image)
    with clock("histogram"):
        source = distribute(decoded.pixels)
        colors = source.unique_colors
    if weights is None:
        return OpenedImage(image, decoded, source, colors)
    with clock("histogram"):
        found, notice = weighted(source, decoded.pixels, weights, limits)
    return OpenedImage(image, decoded, source, colors, weights, found, notice)


def compress_opened(
    opened: OpenedImage,
    goal: int | Target,
    output: str,
    settings: Settings,
    clock: Stopwatch,
    must_reach: bool = False,
    shared: SharedPalette | None = None,
    threads: int = 1,
) -> "Compressed":
    """Compress an opened image in memory.

    With several ``threads`` a large image is measured while it is encoded; the result is the same. For the rest see
    ``compress_image``.
    """
    decoded = opened.decoded
    check_size(opened.path, decoded.pixels, settings)
    choice = choose(opened, goal, settings, clock, must_reach, shared)
    fit = None
    if shared:
        with clock("kmeans"):
            fit = PaletteFit.of(opened.weighted or opened.source, shared, settings)
    with clock("encode"):
        in_order = choice.imposed is not None
        encoded, foreseen, file = choice.encoded, None, (choice.palette, choice.indexes, choice.settings)
        if encoded is None and threads > 1 and choice.indexes.size > _PARALLEL_PIXELS:
            encoded, foreseen = encode_and_foresee(decoded, *file, in_order, threads)
        encoded = encoded or encode(*file, decoded.metadata, in_order)
    with clock("metrics"):
        measured = measure(decoded, encoded, foreseen)
    comparison: dict[str, NeededBytes | None] = {}
    if settings.compare and measured.ssimulacra2 is not None:
        with clock("compare"):
            comparison = {name: needed_bytes(decoded.pixels, name, measured.ssimulacra2) for name in settings.compare}
    record = record_of(
        original=Original(
            path=opened.path,
            sha256=decoded.sha256,
            bytes=decoded.original_bytes,
            unique_colors=opened.unique_colors,
        ),
        k=choice.k,
        settings=choice.settings,
        solution=choice.solution,
        measured=measured,
        output=output,
        seconds=clock.stop(),
        spark=opened.source.describe(),
        search=choice.search,
        comparison=comparison,
        fit=fit,
        weights=opened.weights,
        notice=opened.notice,
    )
    return Compressed(encoded, record)


def _threads() -> int:
    return min(_MAX_THREADS, os.cpu_count() or 1)


@dataclass(frozen=True)
class Compressed:
    """The bytes of an output file and its record, neither of them written yet."""

    encoded: bytes
    record: CompressionResult

    def commit(self, result: str | None) -> None:
        """Write the output, and then the record to ``result``; without a path no record. Raises OSError."""
        write_atomically(self.record.output, self.encoded)
        if result is not None:
            self.record.write(result)
