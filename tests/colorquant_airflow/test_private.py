"""Each name of Airflow and of its Spark provider that is not public: that it exists, and does what is expected of it.

A failure here after an upgrade names what has moved: correct ``colorquant_airflow/private.py``, nothing else uses it.
"""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator

from colorquant_airflow import private

PROJECT = Path(__file__).resolve().parents[2]
FOLDERS = ("colorquant_airflow", "dags", "plugins", "benchmarks")
FILES = [path for folder in FOLDERS for path in sorted((PROJECT / folder).rglob("*.py")) if path.stem != "private"]
PUBLIC = r"airflow\.(sdk|plugins_manager|providers\.[\w.]+\.(operators|hooks|extractors))(\.\w+)*"


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> SparkSubmitOperator:
    """The provider's own, with a connection to local Spark."""
    monkeypatch.setenv("AIRFLOW_CONN_OURS", '{"conn_type": "spark", "host": "local[1]"}')
    return SparkSubmitOperator(task_id="t", conn_id="ours", name="n", conf={"spark.a": "b"}, application="given.py")


@pytest.mark.parametrize("name", private.AIRFLOW_NAMES)
def test_airflow_has_the_name(name: str) -> None:
    assert getattr(private, name) is not None


def test_run_types_have_a_backfill() -> None:
    assert private.DagRunType.BACKFILL_JOB in set(private.DagRunType)


def test_the_check_of_access_can_be_called_for_a_dag_that_is_in_no_address() -> None:
    check = private.requires_access_dag("GET", private.DagAccessEntity.RUN, "a_dag")
    assert list(inspect.signature(check).parameters) == ["request", "user"]


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("DagRun", ["id", "dag_id", "run_id", "state", "run_type", "run_after"]),
        ("XComModel", ["dag_run_id", "key", "value"]),
        ("Pool", ["pool", "slots", "description", "include_deferred"]),
    ],
)
def test_tables_of_the_metadata_database_have_the_columns(table: str, columns: list[str]) -> None:
    assert [name for name in columns if name not in getattr(private, table).__table__.columns] == []


def test_an_operator_knows_its_connection_as_conn_id(operator: SparkSubmitOperator) -> None:
    assert private.connection_id(operator) == "ours"


def test_a_task_can_have_the_next_one_skipped_and_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ToSupervisor

    class _Supervisor:
        sent: list[Any] = []

        def send(self, msg: Any) -> None:
            self.sent.append(msg)

    assert "SUPERVISOR_COMMS" in task_runner.__annotations__
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", _Supervisor(), raising=False)
    private.skip_task("find_palettes")
    (message,) = _Supervisor.sent
    assert message.tasks == ["find_palettes"]
    assert type(message).__name__ in str(ToSupervisor)


def test_an_operator_uses_the_hook_that_get_hook_made(
    operator: SparkSubmitOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert private.hook_of(operator) is None
    hook = private.make_hook(operator)
    assert private.hook_of(operator) is hook
    submitted: list[str] = []
    monkeypatch.setattr(hook, "submit", submitted.append)
    operator.execute({})
    assert submitted == ["given.py"]


def test_a_hook_makes_its_command_by_build_spark_submit_command(operator: SparkSubmitOperator) -> None:
    command = private.submit_command(private.make_hook(operator), "other.py")
    assert (command[0], command[-1]) == ("spark-submit", "other.py")
    assert "spark.a=b" in command


def test_a_hook_keeps_the_environment_of_its_operator_as_env_vars() -> None:
    operator = SparkSubmitOperator(task_id="operator", application="a.py", env_vars={"NAME": "value"})
    hook = private.make_hook(operator)
    assert private.take_environment(hook) == {"NAME": "value"}
    assert private.take_environment(hook) == {}
    private.submit_command(hook, "a.py")
    assert not hook._env, "the hook would add this process's whole environment"


def test_a_hook_keeps_the_settings_of_its_application_as_conf(operator: SparkSubmitOperator) -> None:
    hook = private.make_hook(operator)
    private.use_conf(hook, {"spark.cores.max": "3"})
    assert "spark.cores.max=3" in private.submit_command(hook, "a.py")


def test_a_hook_keeps_its_process_as_submit_sp_before_process_spark_submit_log_reads(
    operator: SparkSubmitOperator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "spark-submit"
    script.write_text("#!/bin/sh\nread line\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    hook = private.make_hook(operator)
    assert private.submit_process(None) is private.submit_process(hook) is None
    seen: list[Any] = []

    def end() -> None:
        process = private.submit_process(hook)
        assert process is not None
        seen.append(process.poll())
        process.kill()

    private.before_log(hook, end)
    with pytest.raises(Exception, match="Error code is: -9"):
        hook.submit("other.py", stdin=subprocess.PIPE)
    assert seen == [None], "the process was to be alive, and its output not yet read"


def _foreign_names(path: Path) -> list[str]:
    """Imports of Airflow that are not public, and attributes with an underscore that the file does not define."""
    tree = ast.parse(path.read_text())
    defined, found = set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            defined.add(node.id if isinstance(node, ast.Name) else node.attr)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match("_(?!_)", node.attr) and node.attr not in defined:
            found.append(node.attr)
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found += [name for name in modules if name.split(".")[0] == "airflow" and not re.fullmatch(PUBLIC, name)]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_other_module_uses_names_that_are_not_public(path: Path) -> None:
    assert [name for name in _foreign_names(path) if name != "_exit"] == []  # os._exit is documented.
    text = path.read_text()
    used = set(re.findall(r"\._(\w+)", (PROJECT / "colorquant_airflow" / "private.py").read_text()))
    assert {"hook", "get_hook", "submit_sp", "process_spark_submit_log"} <= used
    assert [name for name in used if re.search(rf"\b_{name}\b", text)] == []


@pytest.mark.parametrize("module", ["airflow.api_fastapi", "airflow.models", "airflow.providers.apache.spark"])
def test_private_imports_nothing_of_airflow_before_it_is_used(module: str, bare_environment: dict[str, str]) -> None:
    code = f"import sys; import colorquant_airflow.private; sys.exit({module!r} in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=bare_environment)
    assert run.returncode == 0
