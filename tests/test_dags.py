"""DAG integrity: what must hold for every file in dags/, and the shape of this project's DAG.

Each file is loaded by a process of its own, on a bare environment: no PYTHONPATH, no database, an empty home. A file
that is added to dags/ is covered as it is.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

PROJECT = Path(__file__).resolve().parent.parent
DAG_FILES = sorted((PROJECT / "dags").rglob("*.py"))

#: What only tasks need; loading it at each parse would make every parse slow.
_HEAVY = ["numpy", "cv2", "pyspark", "PIL", "matplotlib", "numba", "pandas", "fastapi"]

_LOAD = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
modules = sorted(sys.modules)
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization
def describe(task):
    return {
        "mapped": task.is_mapped, "retries": task.retries, "owner": task.owner, "pool": task.pool,
        "trigger_rule": getattr(task.trigger_rule, "value", task.trigger_rule),
        "upstream": sorted(task.upstream_task_ids),
        "template_fields": list(task.template_fields), "documentation": task.doc_md,
        "operator": task.task_type if not task.is_mapped else task.operator_class.__name__,
        "label": getattr(task, "map_index_template", None),
        "timeout": task.execution_timeout and task.execution_timeout.total_seconds(),
        "delay": task.retry_delay.total_seconds(), "backoff": bool(task.retry_exponential_backoff),
    }
print(json.dumps({
    "errors": bag.import_errors, "warnings": [str(w) for w in bag.captured_warnings],
    "modules": modules,
    "dags": {dag.dag_id: {
        "tags": sorted(dag.tags), "catchup": dag.catchup, "max_active_runs": dag.max_active_runs,
        "schedule": dag.timetable.__class__.__name__, "doc": dag.doc_md,
        "params": {name: dag.params.get_param(name).serialize() for name in dag.params},
        "failure_callback": bool(dag.on_failure_callback),
        "tasks": {t.task_id: describe(t) for t in dag.tasks},
        "version": SerializedDagModel.hash(DagSerialization.to_dict(dag)),
    } for dag in bag.dags.values()},
}))
"""


def _load(file: Path, environment: dict[str, str], home: Path) -> dict[str, Any]:
    """What a DagBag finds in one file."""
    home.mkdir(exist_ok=True)
    run = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:airflow", "-c", _LOAD, str(file)],
        env=environment
        | {
            "HOME": str(home),
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        },
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.fixture(scope="module", params=DAG_FILES, ids=lambda path: path.name)
def dag_file(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture(scope="module")
def loaded(dag_file: Path, bare_environment: dict[str, str], tmp_path_factory: Any) -> dict[str, Any]:
    return _load(dag_file, bare_environment, tmp_path_factory.mktemp("home"))


def test_it_imports_without_error_or_deprecation(loaded: dict[str, Any]) -> None:
    assert loaded["errors"] == {}
    assert loaded["warnings"] == []


def test_one_dag_bears_the_name_of_its_file(dag_file: Path, loaded: dict[str, Any]) -> None:
    """So that whoever sees a DAG in the UI finds its code."""
    assert list(loaded["dags"]) == [dag_file.stem]


def test_it_is_parsed_without_loading_what_only_tasks_need(loaded: dict[str, Any]) -> None:
    assert sorted(set(_HEAVY) & set(loaded["modules"])) == []


def test_it_is_the_same_when_parsed_again(
    dag_file: Path, loaded: dict[str, Any], bare_environment: dict[str, str], tmp_path: Path
) -> None:
    """What changes from parse to parse (a time, the order of a set) gives Airflow ever new versions of the DAG."""
    again = _load(dag_file, bare_environment | {"PYTHONHASHSEED": "5"}, tmp_path / "home")
    assert {name: dag["version"] for name, dag in again["dags"].items()} == {
        name: dag["version"] for name, dag in loaded["dags"].items()
    }


def test_parsing_reads_no_file_of_the_library_and_writes_nothing(
    dag_file: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    """The image folder may be missing, huge or slow: a DAG file does not look at it."""
    tracer = (
        "import sys, runpy; opened = []; events = ('open', 'os.listdir', 'os.scandir', 'os.mkdir'); "
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event in events else None); "
        "runpy.run_path(sys.argv[1]); folders = tuple(sys.argv[2:]); "
        "print([path for path in opened if path.startswith(folders)])"
    )
    run = subprocess.run(
        [sys.executable, "-c", tracer, str(dag_file), str(PROJECT / "include"), str(PROJECT / "output")],
        env=bare_environment | {"HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.stdout.splitlines()[-1:] == ["[]"], run.stdout + run.stderr


def test_every_dag_has_tags_documentation_and_no_catchup(loaded: dict[str, Any]) -> None:
    for dag in loaded["dags"].values():
        assert dag["tags"]
        assert len(dag["doc"].split()) >= 20
        assert not dag["catchup"]
        assert dag["failure_callback"], "nobody is told when a run fails"


def test_every_task_has_an_owner_and_says_what_it_does_and_what_to_do_when_it_fails(loaded: dict[str, Any]) -> None:
    for name, task in _tasks(loaded):
        assert task["owner"] not in ("", "airflow"), name
        assert "fails" in (task["documentation"] or ""), name


def test_every_task_is_retried_after_a_while_and_cannot_hang_for_ever(loaded: dict[str, Any]) -> None:
    for name, task in _tasks(loaded):
        assert task["retries"] >= 1, name
        assert task["delay"] >= 5, name
        assert task["timeout"], name


def test_every_parameter_has_a_title_and_help(loaded: dict[str, Any]) -> None:
    for dag in loaded["dags"].values():
        for name, parameter in dag["params"].items():
            assert parameter["schema"].get("title"), name
            assert parameter["description"], name


def test_every_parameter_has_a_valid_schema_which_accepts_the_default(loaded: dict[str, Any]) -> None:
    for dag in loaded["dags"].values():
        for parameter in dag["params"].values():
            jsonschema.Draft202012Validator.check_schema(parameter["schema"])
            jsonschema.validate(parameter["value"], parameter["schema"])


def _tasks(loaded: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [item for dag in loaded["dags"].values() for item in dag["tasks"].items()]


# The DAG kmeans_image_compression.


@pytest.fixture(scope="module")
def compression(bare_environment: dict[str, str], tmp_path_factory: Any) -> dict[str, Any]:
    file = PROJECT / "dags" / "kmeans_image_compression.py"
    return _load(file, bare_environment, tmp_path_factory.mktemp("home"))["dags"][file.stem]


def test_the_compression_dag_has_its_shape(compression: dict[str, Any]) -> None:
    tasks = compression["tasks"]
    assert {name: task["upstream"] for name, task in tasks.items()} == {
        "plan_jobs": [],
        "find_palettes": ["plan_jobs"],
        "compress_image": ["find_palettes", "plan_jobs"],
        "summarize": ["compress_image", "find_palettes", "plan_jobs"],
    }
    assert tasks["compress_image"]["mapped"]
    assert tasks["compress_image"]["pool"] == "spark"
    assert tasks["compress_image"]["label"]
    assert tasks["compress_image"]["trigger_rule"] == "none_failed"  # find_palettes is skipped where it has no work.
    assert tasks["compress_image"]["backoff"]
    assert tasks["summarize"]["trigger_rule"] == "all_done_setup_success"  # A teardown's: without setups, all done.
    assert compression["max_active_runs"] == 1


def test_a_deployment_decides_how_long_a_job_may_take(bare_environment: dict[str, str], tmp_path: Path) -> None:
    """Anything but a number of minutes is an import error that says so."""
    variables = {"COMPRESSION_JOB_TIMEOUT": "7", "COMPRESSION_CORPUS_TIMEOUT": "90"}
    limits = {}
    for file in DAG_FILES:
        dag = _load(file, bare_environment | variables, tmp_path / "set")["dags"][file.stem]
        limits |= {name: task["timeout"] for name, task in dag["tasks"].items() if name.startswith("compress_")}
    assert limits == {"compress_image": 420, "compress_corpus": 5400}
    wrong = _load(DAG_FILES[0], bare_environment | {"COMPRESSION_JOB_TIMEOUT": "2h"}, tmp_path / "wrong")
    assert "COMPRESSION_JOB_TIMEOUT='2h' is not a timeout: give whole minutes" in "".join(wrong["errors"].values())


def test_no_field_that_holds_a_file_name_is_rendered_by_jinja(compression: dict[str, Any]) -> None:
    assert compression["tasks"]["compress_image"]["template_fields"] == []


def test_the_corpus_dag_has_its_shape_and_the_same_parameters(loaded: dict[str, Any]) -> None:
    if "kmeans_corpus_compression" not in loaded["dags"]:
        pytest.skip("another DAG's file")
    corpus = loaded["dags"]["kmeans_corpus_compression"]
    assert {name: task["upstream"] for name, task in corpus["tasks"].items()} == {
        "compress_corpus": [],
        "summarize": ["compress_corpus"],
    }
    assert corpus["tasks"]["compress_corpus"]["template_fields"] == []
    assert (
        corpus["tasks"]["summarize"]["trigger_rule"] == "all_done_setup_success"
    )  # A teardown's: without setups, all done.
    assert {"images", "pattern", "ks", "output", "seed", "max_failures", "force"} <= set(corpus["params"])
