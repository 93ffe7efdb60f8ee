"""What the process that decodes does: answer requests on standard input until it ends (``decode/process``).

A request is a line of JSON, and the bytes of a file. An answer is a line of JSON: a reason, or the shape and address of
pixels, which the other process reads from this one's memory. Then it sends one byte: whether that worked; if not, the
pixels are written to standard output.
"""

import codecs
import gc
import importlib
import json
import os
import resource
import sys
from dataclasses import asdict
from typing import Any, BinaryIO

import imagecodecs
import numpy as np

from colorquant.decode import decoders, memory, preview
from colorquant.decode.metadata import metadata_of
from colorquant.decode.process import SEND
from colorquant.decode.rights import give_up_rights
from colorquant.errors import Undecodable
from colorquant.limits import Limits
from colorquant.storage import FORMATS

_PLUGINS = {"JPEG2000": "Jpeg2K", "WEBP": "WebP"}


def serve() -> None:
    """Answer requests. The argument of this process is JSON: limits, bytes of memory, and whether files are TIFFs."""
    gc.freeze()
    gc.enable()
    options = json.loads(sys.argv[1])
    limits = Limits(**options["limits"])
    requests, answers = os.fdopen(0, "rb", closefd=False), os.fdopen(1, "wb", closefd=False)
    _import_all(options["tiff"])
    lacking = give_up_rights(options["memory"] or memory.needed_bytes(limits.pixels, limits.file_bytes))
    _answer(answers, {"lacking": lacking})
    while line := requests.readline():
        request = json.loads(line)
        content = requests.read(request["size"])
        _limit_cpu(limits.seconds)
        pixels, answer = _decoded(content, limits, request["side"])
        del content
        _answer(answers, answer)
        if pixels is not None and requests.read(1) == SEND:
            answers.write(pixels.reshape(-1).data)
            answers.flush()
        del pixels


def _import_all(tiff: bool) -> None:
    """Import what decoders import on first use: afterwards no file can be opened."""
    for name in (*FORMATS, "MPO"):  # Pillow's own way would import all its plugins.
        importlib.import_module(f"PIL.{_PLUGINS.get(name, name.capitalize())}ImagePlugin")
    for name in ("utf-16", "utf-32", "cp1252", "idna"):
        codecs.lookup(name)
    _ = imagecodecs.png_decode, imagecodecs.jpeg2k_decode
    if tiff:
        import numpy.ma  # noqa: F401
        import tifffile

        from colorquant.decode import tiff_file  # noqa: F401

        for compression in tifffile.COMPRESSION:
            if compression in tifffile.TIFF.DECOMPRESSORS:
                _ = tifffile.TIFF.DECOMPRESSORS[compression]
        for predictor in tifffile.PREDICTOR:
            if predictor in tifffile.TIFF.UNPREDICTORS:
                _ = tifffile.TIFF.UNPREDICTORS[predictor]


def _limit_cpu(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = int(used.ru_utime + used.ru_stime) + seconds * (os.cpu_count() or 1) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _decoded(content: bytes, limits: Limits, side: int) -> tuple[np.ndarray | None, dict[str, Any]]:
    try:
        if side:
            pixels, metadata = np.array(preview.preview(content, side, limits)), {}
        else:
            pixels, metadata = decoders.decode(content, limits), asdict(metadata_of(content))
    except MemoryError:
        return None, {"error": "MemoryError", "reason": "too little memory to decode it"}
    except Exception as error:
        kind = "Undecodable" if isinstance(error, Undecodable) else type(error).__name__
        return None, {"error": kind, "reason": str(error)}
    return pixels, {"shape": pixels.shape, "address": pixels.ctypes.data, "metadata": metadata}


def _answer(answers: BinaryIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()
