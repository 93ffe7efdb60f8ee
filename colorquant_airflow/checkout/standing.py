"""The report of an earlier run that a new one would only repeat: where it stands, no Airflow has to be started."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorquant.errors import ColorquantError
from colorquant.jobs import RunRequest, plan_run, run_folder
from colorquant.report import standing_report
from colorquant.storage import is_remote

if TYPE_CHECKING:
    from colorquant.report import Summary
    from colorquant.settings import Settings

# No run has this name: only the place of its folder is used.
_RUN_ID = "nothing to do"
# Airflow maps far fewer, and above so many images a plan is written while it is made.
_MAX_JOBS = 10_000


def standing(params: Mapping[str, Any], settings: "Settings") -> "tuple[Path, Summary] | None":
    """The page of the earlier run that a run with these parameters would repeat, and what it says.

    Parameters
    ----------
    params : mapping
        Of the run, as ``make run`` tells them to the DAG.
    settings : Settings
        Theirs.

    Returns
    -------
    tuple of (pathlib.Path, Summary), or None
        None where there may be anything to do: an image, a setting or an output is new, a job failed, something is to
        be published, or the plan is refused, which the run will say. Folders in a bucket are left to the run.
    """
    images, output = params["images"], params["output"]
    if params["force"] or params["publish"] or is_remote(images) or is_remote(output):
        return None
    folder = run_folder(output, _RUN_ID)
    if not any(folder.parent.glob("*/summary.json")):
        return None
    request = RunRequest(
        run_id=_RUN_ID,
        images=images,
        ks=params["ks"],
        output=output,
        settings=settings,
        target=params["target"] or "",
        pattern=params["pattern"],
        exclude=params["exclude"],
    )
    try:
        plan = plan_run(request, max_jobs=_MAX_JOBS)
        plan.remember()  # So the run reads no file that this plan has read.
        return standing_report(plan, folder)
    except (ColorquantError, OSError):
        return None
