"""One task of the DAG as a process of its own: the operator's ``execute``, and its ``on_kill`` at SIGTERM."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.conftest import PROJECT

# What Airflow's task runner does: SIGTERM calls the operator's on_kill, SIGKILL nothing at all.
_TASK = """
import json, signal, sys
project, failure, conf, *arguments = sys.argv[1:]
sys.path.insert(0, project)
from colorquant_airflow.operators import SPARK_CONF, CompressImageOperator
operator = CompressImageOperator(
    task_id="t", name="t", conf=SPARK_CONF | json.loads(conf), failure=failure, application_args=arguments)
signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
operator.execute({})
"""


def start_task(
    master: str,
    image: Path,
    output: Path,
    environment: dict[str, str],
    arguments: Iterable[str] = (),
    conf: dict[str, str] | None = None,
) -> "subprocess.Popen[str]":
    """Start compressing ``image`` to ``output``; the record is beside it, and what the job says in ``output``.log."""
    output.parent.mkdir(parents=True, exist_ok=True)
    paths = [f"--image={image}", f"--output={output}", f"--result={output.with_suffix('.json')}"]
    paths.append(f"--failure={output.with_suffix('.failure')}")
    connection = json.dumps({"conn_type": "spark", "host": master})
    with open(output.with_suffix(".log"), "w") as log:
        return subprocess.Popen(
            [sys.executable, "-c", _TASK, str(PROJECT), str(output.with_suffix(".failure")), json.dumps(conf or {})]
            + [*paths, *arguments],
            env=environment | {"AIRFLOW_CONN_SPARK_DEFAULT": connection, "COMPRESSION_ALLOWED_ROOTS": "/"},
            stdout=log,
            stderr=log,
            text=True,
        )
