"""The nights on which clocks change: each has one run."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.timetables.base import TimeRestriction
from pendulum import timezone

from colorquant_airflow.dag import corpus_schedule
from colorquant_airflow.private import CronTriggerTimetable

SPRING, AUTUMN = "2027-03-26T12:00", "2027-10-29T12:00"


def _runs(schedule: Any, since: str) -> list[str]:
    """Day, time and offset of the next three runs after a time, by Airflow's own timetable."""
    zone = schedule.timezone
    timetable = CronTriggerTimetable(schedule.expression, timezone=zone)
    earliest = datetime.fromisoformat(since).replace(tzinfo=ZoneInfo(zone))
    restriction = TimeRestriction(timezone("UTC").convert(earliest), None, True)
    found: list[str] = []
    last = None
    for _ in range(3):
        run = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        assert run is not None
        found.append(run.run_after.astimezone(ZoneInfo(zone)).strftime("%d %H:%M %z"))
        last = run.data_interval
    return found


@pytest.mark.parametrize(
    ("since", "cron", "expected"),
    [
        (SPRING, "30 1 * * *", ["27 01:30 +0100", "28 01:30 +0100", "29 01:30 +0200"]),
        # At 2 the clocks go to 3.
        (SPRING, "30 2 * * *", ["27 02:30 +0100", "28 03:30 +0200", "29 02:30 +0200"]),
        (SPRING, "30 3 * * *", ["27 03:30 +0100", "28 03:30 +0200", "29 03:30 +0200"]),
        (AUTUMN, "30 1 * * *", ["30 01:30 +0200", "31 01:30 +0200", "01 01:30 +0100"]),
        # At 3 the clocks go back to 2: the time comes twice.
        (AUTUMN, "30 2 * * *", ["30 02:30 +0200", "31 02:30 +0100", "01 02:30 +0100"]),
        (AUTUMN, "30 3 * * *", ["30 03:30 +0200", "31 03:30 +0100", "01 03:30 +0100"]),
    ],
)
def test_a_night_has_one_run_when_clocks_change(
    since: str, cron: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPRESSION_CORPUS_SCHEDULE", cron)
    monkeypatch.setenv("COMPRESSION_TIMEZONE", "Europe/Oslo")
    assert _runs(corpus_schedule(), since) == expected
