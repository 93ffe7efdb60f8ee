"""What a run has to do and what it has done: jobs, plans, records. Standard library only.

DAG files import this package: nothing here may load numpy, OpenCV or PySpark.
"""

from colorquant.jobs.failure import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_WRONG_ARGUMENTS, JobFailure
from colorquant.jobs.folders import RunFolders, mark_outputs, versions_of
from colorquant.jobs.job import TILED_SUFFIX, Job
from colorquant.jobs.kills import note_kill, refusal_for_kills, too_slow_for
from colorquant.jobs.memory import forget, full_check_after
from colorquant.jobs.pauses import PLANNING, Lease, is_being_planned, planning
from colorquant.jobs.plan import AUTO, FEWEST, Plan, RunRequest, parse_ks, parse_target, plan_run, run_folder
from colorquant.jobs.records import CompressionResult, KSearchRecord, NeededBytes

__all__ = [
    "AUTO",
    "FEWEST",
    "CompressionResult",
    "EXIT_BAD_INPUT",
    "EXIT_FAILED",
    "EXIT_WRONG_ARGUMENTS",
    "Job",
    "JobFailure",
    "KSearchRecord",
    "Lease",
    "NeededBytes",
    "forget",
    "full_check_after",
    "mark_outputs",
    "note_kill",
    "parse_ks",
    "parse_target",
    "Plan",
    "PLANNING",
    "is_being_planned",
    "planning",
    "plan_run",
    "refusal_for_kills",
    "run_folder",
    "RunFolders",
    "RunRequest",
    "TILED_SUFFIX",
    "too_slow_for",
    "versions_of",
]
