"""What the start of Spark costs a small job, against a default empty PySpark application, in turn in one run.

    python -m benchmarks.startup IMAGE [--rounds 5]

IMAGE is a picture of some 0.4 megapixels. The job is submitted by the DAG's operator with the DAG's settings.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.process_tree import Usage, watch

_PROJECT = Path(__file__).resolve().parent.parent
_EMPTY = """
from pyspark import SparkContext
context = SparkContext(appName="empty")
assert context.parallelize(range(10), 2).map(lambda x: x + 1).sum() == 55
context.stop()
"""
_JOB = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/spark_apps"]
import json, os
from orchestration import operators
from orchestration.spark_conf import SPARK_CONF
from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
def hand_over(hook, application, env, **_):
    # The operator's own command and environment, but without the Airflow process around it in the measurement.
    command = hook._build_spark_submit_command(application)
    if not any("ArchiveClassesAtExit" in part for part in command):
        print(json.dumps([command, env]), file=open(sys.argv[2] + "/command.json", "w"))
        return
    import subprocess
    subprocess.run(command, env=env, check=True)
SparkSubmitHook.submit = hand_over
operators.CompressImageOperator(
    task_id="t", name="startup", conf=SPARK_CONF, application=sys.argv[1] + "/spark_apps/compress_image.py",
    failure=sys.argv[2] + "/f.json",
    application_args=["--image=" + sys.argv[3], "--k=16", "--force", f"--output={sys.argv[2]}/o.png",
                      f"--result={sys.argv[2]}/r.json"]).execute({})
"""


def main() -> None:
    """Print seconds by part of the job, and the two ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    os.environ.setdefault("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[2]"}')
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "empty.py")
        empty.write_text(_EMPTY)
        command, environment = _command(folder, os.path.abspath(arguments.image))
        watch(command, environment)  # Once before: kernels are compiled, files are in the page cache.
        rounds = [
            (_good(watch(["spark-submit", "--master", "local[2]", str(empty)])), _good(watch(command, environment)))
            for _ in range(arguments.rounds)
        ]
    empties, jobs = zip(*rounds, strict=True)
    print(f"{'median seconds':32} {'empty':>7} {'job':>7} {'ratio':>6}")
    _print("wall", [run.wall for run in empties], [run.wall for run in jobs])
    _print("CPU, all processes", [run.cpu_total for run in empties], [run.cpu_total for run in jobs])
    for part in ("launcher", "JVM", "driver", "daemon", "workers", "scripts"):
        _print(
            f"  CPU of {part}", [run.cpu.get(part, 0.0) for run in empties], [run.cpu.get(part, 0.0) for run in jobs]
        )
    for part in ("JVM", "driver", "daemon", "workers"):
        when = [[run.appeared.get(part, 0.0) for run in runs] for runs in (empties, jobs)]
        _print(f"  seconds until {part} starts", *when)


def _command(folder: str, image: str) -> tuple[list[str], dict[str, str]]:
    """What the operator runs; where there is no class archive yet, the first of two submits makes it."""
    import json
    import subprocess

    file = Path(folder, "command.json")
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", _JOB, str(_PROJECT), folder, image],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if file.exists():
            break
    command, environment = json.loads(file.read_text())
    return command, environment


def _good(usage: Usage) -> Usage:
    if usage.exit_code:
        sys.exit(f"a measured command failed:\n{usage.output}")
    return usage


def _print(what: str, empty: list[float], job: list[float]) -> None:
    one, other = statistics.median(empty), statistics.median(job)
    print(f"{what:32} {one:7.2f} {other:7.2f} {f'{other / one:6.2f}' if one else ''}")


if __name__ == "__main__":
    main()
