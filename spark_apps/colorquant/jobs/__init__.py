"""What a run has to do and what it has done: jobs, plans, records. Standard library only.

DAG files import this package: nothing here may load numpy, OpenCV or PySpark.
"""

from colorquant.jobs.failure import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_WRONG_ARGUMENTS, JobFailure
from colorquant.jobs.folders import RunFolders, mark_outputs, versions_of
from colorquant.jobs.job import TILED_SUFFIX, Job
from colorquant.jobs.kills import note_kill, refusal_for_kills, too_slow_for
from colorquant.jobs.memory import forget, full_check_after
from colorquant.jobs.pauses import PLANNING, Lease, is_being_planned, planning
from colorquant.jobs.plan import (
    AUTO,
    FEWEST,
    PaletteRequest,
    Plan,
    RunRequest,
    parse_ks,
    parse_target,
    plan_run,
    run_folder,
)
from colorquant.jobs.planned_jobs import PlannedJobs, Stretch
from colorquant.jobs.progress import PROGRESS, RunProgress
from colorquant.jobs.records import CompressionResult, KSearchRecord, NeededBytes
from colorquant.jobs.shared_palette import (
    SharedPalette,
    content_of,
    group_of,
    name_of_palette,
    palette_path,
    settings_of_palette,
)
from colorquant.jobs.weights import WeightsFile, no_weights, weights_below

__all__ = [
    "AUTO",
    "FEWEST",
    "CompressionResult",
    "content_of",
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
    "group_of",
    "mark_outputs",
    "name_of_palette",
    "no_weights",
    "note_kill",
    "palette_path",
    "PaletteRequest",
    "parse_ks",
    "parse_target",
    "Plan",
    "PlannedJobs",
    "PLANNING",
    "PROGRESS",
    "is_being_planned",
    "planning",
    "plan_run",
    "refusal_for_kills",
    "run_folder",
    "RunFolders",
    "RunProgress",
    "RunRequest",
    "SharedPalette",
    "Stretch",
    "TILED_SUFFIX",
    "settings_of_palette",
    "too_slow_for",
    "versions_of",
    "weights_below",
    "WeightsFile",
]
