"""Previews are decoded in a process of their own: with limits, and without the environment of the process that asks.

A task that writes a report, and Airflow's API server, have Airflow's secrets in their environment and work to do that a
decoder must not stop.
"""

from threading import Lock
from types import TracebackType
from typing import Self

from PIL import Image

from colorquant.decode import DecodingProcess, name_of
from colorquant.errors import DecoderEnded
from colorquant.limits import Limits

#: Seconds that one preview may take.
MAX_SECONDS = 60


class PreviewProcess:
    """A process that decodes previews, one after the other; another one takes its place when it has ended.

    Of several threads one waits for the other. The process starts with the first preview and ends with the block of a
    ``with`` statement. TIFFs have a process of their own.
    """

    def __init__(self, seconds: float = MAX_SECONDS) -> None:
        limits = Limits.of_environment()
        self._seconds = seconds
        self._lock = Lock()
        self._processes = {
            is_tiff: DecodingProcess(limits, is_tiff, limits.preview_memory, seconds) for is_tiff in (False, True)
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes.values():
            process.end()

    def decode(self, content: bytes, side: int) -> Image.Image | str:
        """Decode a file to an image of at most ``side`` pixels on its longer side; else the reason why not.

        The image is RGBA where a pixel is not opaque, else RGB.
        """
        process = self._processes[name_of(content) == "TIFF"]
        try:
            with self._lock:
                return Image.fromarray(process.decode(content, side)[0])
        except DecoderEnded:
            return f"its decoder was ended: by a limit of memory, by that of {self._seconds:g} seconds, or by a crash"
        except Exception as error:
            return f"{type(error).__name__}: {error}"[:1000]
