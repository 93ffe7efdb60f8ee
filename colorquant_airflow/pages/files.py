"""The files that the pages may hand out, with their media types: those of a run's report, its outputs and originals.

A path in a request is never opened as it is: it must lead to one of these files.
"""

import hashlib
import io
import os
import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi.responses import Response, StreamingResponse

from colorquant.errors import InvalidLocation, InvalidRecord, StoreUnavailable
from colorquant.jobs import TILED_SUFFIX, CompressionResult, Job, Plan
from colorquant.storage import StrPath, asking, is_remote, location, open_stream, resolve, version_of
from colorquant.text import readable
from colorquant_airflow.pages.runs import NoSuchPage, Run

if TYPE_CHECKING:
    from PIL.Image import Image

#: Media types that browsers show, by the first bytes of a file.
_SHOWN = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
}
_MEDIA_TYPES = {
    ".html": "text/html",
    ".csv": "text/csv",
    ".json": "application/json",
    ".png": "image/png",
    ".webp": "image/webp",
    TILED_SUFFIX: "image/tiff",
}
_REPORT_POLICY = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
_NOT_OF_REPORT = "The report of this run has no such file."
_NO_FILE = "The file does not exist, or not yet."
_SHEET = re.compile(r"sheet-[0-9a-f]{16}\.png")
_CHANGED = "The original has changed since this run, or no longer exists."
_CONVERTED_SIDE = 4096
_THUMBNAIL_SIDE, _THUMBNAIL_QUALITY = 256, 80
# Some 10 KB each.
_MAX_THUMBNAILS = 2000
_thumbnails: dict[tuple[str | None, ...], bytes] = {}
_CHUNK_BYTES = 2**20
_converting = Lock()


@dataclass(frozen=True)
class Served:
    """A file that the pages may hand out.

    Attributes
    ----------
    path : Path
        On a disk or in a bucket.
    folder : path-like
        Below which it lies; no link may lead out of it.
    sha256 : str or None
        Hex digest that it must have; None for a file of a report, of which no record tells it.
    """

    path: Path
    folder: StrPath
    sha256: str | None = None

    def open(self) -> io.BufferedIOBase:
        """The stream whose hash was checked, at its start. Raises NoSuchPage.

        That of an object keeps to it, and fails if another one replaces it.
        """
        try:
            stream = open_stream(self.path, below=self.folder)
            if self.sha256 is None:
                return stream
            with asking(self.path) if is_remote(self.path) else nullcontext():
                if hashlib.file_digest(stream, "sha256").hexdigest() == self.sha256:
                    stream.seek(0)
                    return stream
        except StoreUnavailable:
            raise
        except (OSError, InvalidLocation) as error:
            raise NoSuchPage(_NO_FILE) from error
        stream.close()
        raise NoSuchPage("The file has changed since it was measured.")


def inside_output(run: Run, path: Path) -> str:
    """The path relative to the run's output folder; all links of a report stay within that folder."""
    return path.relative_to(run.output_folder).as_posix()


def _jobs_near(plan: Plan, output_folder: Path, path: Path) -> list[Job]:
    """The jobs of the image whose output a path may be: the image's name is a part of it."""
    compressed = output_folder / "compressed"
    if not path.is_relative_to(compressed):
        return []
    name = "/".join(path.relative_to(compressed).parts[:-2])
    _, jobs = plan.numbered({name}).get(name, (0, []))
    return jobs


def of_report(run: Run, path: str) -> Served:
    """A file of the run's folder, or an output of its plan or the contact sheet next to one.

    ``path`` is relative to the output folder.

    Raises
    ------
    NoSuchPage
        For any other path.
    """
    # Reading the plan also checks that the folder of the XCom belongs to this run.
    plan = run.plan
    wanted = _reached(run.output_folder, path)
    outputs = {str(each): job for job in _jobs_near(plan, run.output_folder, wanted) for each in job.output_paths()}
    if not wanted.is_relative_to(run.folder):
        if job := outputs.get(str(wanted)):
            output = output_of(run, job)
            if str(output.path) == str(wanted):
                return output
        elif _SHEET.fullmatch(wanted.name) and _folder_of(wanted) in map(_folder_of, outputs):
            return Served(wanted, run.output_folder / "compressed")
    elif wanted.suffix in _MEDIA_TYPES and "\0" not in path:
        return Served(wanted, run.folder)
    raise NoSuchPage(_NOT_OF_REPORT)


def output_of(run: Run, job: Job) -> Served:
    """The output of a job, which its record names. Raises NoSuchPage if there is none."""
    try:
        result = CompressionResult.read(job.result)
    except StoreUnavailable:
        raise
    except (OSError, InvalidRecord, InvalidLocation) as error:
        raise NoSuchPage(_NO_FILE) from error
    path = job.written(result)
    if path not in job.output_paths():
        raise NoSuchPage(_NO_FILE)
    # An operator may keep the outputs on another disk, by a link.
    return Served(path, run.output_folder / "compressed", result.output_sha256)


def send(file: Served, name: str | None = None) -> Response:
    """A response with a file, of the media type of its suffix; with ``name`` browsers save it. Raises NoSuchPage."""
    suffix = file.path.suffix
    if suffix not in _MEDIA_TYPES:
        raise NoSuchPage(_NO_FILE)
    stream = file.open()
    if suffix == TILED_SUFFIX and name is None:  # Browsers cannot show a TIFF.
        return _converted(stream)
    response = _respond(stream, _MEDIA_TYPES[suffix], readable(name) if name else None)
    if suffix == ".html":
        from colorquant.report import page_script

        # Any other script would have the rights of the user who looks at the page.
        response.headers["Content-Security-Policy"] = f"{_REPORT_POLICY}; script-src '{page_script()[1]}'"
    return response


def thumbnail(file: Served) -> Response:
    """A response with a small picture of a file, for lists.

    Raises
    ------
    NoSuchPage
        If the file is not what was planned or measured, is too large, or is not an image.
    """
    try:
        version = version_of(file.path)
    except StoreUnavailable:
        raise
    except (OSError, InvalidLocation) as error:
        raise NoSuchPage(_NO_FILE) from error
    # By path and version, not by hash: whoever names a hash in a plan need not be able to read the file.
    key = (str(file.path), str(file.folder), file.sha256, version)
    if key not in _thumbnails:
        small = _decoded(file.open(), _THUMBNAIL_SIDE)
        picture = io.BytesIO()
        small.save(picture, "WEBP", quality=_THUMBNAIL_QUALITY)
        while len(_thumbnails) >= _MAX_THUMBNAILS:
            _thumbnails.pop(next(iter(_thumbnails)), None)
        _thumbnails[key] = picture.getvalue()
    return Response(_thumbnails[key], media_type="image/webp")


def original_of(run: Run, job: Job) -> Served:
    """A job's image. Raises NoSuchPage if it could not be read when the run was planned."""
    if job.image_sha256 is None:
        raise NoSuchPage("The original could not be read when the run was planned.")
    try:
        return Served(location(job.image), run.plan.images_folder, job.image_sha256)
    except InvalidLocation as error:
        raise NoSuchPage(_CHANGED) from error


def send_original(run: Run, job: Job, download: bool) -> Response:
    """A response with a job's image: unchanged for a download and in formats that browsers show, else as a PNG.

    Raises
    ------
    NoSuchPage
        If the image has changed since the run was planned, or no longer exists.
    """
    try:
        stream = original_of(run, job).open()
    except NoSuchPage as error:
        raise NoSuchPage(_CHANGED if job.image_sha256 else str(error)) from error
    if download:
        return _respond(stream, "application/octet-stream", readable(Path(job.name).name))
    shown = _shown_as(stream)
    return _respond(stream, shown) if shown else _converted(stream)


def _shown_as(stream: io.BufferedIOBase) -> str | None:
    """The media type of a file that browsers show; None for other formats."""
    beginning = stream.read(16)
    stream.seek(0)
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _SHOWN.items() if beginning.startswith(magic)), None)


def _respond(stream: io.BufferedIOBase, media_type: str, name: str | None = None) -> Response:
    """A response with a stream from its start; with ``name`` browsers save it."""
    headers = {"Content-Length": str(stream.seek(0, os.SEEK_END))}
    stream.seek(0)
    if name is not None:
        headers["Content-Disposition"] = f"attachment; filename*=utf-8''{quote(name, safe='')}"
    return StreamingResponse(_chunks(stream), media_type=media_type, headers=headers)


def _chunks(stream: io.BufferedIOBase) -> Iterator[bytes]:
    with stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


def _converted(stream: io.BufferedIOBase) -> Response:
    """A response with a PNG of an image, scaled down to 4096 pixels a side."""
    picture = io.BytesIO()
    _decoded(stream, _CONVERTED_SIDE).save(picture, "PNG", compress_level=1)
    return Response(picture.getvalue(), media_type="image/png")


def _decoded(stream: io.BufferedIOBase, side: int) -> "Image":
    """An image in RGB, at most ``side`` pixels on its longer side. Closes the stream."""
    from colorquant.report import MAX_BYTES, decode_preview

    with stream, _converting:  # One at a time: a decoded image may be large.
        content = stream.read(MAX_BYTES + 1)
        preview = decode_preview(content, "an image", side) if len(content) <= MAX_BYTES else None
    if preview is None:
        raise NoSuchPage("This file cannot be shown here: it is too large, or not an image. You can download it.")
    return preview


def _folder_of(path: StrPath) -> str:
    return str(path).rpartition("/")[0]


def _reached(folder: Path, path: str) -> Path:
    if not is_remote(folder):
        return Path(os.path.normpath(folder / path))
    try:
        return resolve(folder, path)
    except InvalidLocation:
        raise NoSuchPage(_NOT_OF_REPORT) from None
