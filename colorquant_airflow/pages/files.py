"""Which files the pages may hand out, and as what: those of a run's report and its images, never a path as it comes."""

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

#: What browsers show, by how such a file begins.
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
_CONVERTED_SIDE = 4096
_CHUNK_BYTES = 2**20
_converting = Lock()


def inside_output(run: Run, path: Path) -> str:
    """The path relative to the run's output folder, which the links of a report do not leave."""
    return path.relative_to(_output_folder(run)).as_posix()


def of_report(run: Run, path: str) -> Path:
    """A file of the run's folder, or an output of its plan, by the path relative to the output folder.

    Raises
    ------
    NoSuchPage
        For anything else.
    """
    # Also a folder that Airflow was told of must hold this run's plan.
    outputs = {str(path) for job in run.plan.jobs for path in job.output_paths()}
    wanted = _reached(_output_folder(run), path)
    if not wanted.is_relative_to(run.folder):
        if str(wanted) in outputs:
            return wanted
    elif wanted.suffix in _MEDIA_TYPES and "\0" not in path and wanted.resolve().is_relative_to(run.folder.resolve()):
        return wanted
    raise NoSuchPage("That is no file of this run's report.")


def output_of(job: Job) -> Path:
    """The output of a job. Raises NoSuchPage."""
    for path in job.output_paths():
        if is_file(path):
            return path
    raise NoSuchPage("The output is not there, or not yet.")


def send(path: Path, name: str | None = None) -> Response:
    """A file as what its name says; ``name`` is for one that is to be saved. Raises NoSuchPage."""
    if path.suffix not in _MEDIA_TYPES or not is_file(path):
        raise NoSuchPage("The file is not there, or not yet.")
    source = open_stream(path) if is_remote(path) else path
    if path.suffix == TILED_SUFFIX and name is None:  # Browsers show no TIFF.
        return _converted(source)
    response = _respond(source, _MEDIA_TYPES[path.suffix], readable(name) if name else None)
    if path.suffix == ".html":
        from colorquant.report import page_script

        # Any other script than the report's own would have the rights of whoever looks at the page.
        response.headers["Content-Security-Policy"] = f"{_REPORT_POLICY}; script-src '{page_script()[1]}'"
    return response


def send_original(job: Job, download: bool) -> Response:
    """A job's image: as it is where browsers show it or it is to be saved, else as a PNG. Raises NoSuchPage."""
    # What is handed out is what was planned, whatever lies there now.
    source = _unchanged_object(job) if is_remote(job.image) else _unchanged_file(job)
    if source is None:
        raise NoSuchPage("The original has changed since this run, or is not there any more.")
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
    """A stream, because it goes on with the object that was looked at, and fails if there is another in its place."""
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
    """As what browsers show a file, if they do."""
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
    """A file, or what is left of a stream; ``name`` is for one that is to be saved."""
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
    from colorquant.report import MAX_BYTES, decode_preview, load_preview

    with _converting:  # One at a time: a decoded image may be large.
        if isinstance(source, Path):
            picture = load_preview(source, _CONVERTED_SIDE)
        else:
            content = source.read(MAX_BYTES + 1)
            picture = decode_preview(content, "an original", _CONVERTED_SIDE) if len(content) <= MAX_BYTES else None
    if picture is None:
        raise NoSuchPage("The picture cannot be shown here: it is too large, or no picture. It can be downloaded.")
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return Response(stream.getvalue(), media_type="image/png")


def _reached(folder: Path, path: str) -> Path:
    if not is_remote(folder):
        return Path(os.path.normpath(folder / path))
    try:
        return resolve(folder, path)
    except InvalidLocation:
        raise NoSuchPage("That is no file of this run's report.") from None


def _output_folder(run: Run) -> Path:
    return run.folder.parent.parent
