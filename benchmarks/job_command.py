"""The very command by which the DAG's operator submits a job, without the Airflow process around it."""

import json
import os
import subprocess
import sys
from pathlib import Path

_PROJECT = Path(__file__).resolve().parent.parent
_JOB = """
import sys
sys.path.insert(0, sys.argv[1])
import json, os
from colorquant_airflow.operators import SPARK_CONF, CompressImageOperator
from colorquant_airflow.private import submit_command
from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
def hand_over(hook, application, env, **_):
    # The operator's own command and environment, but without the Airflow process around it in the measurement.
    command = submit_command(hook, application)
    if not any("ArchiveClassesAtExit" in part for part in command):
        print(json.dumps([command, env]), file=open(sys.argv[2] + "/command.json", "w"))
        return
    import subprocess
    subprocess.run(command, env=env, check=True)
SparkSubmitHook.submit = hand_over
CompressImageOperator(
    task_id="t", name="benchmark", conf=SPARK_CONF, failure=sys.argv[2] + "/f.json",
    application_args=["--image=" + sys.argv[3], "--force", f"--output={sys.argv[2]}/o.png",
                      f"--result={sys.argv[2]}/r.json", *sys.argv[4:]]).execute({})
"""


def job_command(folder: str, image: str, k: int, *arguments: str, cores: int = 2) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a job in local mode, which writes ``o.png`` and ``r.json`` to the folder.

    Where there is no class-data archive yet, a first submit makes it.
    """
    file = Path(folder, "command.json")
    file.unlink(missing_ok=True)
    connection = json.dumps({"conn_type": "spark", "host": f"local[{cores}]"})
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", _JOB, str(_PROJECT), folder, os.path.abspath(image), f"--k={k}", *arguments],
            env=os.environ | {"AIRFLOW_CONN_SPARK_DEFAULT": connection, "COMPRESSION_ALLOWED_ROOTS": "/"},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if file.exists():
            break
    command, environment = json.loads(file.read_text())
    return command, environment
