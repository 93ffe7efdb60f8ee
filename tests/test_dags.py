"""DAG integrity: what must hold for every file in dags/, and the shape of this project's DAG.

Each file is loaded by a process of its own, on a bare environment: no PYTHONPATH, no database, an empty home.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent
DAG_FILES = sorted((PROJECT / "dags").rglob("*.py"))

_LOAD = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
def describe(task):
    return {
        "mapped": task.is_mapped, "retries": task.retries, "owner": task.owner, "pool": task.pool,
        "trigger_rule": task.trigger_rule.value, "upstream": sorted(task.upstream_task_ids),
        "template_fields": list(task.template_fields), "documented": bool(task.doc_md),
        "operator": task.task_type if not task.is_mapped else task.operator_class.__name__,
        "label": getattr(task, "map_index_template", None),
    }
print(json.dumps({
    "errors": bag.import_errors, "warnings": [str(w) for w in bag.captured_warnings],
    "heavy": sorted({"numpy", "cv2", "pyspark", "PIL", "matplotlib", "numba", "pandas"} & set(sys.modules)),
    "dags": {dag.dag_id: {
        "tags": sorted(dag.tags), "catchup": dag.catchup, "max_active_runs": dag.max_active_runs,
        "schedule": getattr(dag.timetable, "expression", None), "doc": dag.doc_md,
        "params": {k: dag.params.get_param(k).schema for k in dag.params}, "defaults": dag.params.dump(),
        "tasks": {t.task_id: describe(t) for t in dag.tasks},
    } for dag in bag.dags.values()},
}))
"""


@pytest.fixture(scope="module", params=DAG_FILES, ids=lambda path: path.name)
def loaded(request: pytest.FixtureRequest, bare_environment: dict[str, str], tmp_path_factory: Any) -> dict[str, Any]:
    """What a DagBag finds in one file."""
    home = tmp_path_factory.mktemp("home")
    environment = bare_environment | {
        "HOME": str(home),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    run = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:airflow", "-c", _LOAD, str(request.param)],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_it_imports_without_error_or_deprecation(loaded: dict[str, Any]) -> None:
    assert loaded["errors"] == {}
    assert loaded["warnings"] == []
    assert loaded["dags"]


def test_it_is_parsed_without_loading_what_only_tasks_need(loaded: dict[str, Any]) -> None:
    assert loaded["heavy"] == []


def test_parsing_reads_no_file_of_the_library_and_writes_nothing(
    tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    """The image folder may be missing, huge or slow: a DAG file does not look at it."""
    tracer = (
        "import sys, runpy; opened = []; events = ('open', 'os.listdir', 'os.scandir', 'os.mkdir'); "
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event in events else None); "
        "runpy.run_path(sys.argv[1]); folders = tuple(sys.argv[2:]); "
        "print([path for path in opened if path.startswith(folders)])"
    )
    for file in DAG_FILES:
        run = subprocess.run(
            [sys.executable, "-c", tracer, str(file), str(PROJECT / "include"), str(PROJECT / "output")],
            env=bare_environment | {"HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert run.stdout.splitlines()[-1:] == ["[]"], run.stdout + run.stderr


def test_every_dag_has_tags_a_schedule_documentation_and_no_catchup(loaded: dict[str, Any]) -> None:
    for dag in loaded["dags"].values():
        assert dag["tags"]
        assert dag["schedule"]
        assert not dag["catchup"]
        assert dag["doc"]


def test_every_task_has_an_owner_retries_and_documentation(loaded: dict[str, Any]) -> None:
    for dag in loaded["dags"].values():
        for name, task in dag["tasks"].items():
            assert task["owner"] not in ("", "airflow"), name
            assert task["retries"] >= 1, name
            assert task["documented"], name


def test_every_parameter_has_a_title_and_a_default_that_its_schema_accepts(loaded: dict[str, Any]) -> None:
    for dag in loaded["dags"].values():
        assert set(dag["defaults"]) == set(dag["params"])
        for name, schema in dag["params"].items():
            assert schema.get("title"), name


@pytest.fixture(scope="module")
def compression(loaded: dict[str, Any]) -> dict[str, Any]:
    if "kmeans_image_compression" not in loaded["dags"]:
        pytest.skip("another DAG's file")
    return loaded["dags"]["kmeans_image_compression"]


def test_the_compression_dag_has_its_shape(compression: dict[str, Any]) -> None:
    tasks = compression["tasks"]
    assert {name: task["upstream"] for name, task in tasks.items()} == {
        "plan_jobs": [],
        "compress_image": ["plan_jobs"],
        "summarize": ["compress_image", "plan_jobs"],
    }
    assert tasks["compress_image"]["mapped"]
    assert tasks["compress_image"]["pool"] == "spark"
    assert tasks["compress_image"]["label"]
    assert tasks["summarize"]["trigger_rule"] == "all_done"
    assert compression["max_active_runs"] == 1


def test_no_field_that_holds_a_file_name_is_rendered_by_jinja(compression: dict[str, Any]) -> None:
    assert compression["tasks"]["compress_image"]["template_fields"] == []
