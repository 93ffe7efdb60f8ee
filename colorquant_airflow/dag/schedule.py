"""When the DAGs run: settings of the deployment, so that nobody has to edit a DAG file for them.

All functions raise ValueError for a setting that would never start a run. Airflow shows it as the DAG's import error.
"""

import os
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable

from colorquant_airflow import private
from colorquant_airflow.dag.assets import NEW_IMAGES

#: All types of runs except backfills: a run compresses the library as it is now, not as it was on a past night.
RUN_TYPES: Any = [kind for kind in private.DagRunType if kind is not private.DagRunType.BACKFILL_JOB]


def nightly_schedule() -> AssetOrTimeSchedule | list[Asset]:
    """At COMPRESSION_SCHEDULE (a cron expression, or "none") in COMPRESSION_TIMEZONE, and when there are new images."""
    times = timetable("COMPRESSION_SCHEDULE", "0 2 * * *")
    return AssetOrTimeSchedule(timetable=times, assets=[NEW_IMAGES]) if times else [NEW_IMAGES]


def corpus_schedule() -> CronTriggerTimetable | None:
    """At COMPRESSION_CORPUS_SCHEDULE (a cron expression) in COMPRESSION_TIMEZONE; None, the default, without one."""
    return timetable("COMPRESSION_CORPUS_SCHEDULE", "none")


def timetable(variable: str, default: str) -> CronTriggerTimetable | None:
    """What an environment variable says, in COMPRESSION_TIMEZONE; None for "none"."""
    cron = os.environ.get(variable, default).strip()
    zone = os.environ.get("COMPRESSION_TIMEZONE", "UTC")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"COMPRESSION_TIMEZONE={zone!r} is not a time zone; write for example Europe/Oslo") from None
    if cron.lower() == "none":
        return None
    try:
        private.CronTriggerTimetable(cron, timezone=zone).validate()
    except Exception as error:  # Airflow's own, and those of its library for cron expressions.
        raise ValueError(
            f'{variable}={cron!r} is not a cron expression ({error}); write for example "0 2 * * *", or none'
        ) from None
    return CronTriggerTimetable(cron, timezone=zone)
