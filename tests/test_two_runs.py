"""Two runs at once on the same images and output, as when somebody triggers a run while the nightly one goes."""

import subprocess
import sys
import threading
from pathlib import Path

from colorquant.jobs.plan import Plan, RunRequest, plan_run, run_folder
from colorquant.jobs.records import CompressionResult
from colorquant.report import read_summary, summarize_run
from colorquant.storage.atomic import sha256_of

PROJECT = Path(__file__).resolve().parent.parent


def _do(plan: Plan, output: Path, environment: dict[str, str]) -> None:
    """What the tasks of a run do, one job after the other."""
    for submission in plan.submissions():
        subprocess.run(
            [
                *("spark-submit", "--master", "local[1]", "--conf", f"spark.pyspark.python={sys.executable}"),
                *("--conf", "spark.ui.enabled=false", str(PROJECT / "spark_apps" / "compress_image.py")),
                *submission["application_args"],
            ],
            env=environment,
            capture_output=True,
            check=True,
            timeout=600,
        )
    summarize_run(plan, run_folder(output, plan.run_id))


def test_two_runs_at_once_do_not_harm_each_other(
    photographs: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    output = tmp_path / "output"
    # Both are planned before either has done anything, so both do every job, at the same time.
    plans = [
        plan_run(RunRequest(run_id=run_id, images=str(photographs), ks=[5], output=str(output)))
        for run_id in ("nightly", "by hand")
    ]
    assert [len(plan.pending()) for plan in plans] == [2, 2]
    threads = [threading.Thread(target=_do, args=(plan, output, bare_environment)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    summaries = [read_summary(run_folder(output, plan.run_id) / "summary.json") for plan in plans]
    assert [(summary.totals.done, summary.totals.failed) for summary in summaries] == [(2, 0), (2, 0)]
    for ours, theirs in zip(summaries[0].rows, summaries[1].rows, strict=True):
        assert ours.output_sha256 == theirs.output_sha256
    for job in plans[0].jobs:
        assert CompressionResult.read(job.result).output_sha256 == sha256_of(job.output)
    assert list(output.rglob(".tmp-*")) == []
    assert plan_run(RunRequest(run_id="next", images=str(photographs), ks=[5], output=str(output))).pending() == []
