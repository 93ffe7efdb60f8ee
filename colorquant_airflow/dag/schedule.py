"""When the nightly DAG runs: settings of the deployment, so that nobody edits a DAG file for them."""

import os
from typing import Any

from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable
from airflow.utils.types import DagRunType

from colorquant_airflow.dag.assets import NEW_IMAGES

#: All but backfills: a run compresses the library as it is now, whatever night it is said to be of.
RUN_TYPES: Any = [  # The SDK expects an enumeration of its own, which is private, and converts this one.
    kind for kind in DagRunType if kind is not DagRunType.BACKFILL_JOB
]


def nightly() -> AssetOrTimeSchedule | list[Asset]:
    """At COMPRESSION_SCHEDULE (a cron expression, or "none") in COMPRESSION_TIMEZONE, and when there are new images."""
    cron = os.environ.get("COMPRESSION_SCHEDULE", "0 2 * * *")
    if cron.lower() == "none":
        return [NEW_IMAGES]
    timetable = CronTriggerTimetable(cron, timezone=os.environ.get("COMPRESSION_TIMEZONE", "UTC"))
    return AssetOrTimeSchedule(timetable=timetable, assets=[NEW_IMAGES])


def corpus_schedule() -> CronTriggerTimetable | None:
    """At COMPRESSION_CORPUS_SCHEDULE (a cron expression), if that is given."""
    cron = os.environ.get("COMPRESSION_CORPUS_SCHEDULE", "none")
    timezone = os.environ.get("COMPRESSION_TIMEZONE", "UTC")
    return None if cron.lower() == "none" else CronTriggerTimetable(cron, timezone=timezone)
