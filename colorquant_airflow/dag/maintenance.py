"""The removal of old runs and outputs: parameters, schedule, and the work of the task."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import CronTriggerTimetable, Param
from airflow.sdk.exceptions import AirflowFailException

from colorquant_airflow.allowed import output_folder, published_folder, with_folders
from colorquant_airflow.dag.params import connection_param
from colorquant_airflow.dag.schedule import timetable
from colorquant_airflow.dag.settings import check_settings, switched_on
from colorquant_airflow.storage_connection import use_storage

if TYPE_CHECKING:
    from airflow.sdk import Context


def maintenance_schedule() -> CronTriggerTimetable | None:
    """At COMPRESSION_MAINTENANCE_SCHEDULE (a cron expression, or "none") in COMPRESSION_TIMEZONE."""
    return timetable("COMPRESSION_MAINTENANCE_SCHEDULE", "0 12 * * 0")


def maintenance_params() -> dict[str, Param]:
    """The parameters of a run by name. Raises ValueError as ``library_params``."""
    check_settings()
    return {
        "output": Param(
            output_folder(),
            type="string",
            minLength=1,
            title="Output folder",
            description="A path (a relative one starts at the project) or a URI (s3://, gs://, az://); it is pruned.",
        ),
        "publish": Param(
            published_folder(),
            type=["string", "null"],
            title="Published folder",
            description="Its outputs are kept, besides those of the published folders that the runs name.",
        ),
        "dry_run": Param(
            not switched_on("COMPRESSION_MAINTENANCE_DELETES"),
            type="boolean",
            title="Only tell",
            description="Remove nothing: the log tells what would be removed, and how many bytes.",
        ),
        "storage_connection": connection_param(),
    }


def prune_outputs(context: "Context") -> dict[str, Any]:
    """Remove old runs and what only they named; return the numbers of runs, outputs, files and bytes.

    Raises
    ------
    AirflowFailException
        For a wrong parameter or setting, and where a plan cannot be read.
    """
    from colorquant.errors import InvalidRequest, PruneRefused
    from colorquant.retention import prune

    params = with_folders(context["params"])
    use_storage(params)
    try:
        published = [params["publish"]] if params["publish"] else []
        pruning = prune(params["output"], published, delete=not params["dry_run"])
    except InvalidRequest as error:
        raise AirflowFailException(str(error)) from None
    except PruneRefused as error:
        # A run is being planned, say: a later try may succeed.
        raise RuntimeError(str(error)) from None
    print(pruning.text(params["output"], deleted=not params["dry_run"]))
    return {
        "runs": len(pruning.runs),
        "outputs": pruning.outputs,
        "files": len(pruning.files),
        "bytes": pruning.bytes,
    }
