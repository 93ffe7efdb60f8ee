"""Files are decoded in a process of their own: without secrets, and without rights to files, network and processes.

The process gets the bytes of a file through a pipe, and this one reads the pixels from its memory. It is started by
executing Python, not by a fork, so that no secret of this process is in its memory; that takes a quarter of a second of
CPU time, so one process decodes many files. What it answers is not trusted.
"""

import atexit
import contextlib
import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from colorquant.decode.containers import name_of
from colorquant.errors import DecoderEnded, Undecodable
from colorquant.limits import Limits
from colorquant.pixels import Pixels

_MAIN = "from colorquant.decode.child import serve; serve()"
_PASSED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONHOME", "OPENCV_FOR_THREADS_NUM")
_ROOT = str(Path(__file__).resolve().parents[2])
_ARCHIVE = "colorquant.zip"
_MAX_ANSWER = 1 << 16
#: The byte by which a process learns that its pixels have been read, or that it must send them.
READ, SEND = b"\1", b"\0"


class DecodingProcess:
    """A process that decodes files, one after the other; another one takes its place when it has ended.

    It starts with the first file, and ends with ``end``, or when this process does. One thread at a time is served.

    Parameters
    ----------
    limits : Limits
        An image beyond one of them is refused before it is decoded.
    tiff : bool
        Whether all files are TIFFs, or none is: their libraries take long to load.
    memory : int
        Bytes that the process may take; by default what the limits follow to.
    seconds : float
        Of one file, after which the process is ended; by default no limit but that of ``limits``, of CPU time.
    """

    def __init__(self, limits: Limits, tiff: bool = False, memory: int = 0, seconds: float = 0) -> None:
        self._options = json.dumps({"limits": asdict(limits), "tiff": tiff, "memory": memory})
        self._limits, self._seconds = limits, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._is_new = False
        self._lock = threading.Lock()

    def decode(self, content: bytes, side: int = 0) -> tuple[Pixels, dict[str, Any]]:
        """Decode a file to its pixels and fields of its metadata, or with ``side`` to a preview of so many pixels.

        Raises
        ------
        Undecodable
            The file cannot be decoded.
        DecoderEnded
            The process ended without an answer.
        MemoryError
            It has too little memory.
        RuntimeError
            It answers with another error, a defect.
        """
        with self._lock:
            process = self._process or self._start()
            timer = threading.Timer(self._seconds, process.kill) if self._seconds else None
            if timer:
                timer.start()
            try:
                answered = self._ask(process, content, side)
            except (OSError, EOFError, ValueError, LookupError, TypeError) as error:
                raise self._ended(process, error) from error
            except BaseException:  # Also Ctrl-C: its next answer would be that to this file.
                self.end()
                raise
            finally:
                if timer:
                    timer.cancel()
            if isinstance(answered, Exception):
                raise answered
            return answered

    def start(self) -> None:
        """Start the process before it is needed, to be waited for later."""
        with self._lock:
            _ = self._process or self._start()

    def end(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _start(self) -> "subprocess.Popen[bytes]":
        # Its modules come from the same places as those of this process, but not from an archive.
        path = [entry for entry in sys.path if entry and Path(entry).name != _ARCHIVE] + [_ROOT]
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-S",
                "-P",
                "-c",
                f"import gc, sys; gc.disable(); sys.path[:] = {path!r}; {_MAIN}",
                self._options,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _PASSED if name in os.environ} | {"OPENBLAS_NUM_THREADS": "1"},
            cwd="/",
        )
        self._is_new = True
        return self._process

    def _ask(
        self, process: "subprocess.Popen[bytes]", content: bytes, side: int
    ) -> tuple[Pixels, dict[str, Any]] | Exception:
        assert process.stdin and process.stdout
        if self._is_new:
            if lacking := _text(self._answer(process), "lacking"):
                _warn(lacking)
            self._is_new = False
        process.stdin.write(json.dumps({"size": len(content), "side": side}).encode() + b"\n")
        process.stdin.write(content)
        process.stdin.flush()
        answer = self._answer(process)
        if "error" in answer:
            kind, reason = _text(answer, "error"), _text(answer, "reason")
            if kind == "Undecodable":
                return Undecodable(reason)
            return MemoryError(reason) if kind == "MemoryError" else RuntimeError(f"{kind}: {reason}")
        height, width, channels = (int(number) for number in answer["shape"])
        is_possible = height > 0 and width > 0 and channels in (3, 4) and height * width <= self._limits.pixels
        if not is_possible or (side and max(height, width) > side):
            raise ValueError("pixels of an impossible shape")
        pixels = np.empty((height, width, channels), np.uint8)
        is_read = _read_memory(process.pid, int(answer["address"]), pixels)
        process.stdin.write(READ if is_read else SEND)
        process.stdin.flush()
        if not is_read and process.stdout.readinto(pixels.reshape(-1).data) < pixels.nbytes:  # type: ignore[attr-defined]
            raise EOFError("too few pixels")
        return pixels, answer["metadata"]

    @staticmethod
    def _answer(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
        assert process.stdout
        line = process.stdout.readline(_MAX_ANSWER)
        if not line.endswith(b"\n"):
            raise EOFError
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise TypeError("an answer of another kind")
        return answer

    def _ended(self, process: "subprocess.Popen[bytes]", error: Exception) -> DecoderEnded | Undecodable:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)  # It is about to end, or answers nonsense.
        self.end()
        code = process.returncode
        if code == -signal.SIGXCPU:
            return Undecodable(
                f"takes longer than {self._limits.seconds:,} seconds to decode, the limit; scale it down."
            )
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return DecoderEnded(f"the process that decodes it has ended ({how}; {error or type(error).__name__})")


def start_decoding(limits: Limits) -> None:
    """Start the process of ``decode_apart``, of images other than TIFFs, while something else is done."""
    _process_for(limits, False).start()


def decode_apart(content: bytes, limits: Limits) -> tuple[Pixels, dict[str, Any]]:
    """Decode a file in a process that this one keeps for later files; for the rest see ``DecodingProcess.decode``."""
    return _process_for(limits, name_of(content) == "TIFF").decode(content)


@cache
def _process_for(limits: Limits, tiff: bool) -> DecodingProcess:
    process = DecodingProcess(limits, tiff)
    atexit.register(process.end)
    return process


os.register_at_fork(after_in_child=_process_for.cache_clear)


def _read_memory(process: int, address: int, pixels: Pixels) -> bool:
    """Copy pixels from the memory of another process; False where the system or its settings do not allow it."""
    try:
        call = ctypes.CDLL(None).process_vm_readv
    except (OSError, AttributeError):
        return False
    here, there = _Span(pixels.ctypes.data, pixels.nbytes), _Span(address, pixels.nbytes)
    call.restype = ctypes.c_ssize_t
    one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
    return bool(call(process, ctypes.byref(here), one, ctypes.byref(there), one, none) == pixels.nbytes)


class _Span(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("size", ctypes.c_size_t))


def _text(answer: dict[str, Any], name: str) -> str:
    value = answer[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is not a text")
    return value


@cache
def _warn(lacking: str) -> None:
    """Say once what this platform lacks."""
    logging.getLogger(__name__).warning(lacking)
