"""The web application of the plugin. Whoever may see a run's DAG may see its report and its images, nothing else."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from colorquant.errors import StoreUnavailable
from colorquant.jobs import TILED_SUFFIX
from colorquant.storage import using
from colorquant_airflow.allowed import use_allowed_roots
from colorquant_airflow.links import answer_path, run_path
from colorquant_airflow.pages import files
from colorquant_airflow.pages.lines import lines_of
from colorquant_airflow.pages.runs import DAG_IDS, NoAccess, NoSuchPage, Run, find_run, recent_runs
from colorquant_airflow.pages.templates import page
from colorquant_airflow.pool import pool_wait
from colorquant_airflow.private import DagAccessEntity, GetUserDep, SessionDep, requires_access_dag

_RUNS_A_PAGE, _IMAGES_A_PAGE = 50, 200
_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "frame-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
)

app = FastAPI(title="Image compression", docs_url=None, redoc_url=None, openapi_url=None)
app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))


@app.middleware("http")
async def _protect(request: Request, call_next: Any) -> Response:
    """Make browsers trust content types, load nothing from other hosts, and show no page in a foreign frame."""
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
    try:
        use_allowed_roots()
    except ValueError as error:
        raise NoAccess(f"Airflow's API server does not know the folders of the runs: {error}.") from error
    return find_run(session, dag_id, run_id)


async def _readable_run(run: Annotated[Run, Depends(_found_run)]) -> AsyncIterator[Run]:
    """The run of a request, with the credentials of its object store in force.

    The function is asynchronous because the endpoint, in a thread of its own, sees the context variables of the
    request's task, and no other request does. That thread looks the credentials up when it opens a file.
    """
    with using(lambda: run.store_options):
        try:
            yield run
        except StoreUnavailable as error:
            raise run.no_access(error) from error


# Access is checked first: a user without the right to read the DAG does not learn which runs exist.
_MAY_READ = Depends(requires_access_dag("GET", DagAccessEntity.RUN))
RunDep = Annotated[Run, Depends(_readable_run)]
Order = Literal["failed", "name", "quality", "saved", "share", "size"]
PageNumber = Annotated[int, Query(ge=1, le=10_000)]
_RUN = "/runs/{dag_id}/{run_id}"


def _may_read_runs(dag_id: str, request: Request, user: Any) -> bool:
    """Whether a user may read the runs of a DAG, by the check that guards their pages."""
    try:
        requires_access_dag("GET", DagAccessEntity.RUN, dag_id)(request, user)
    except HTTPException:
        return False
    return True


@app.get("/", response_class=HTMLResponse)
def list_runs(request: Request, user: GetUserDep, session: SessionDep, page_number: PageNumber = 1) -> str:
    """Show the runs that the user may read, the newest first, and why none of their jobs starts."""
    readable = {dag_id for dag_id in DAG_IDS if _may_read_runs(dag_id, request, user)}
    found = recent_runs(session, readable, (page_number - 1) * _RUNS_A_PAGE, _RUNS_A_PAGE + 1)
    return page(
        "runs",
        runs=found[:_RUNS_A_PAGE],
        number=page_number,
        has_more=len(found) > _RUNS_A_PAGE,
        wait=pool_wait(session),
    )


@app.get(_RUN, response_class=HTMLResponse, dependencies=[_MAY_READ])
def show_run(run: RunDep, page_number: PageNumber = 1, order: Order = "failed", find: str = "") -> str:
    """Show a run: its state, totals and images. ``find`` is a part of the names to show."""
    lines = [] if run.refused else lines_of(run, order, find)
    shown = lines[(page_number - 1) * _IMAGES_A_PAGE : page_number * _IMAGES_A_PAGE]
    pages = -(-len(lines) // _IMAGES_A_PAGE)
    return page("run", run=run, lines=shown, found=len(lines), number=page_number, pages=pages, order=order, find=find)


@app.get(f"{_RUN}/progress", response_class=HTMLResponse, dependencies=[_MAY_READ])
def show_progress(run: RunDep) -> str:
    """Show how far a run is: the part of its page that is asked for again and again."""
    return page("progress", run=run)


@app.get(f"{_RUN}/report", response_model=None, response_class=HTMLResponse, dependencies=[_MAY_READ])
def show_report(run: RunDep, session: SessionDep) -> str | RedirectResponse:
    """Show the run's report in a frame, below the links back; or lead to the report that it repeats."""
    if run.repeats:
        with suppress(NoSuchPage):  # Another DAG's, or no longer in Airflow's database.
            return RedirectResponse(f"{run_path(run.dag_id, find_run(session, run.dag_id, run.repeats).run_id)}/report")
    if not run.has_report:
        raise NoSuchPage("This run has no report yet: the task summarize writes it at the end of the run.")
    return page("report", run=run, source=f"files/{files.inside_output(run, run.folder / 'summary.html')}")


@app.get(f"{_RUN}/review", response_class=HTMLResponse, dependencies=[_MAY_READ])
def show_review(run: RunDep) -> str:
    """Show what a person is asked before the run publishes: what would change, and the worst pictures."""
    review = run.review
    planned = run.plan.numbered({one.image for one in review.worst})
    worst = [(one, *run.place_of(one.image, one.k)) for one in review.worst if one.image in planned]
    return page("review", run=run, review=review, worst=worst, answer=answer_path(run.dag_id, run.run_id))


@app.get(f"{_RUN}/files/{{path:path}}", dependencies=[_MAY_READ])
def send_file(run: RunDep, path: str) -> Response:
    """Send a file of the report, or an output that the report links to."""
    found = files.of_report(run, path)
    return files.send(found, found.path.name if found.path.suffix == TILED_SUFFIX else None)


@app.get(f"{_RUN}/images/{{number}}", response_class=HTMLResponse, dependencies=[_MAY_READ])
def show_image(run: RunDep, number: int, job: int | None = None) -> str:
    """Show an image next to the outputs of its jobs. ``job`` is the number of the first one to show, from 1."""
    rows = list(enumerate(run.rows_of(number), start=1))
    choice = run.choice_of([row for _, row in rows])
    shown = [position for position, row in rows if not row.failed]
    kept = next((position for position in shown if choice and choice.k and rows[position - 1][1].k == choice.k), None)
    first = job if job in shown else kept or (shown[-1] if shown else None)
    logs = dict(enumerate(map(run.log_of, run.jobs_of(number)), start=1))
    return page(
        "image",
        run=run,
        number=number,
        count=run.count,
        rows=rows,
        first_shown=first,
        kept=kept,
        choice=choice,
        logs=logs,
    )


@app.get(f"{_RUN}/images/{{number}}/original", dependencies=[_MAY_READ])
def send_original(run: RunDep, number: int, download: bool = False) -> Response:
    """Send the original, if it has not changed since the run was planned."""
    return files.send_original(run, run.jobs_of(number)[0], download)


@app.get(f"{_RUN}/images/{{number}}/thumbnail", dependencies=[_MAY_READ])
def send_thumbnail(run: RunDep, number: int) -> Response:
    """Send a small picture of the original."""
    return files.thumbnail(files.original_of(run, run.jobs_of(number)[0]))


@app.get(f"{_RUN}/images/{{number}}/outputs/{{position}}/thumbnail", dependencies=[_MAY_READ])
def send_output_thumbnail(run: RunDep, number: int, position: int) -> Response:
    """Send a small picture of an output."""
    return files.thumbnail(files.output_of(run, run.job_of(number, position)))


@app.get(f"{_RUN}/images/{{number}}/outputs/{{position}}", dependencies=[_MAY_READ])
def send_output(run: RunDep, number: int, position: int, download: bool = False) -> Response:
    """Send the output of one of an image's jobs; ``position`` counts them from 1."""
    job = run.job_of(number, position)
    output = files.output_of(run, job)
    return files.send(output, f"{Path(job.name).stem}_{output.path.name}" if download else None)


@app.get(f"{_RUN}/jobs/{{map_index}}", dependencies=[_MAY_READ])
def find_job(run: RunDep, map_index: int) -> RedirectResponse:
    """Lead from a mapped task instance to its image."""
    job = run.pending_job(map_index)
    return RedirectResponse(
        f"{run_path(run.dag_id, run.run_id)}/images/{run.number_of(job)}?job={run.position_of(job)}"
    )
