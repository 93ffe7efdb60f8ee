"""The web application of the plugin: who may see a run's DAG may see its report, its images and nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from colorquant.errors import StoreUnavailable
from colorquant.jobs import TILED_SUFFIX
from colorquant.storage import using
from colorquant_airflow.pages import files
from colorquant_airflow.pages.links import run_path
from colorquant_airflow.pages.runs import NoAccess, NoSuchPage, Run, find_run, recent_runs
from colorquant_airflow.pages.templates import page

_RUNS_A_PAGE, _IMAGES_A_PAGE = 50, 200
_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; frame-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)

app = FastAPI(title="Image compression", docs_url=None, redoc_url=None, openapi_url=None)
app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))


@app.middleware("http")
async def _protect(request: Request, call_next: Any) -> Response:
    """A browser takes nothing for what it is not, loads nothing from elsewhere, and shows it in no foreign frame."""
    response = await call_next(request)
    response.headers.setdefault("Content-Security-Policy", _POLICY)
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    return response


@app.exception_handler(NoSuchPage)
async def _not_found(request: Request, error: NoSuchPage) -> HTMLResponse:
    return HTMLResponse(page("missing", reason=str(error)), status_code=404)


@app.exception_handler(NoAccess)
async def _no_access(request: Request, error: NoAccess) -> HTMLResponse:
    return HTMLResponse(page("missing", reason=str(error)), status_code=502)


def _found_run(dag_id: str, run_id: str, session: SessionDep) -> Run:
    return find_run(session, dag_id, run_id)


async def _readable_run(run: Annotated[Run, Depends(_found_run)]) -> AsyncIterator[Run]:
    """A run whose object store is at hand.

    It is asynchronous because an endpoint, which has a thread of its own, sees what is set in the request's task; no
    other request does. The credentials are looked up in that thread, when a file is asked for.
    """
    with using(lambda: run.store_options):
        try:
            yield run
        except StoreUnavailable as error:
            raise run.no_access(error) from error


# The check of the right comes first: who may not read the DAG is not told which runs there are.
_MAY_READ = Depends(requires_access_dag("GET", DagAccessEntity.RUN))
RunDep = Annotated[Run, Depends(_readable_run)]
PageNumber = Annotated[int, Query(ge=1, le=10_000)]
runs = "/runs/{dag_id}/{run_id}"


@app.get("/", response_class=HTMLResponse)
def list_runs(user: GetUserDep, session: SessionDep, page_number: PageNumber = 1) -> str:
    """The runs of the DAGs that the user may read, the newest first."""
    readable = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
    found = recent_runs(session, readable, (page_number - 1) * _RUNS_A_PAGE, _RUNS_A_PAGE + 1)
    return page("runs", runs=found[:_RUNS_A_PAGE], number=page_number, has_more=len(found) > _RUNS_A_PAGE)


@app.get(runs, response_class=HTMLResponse, dependencies=[_MAY_READ])
def show_run(run: RunDep, page_number: PageNumber = 1) -> str:
    """The run's images."""
    if run.refused:
        return page("run", run=run, images=[], number=1, pages=1)
    names = list(enumerate(run.images.items(), start=1))
    shown = names[(page_number - 1) * _IMAGES_A_PAGE : page_number * _IMAGES_A_PAGE]
    return page("run", run=run, images=shown, number=page_number, pages=-(-len(names) // _IMAGES_A_PAGE))


@app.get(f"{runs}/report", response_class=HTMLResponse, dependencies=[_MAY_READ])
def show_report(run: RunDep) -> str:
    """The run's report, in a frame below the way back."""
    if not run.has_report:
        raise NoSuchPage("The report of this run is not written: the task summarize does that at the run's end.")
    return page("report", run=run, source=f"files/{files.inside_output(run, run.folder / 'summary.html')}")


@app.get(f"{runs}/files/{{path:path}}", dependencies=[_MAY_READ])
def send_file(run: RunDep, path: str) -> Response:
    """A file of the report, or an output that the report links to."""
    found = files.of_report(run, path)
    return files.send(found, found.name if found.suffix == TILED_SUFFIX else None)


@app.get(f"{runs}/images/{{number}}", response_class=HTMLResponse, dependencies=[_MAY_READ])
def show_image(run: RunDep, number: int, job: int | None = None) -> str:
    """An image: the original beside the outputs of its jobs; ``job`` is the one to begin with."""
    rows = list(enumerate(run.rows_of(number), start=1))
    shown = [place for place, row in rows if not row.failed]
    chosen = job if job in shown else shown[-1] if shown else None
    return page("image", run=run, number=number, count=len(run.images), rows=rows, chosen=chosen)


@app.get(f"{runs}/images/{{number}}/original", dependencies=[_MAY_READ])
def send_original(run: RunDep, number: int, download: bool = False) -> Response:
    """The original, as it was when the run was planned."""
    return files.send_original(run.jobs_of(number)[0], download)


@app.get(f"{runs}/images/{{number}}/outputs/{{place}}", dependencies=[_MAY_READ])
def send_output(run: RunDep, number: int, place: int, download: bool = False) -> Response:
    """The output of one of an image's jobs."""
    jobs = run.jobs_of(number)
    if not 1 <= place <= len(jobs):
        raise NoSuchPage(f"This image has {len(jobs)} jobs, and none with number {place}.")
    output = files.output_of(jobs[place - 1])
    return files.send(output, f"{Path(jobs[place - 1].name).stem}_{output.name}" if download else None)


@app.get(f"{runs}/jobs/{{map_index}}", dependencies=[_MAY_READ])
def find_job(run: RunDep, map_index: int) -> RedirectResponse:
    """From a mapped task instance to its image."""
    job = run.pending_job(map_index)
    return RedirectResponse(f"{run_path(run.dag_id, run.run_id)}/images/{run.number_of(job)}?job={run.place_of(job)}")
