"""Which files the pages may hand out, and as what: those of a run's report and its images, never a path as it comes."""

import io
import os
from pathlib import Path
from threading import Lock

from fastapi.responses import FileResponse, Response

from colorquant.files import sha256_of
from colorquant.jobs import Job
from colorquant.report.text import readable
from orchestration.web.runs import NoSuchPage, Run

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
}
_REPORT_POLICY = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
_CONVERTED_SIDE = 4096
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
    outputs = {job.output for job in run.plan.jobs}  # Also a folder that Airflow was told of must hold this run's plan.
    wanted = Path(os.path.normpath(_output_folder(run) / path))
    if not wanted.is_relative_to(run.folder):
        if str(wanted) in outputs:
            return wanted
    elif wanted.suffix in _MEDIA_TYPES and "\0" not in path and wanted.resolve().is_relative_to(run.folder.resolve()):
        return wanted
    raise NoSuchPage("That is no file of this run's report.")


def send(path: Path, name: str | None = None) -> Response:
    """A file as what its name says; ``name`` is for one that is to be saved. Raises NoSuchPage."""
    if path.suffix not in _MEDIA_TYPES or not path.is_file():
        raise NoSuchPage("The file is not there, or not yet.")
    response = FileResponse(
        path,
        media_type=_MEDIA_TYPES[path.suffix],
        filename=readable(name) if name else None,
    )
    if path.suffix == ".html":
        from colorquant.report.page import page_script

        # Any other script than the report's own would have the rights of whoever looks at the page.
        response.headers["Content-Security-Policy"] = f"{_REPORT_POLICY}; script-src '{page_script()[1]}'"
    return response


def send_original(job: Job, download: bool) -> Response:
    """A job's image: as it is where browsers show it or it is to be saved, else as a PNG. Raises NoSuchPage."""
    path = Path(job.image)
    try:
        # What is handed out is what was planned, whatever lies there now.
        unchanged = path.is_file() and sha256_of(path) == job.image_sha256
    except OSError:
        unchanged = False
    if not unchanged:
        raise NoSuchPage("The original has changed since this run, or is not there any more.")
    name = readable(Path(job.name).name)
    if download:
        return FileResponse(path, media_type="application/octet-stream", filename=name)
    with open(path, "rb") as stream:
        beginning = stream.read(16)
    shown = next((kind for magic, kind in _SHOWN.items() if beginning.startswith(magic)), None)
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        shown = "image/webp"
    return FileResponse(path, media_type=shown) if shown else _converted(path)


def _converted(path: Path) -> Response:
    from colorquant.report.previews import load_preview

    with _converting:  # One at a time: a decoded image may be large.
        picture = load_preview(path, _CONVERTED_SIDE)
    if picture is None:
        raise NoSuchPage("The original cannot be shown.")
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return Response(stream.getvalue(), media_type="image/png")


def _output_folder(run: Run) -> Path:
    return run.folder.parent.parent
