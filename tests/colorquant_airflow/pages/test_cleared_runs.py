"""The links of mapped task instances of a run that was cleared, and so planned again when its jobs were done."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from colorquant.jobs import RunRequest, plan_run
from colorquant_airflow.pages.runs import NoSuchPage, Run


def test_links_of_instances_that_are_no_longer_mapped_lead_to_their_jobs(photographs: Path, tmp_path: Path) -> None:
    plan = plan_run(RunRequest(run_id="run", images=str(photographs), ks=[4, 9], output=str(tmp_path)))
    labels = tuple(job.label for job in plan.jobs)
    # Three jobs were to be done, and now one of them is left.
    again = replace(plan, reused=frozenset(labels) - {labels[3]}, pending_before=labels[1:])
    run: Any = SimpleNamespace(plan=again)
    assert [Run.pending_job(run, index).label for index in range(3)] == [labels[3], labels[2], labels[3]]
    for index in (-1, 3):
        with pytest.raises(NoSuchPage, match="This run mapped 1 jobs"):
            Run.pending_job(run, index)
