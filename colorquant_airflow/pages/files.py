"""The files that the pages may hand out, with their media types: those of a run's report, its outputs and originals.

A path in a request is never opened as it is: it must lead to one of these files.
"""

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from urllib.parse import quote

from fastapi.responses import FileResponse, Response, StreamingResponse

from colorquant.errors import InvalidLocation
from colorquant.jobs import TILED_SUFFIX, Job
from colorquant.storage import asking, is_file, is_remote, open_stream, resolve, sha256_of
from colorquant.text import readable
from colorquant_airflow.pages.runs import NoSuchPage, Run

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
_CONVERTED_SIDE = 4096
_CHUNK_BYTES = 2**20
_converting = Lock()


def inside_output(run: Run, path: Path) -> str:
    """The path relative to the run's output folder; all links of a report stay within that folder."""
    return path.relative_to(_output_folder(run)).as_posix()


def of_report(run: Run, path: str) -> Path:
    """A file of the run's folder, or an output of its plan; ``path`` is relative to the output folder.

    Raises
    ------
    NoSuchPage
        For any other path.
    """
    # Reading the plan also checks that the folder of the XCom belongs to this run.
    outputs = {str(path) for job in run.plan.jobs for path in job.output_paths()}
    wanted = _reached(_output_folder(run), path)
    if not wanted.is_relative_to(run.folder):
        if str(wanted) in outputs:
            return wanted
    elif wanted.suffix in _MEDIA_TYPES and "\0" not in path and wanted.resolve().is_relative_to(run.folder.resolve()):
        return wanted
    raise NoSuchPage(_NOT_OF_REPORT)


def output_of(job: Job) -> Path:
    """The output of a job. Raises NoSuchPage if there is none."""
    for path in job.output_paths():
        if is_file(path):
            return path
    raise NoSuchPage(_NO_FILE)


def send(path: Path, name: str | None = None) -> Response:
    """A response with a file, of the media type of its suffix; with ``name`` browsers save it. Raises NoSuchPage."""
    if path.suffix not in _MEDIA_TYPES or not is_file(path):
        raise NoSuchPage(_NO_FILE)
    source = open_stream(path) if is_remote(path) else path
    if path.suffix == TILED_SUFFIX and name is None:  # Browsers cannot show a TIFF.
        return _converted(source)
    response = _respond(source, _MEDIA_TYPES[path.suffix], readable(name) if name else None)
    if path.suffix == ".html":
        from colorquant.report import page_script

        # Any other script would have the rights of the user who looks at the page.
        response.headers["Content-Security-Policy"] = f"{_REPORT_POLICY}; script-src '{page_script()[1]}'"
    return response


def send_original(job: Job, download: bool) -> Response:
    """A response with a job's image: unchanged for a download and in formats that browsers show, else as a PNG.

    Raises
    ------
    NoSuchPage
        If the image has changed since the run was planned, or no longer exists.
    """
    source = _unchanged_object(job) if is_remote(job.image) else _unchanged_file(job)
    if source is None:
        raise NoSuchPage("The original has changed since this run, or no longer exists.")
    if download:
        return _respond(source, "application/octet-stream", readable(Path(job.name).name))
    shown = _shown_as(source)
    return _respond(source, shown) if shown else _converted(source)


def _unchanged_file(job: Job) -> Path | None:
    path = Path(job.image)
    try:
        return path if path.is_file() and sha256_of(path) == job.image_sha256 else None
    except OSError:
        return None


def _unchanged_object(job: Job) -> io.BufferedIOBase | None:
    """A stream, because it keeps to the object whose hash was checked, and fails if another one replaces it."""
    try:
        stream = open_stream(job.image)
    except (FileNotFoundError, InvalidLocation):
        return None
    with asking(job.image):
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    if sha256 != job.image_sha256:
        return None
    stream.seek(0)
    return stream


def _shown_as(source: Path | io.BufferedIOBase) -> str | None:
    """The media type of a file that browsers show; None for other formats."""
    if isinstance(source, Path):
        with open(source, "rb") as stream:
            beginning = stream.read(16)
    else:
        beginning = source.read(16)
        source.seek(0)
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _SHOWN.items() if beginning.startswith(magic)), None)


def _respond(source: Path | io.BufferedIOBase, media_type: str, name: str | None = None) -> Response:
    """A response with a file, or with a stream from its start; with ``name`` browsers save it."""
    if isinstance(source, Path):
        return FileResponse(source, media_type=media_type, filename=name)
    headers = {"Content-Length": str(source.seek(0, os.SEEK_END))}
    source.seek(0)
    if name is not None:
        headers["Content-Disposition"] = f"attachment; filename*=utf-8''{quote(name, safe='')}"
    return StreamingResponse(_chunks(source), media_type=media_type, headers=headers)


def _chunks(stream: io.BufferedIOBase) -> Iterator[bytes]:
    with stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


def _converted(source: Path | io.BufferedIOBase) -> Response:
    """A response with a PNG of an image, scaled down to 4096 pixels a side."""
    from colorquant.report import MAX_BYTES, decode_preview, load_preview

    with _converting:  # One at a time: a decoded image may be large.
        if isinstance(source, Path):
            preview = load_preview(source, _CONVERTED_SIDE)
        else:
            content = source.read(MAX_BYTES + 1)
            preview = decode_preview(content, "an original", _CONVERTED_SIDE) if len(content) <= MAX_BYTES else None
    if preview is None:
        raise NoSuchPage("This file cannot be shown here: it is too large, or not an image. You can download it.")
    stream = io.BytesIO()
    preview.save(stream, "PNG", compress_level=1)
    return Response(stream.getvalue(), media_type="image/png")


def _reached(folder: Path, path: str) -> Path:
    if not is_remote(folder):
        return Path(os.path.normpath(folder / path))
    try:
        return resolve(folder, path)
    except InvalidLocation:
        raise NoSuchPage(_NOT_OF_REPORT) from None


def _output_folder(run: Run) -> Path:
    return run.folder.parent.parent
