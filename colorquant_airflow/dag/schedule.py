"""When the DAGs run: settings of the deployment, so that nobody has to edit a DAG file for them."""

import os
from typing import Any

from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable

from colorquant_airflow.dag.assets import NEW_IMAGES
from colorquant_airflow.private import DagRunType

#: All types of runs except backfills: a run compresses the library as it is now, not as it was on a past night.
RUN_TYPES: Any = [kind for kind in DagRunType if kind is not DagRunType.BACKFILL_JOB]


def nightly_schedule() -> AssetOrTimeSchedule | list[Asset]:
    """At COMPRESSION_SCHEDULE (a cron expression, or "none") in COMPRESSION_TIMEZONE, and when there are new images."""
    timetable = _timetable("COMPRESSION_SCHEDULE", "0 2 * * *")
    return AssetOrTimeSchedule(timetable=timetable, assets=[NEW_IMAGES]) if timetable else [NEW_IMAGES]


def corpus_schedule() -> CronTriggerTimetable | None:
    """At COMPRESSION_CORPUS_SCHEDULE (a cron expression) in COMPRESSION_TIMEZONE; None, the default, without one."""
    return _timetable("COMPRESSION_CORPUS_SCHEDULE", "none")


def _timetable(variable: str, default: str) -> CronTriggerTimetable | None:
    cron = os.environ.get(variable, default)
    timezone = os.environ.get("COMPRESSION_TIMEZONE", "UTC")
    return None if cron.lower() == "none" else CronTriggerTimetable(cron, timezone=timezone)
