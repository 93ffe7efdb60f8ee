"""Previews are decoded in a process of their own: with limits, and without the environment of the process that asks.

A task that writes a report, and Airflow's API server, have Airflow's secrets in their environment and work to do that a
decoder must not stop. The child gets the bytes of a file through a pipe and sends pixels back.
"""

import io
import os
import resource
import struct
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
from PIL import Image

from colorquant.decode import ColorSpace, color_space_of, name_of, orientation_of
from colorquant.errors import UnknownColorSpace
from colorquant.limits import Limits
from colorquant.storage import FORMATS

#: Seconds that one preview may take.
MAX_SECONDS = 60
_MAX_OPEN_FILES = 32
# Formats of which Pillow shows some kinds wrong or not at all.
_LEFT_TO_DECODERS = ("TIFF", "BMP", "JPEG 2000")
# What makes an image of each EXIF orientation upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PASSED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME")
_ROOT = str(Path(__file__).resolve().parents[2])
# Of a request: the longest side of the preview, the bytes of the file. Of an answer: width and height of the preview,
# which are 0 for a reason, and the bytes that follow.
_REQUEST, _ANSWER = struct.Struct(">IQ"), struct.Struct(">IIQ")


class PreviewProcess:
    """A process that decodes previews, one after the other; another one takes its place when it has ended.

    It starts with the first preview and ends with the block of a ``with`` statement.
    """

    def __init__(self, seconds: float = MAX_SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def decode(self, content: bytes, side: int) -> Image.Image | str:
        """Decode a file to an RGB image of at most ``side`` pixels on its longer side; else the reason why not."""
        if self._process is None:
            self._process = _start()
        assert self._process.stdin and self._process.stdout
        timer = threading.Timer(self._seconds, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(_REQUEST.pack(side, len(content)))
            self._process.stdin.write(content)
            self._process.stdin.flush()
            width, height, size = _ANSWER.unpack(_exactly(self._process.stdout, _ANSWER.size))
            answer = _exactly(self._process.stdout, size)
        except (OSError, EOFError):
            self._end()
            return f"its decoder was ended: by a limit of memory, by that of {self._seconds:g} seconds, or by a crash"
        finally:
            timer.cancel()
        if width and height and size == 3 * width * height and max(width, height) <= side:
            return Image.frombytes("RGB", (width, height), answer)
        return answer.decode(errors="replace")[:1000]

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _start() -> "subprocess.Popen[bytes]":
    # Appended to the path: in front, an installation in site-packages would hide modules of the standard library.
    code = f"import sys; sys.path.append({_ROOT!r}); from colorquant.report.preview_process import serve; serve()"
    environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
    memory = str(Limits.of_environment().preview_memory)
    return subprocess.Popen(
        [sys.executable, "-c", code, memory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment | {"OPENBLAS_NUM_THREADS": "1"},
        cwd="/",
    )


def serve() -> None:
    """Answer the requests on standard input until it ends: what the child does. Its first argument is its memory."""
    # Libraries may print.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for limit, value in (
        (resource.RLIMIT_DATA, int(sys.argv[1])),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
    ):
        resource.setrlimit(limit, (value, value))
    while header := sys.stdin.buffer.read(_REQUEST.size):
        side, size = _REQUEST.unpack(header)
        try:
            preview = _preview(_exactly(sys.stdin.buffer, size), side)
            answers.write(_ANSWER.pack(*preview.size, 3 * preview.width * preview.height) + preview.tobytes())
        except Exception as error:  # Pillow passes on any error of its decoders.
            reason = f"{type(error).__name__}: {error}".encode(errors="replace")
            answers.write(_ANSWER.pack(0, 0, len(reason)) + reason)
        answers.flush()


def _exactly(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise EOFError
    return content


def _preview(content: bytes, side: int) -> Image.Image:
    # Where Pillow is right, it is fast and takes little memory. Where nothing else reads a file, its picture has to do.
    ways = (_decoded, _opened) if name_of(content) in _LEFT_TO_DECODERS else (_opened, _decoded)
    try:
        return ways[0](content, side)
    except Exception:
        return ways[1](content, side)


def _decoded(content: bytes, side: int) -> Image.Image:
    from colorquant.decode import decode  # Loads OpenCV, which the processes that ask for previews do without.

    image = Image.fromarray(decode(content, Limits.of_environment()))
    image.thumbnail((side, side), Image.Resampling.BOX, reducing_gap=None)
    return _on_white(image)


def _opened(content: bytes, side: int) -> Image.Image:
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        image.draft("RGB", (2 * side, 2 * side))
        space = _color_space(image, content)
        image.load()
        orientation = orientation_of(image, content)
        upright = _turned(_in_eight_bits(image), 1 if image.format == "TIFF" else orientation)
        color = upright.convert("RGBA" if upright.has_transparency_data else "RGB") if _is_flat(upright) else upright
        color.thumbnail((side, side), Image.Resampling.BOX, reducing_gap=None)
        return _on_white(_in_srgb(color, space))


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """The image with 16-bit gray reduced to 8 bits, which Pillow's own conversion would clip to white."""
    if not image.mode.startswith("I;16"):
        return image
    reduced = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    reduced.info = image.info
    return reduced


def _is_flat(image: Image.Image) -> bool:
    """Whether averaging needs another mode first: palette indexes and bits cannot be averaged."""
    return image.mode in ("P", "PA", "1") or image.has_transparency_data


def _color_space(image: Image.Image, content: bytes) -> ColorSpace:
    try:
        return color_space_of(image, content)
    except UnknownColorSpace:
        return ColorSpace()


def _in_srgb(image: Image.Image, space: ColorSpace) -> Image.Image:
    if image.mode not in ("RGB", "RGBA", "L", "CMYK"):
        return image
    samples = np.array(image).reshape(image.height, image.width, -1)
    try:
        color = space.to_srgb(np.ascontiguousarray(samples[..., :3]) if image.mode == "RGBA" else samples)
    except UnknownColorSpace:
        return image
    return Image.fromarray(np.dstack([color, samples[..., 3]]) if image.mode == "RGBA" else color)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA":
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
