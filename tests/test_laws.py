"""The import laws of docs/architecture.md: who may know whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
PACKAGE = PROJECT / "spark_apps" / "colorquant"


def _modules_after(statement: str, bare_environment: dict[str, str]) -> set[str]:
    code = f"import sys; sys.path.insert(0, {str(PROJECT / 'spark_apps')!r}); {statement}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], env=bare_environment, capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in run.stdout.split()}


@pytest.mark.parametrize(
    "module",
    ["colorquant", "files", "records", "settings", "jobs", "plan", "storage", "listing", "report.summary", "progress"],
)
def test_what_a_dag_file_imports_needs_the_standard_library_only(module: str, bare_environment: dict[str, str]) -> None:
    name = "colorquant" if module == "colorquant" else f"colorquant.{module}"
    baseline = _modules_after("pass", bare_environment)
    third_party = _modules_after(f"import {name}", bare_environment) - baseline - set(sys.stdlib_module_names)
    assert third_party == {"colorquant"}


def test_the_quantizer_needs_neither_spark_nor_airflow(bare_environment: dict[str, str]) -> None:
    statement = "import numpy; from colorquant import quantize; quantize(numpy.zeros((2, 2, 3), numpy.uint8), 2)"
    assert not _modules_after(statement, bare_environment) & {"pyspark", "airflow", "py4j", "cv2", "PIL"}


def test_the_report_needs_neither_spark_nor_airflow(bare_environment: dict[str, str]) -> None:
    statement = "from colorquant.report import summarize_run"
    assert not _modules_after(statement, bare_environment) & {"pyspark", "airflow", "py4j"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_of_the_package_names_airflow_and_spark_stays_in_its_module(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert not imported & {"airflow", "orchestration"}
    if path.name not in {"spark.py", "spark_corpus.py", "bands.py", "context.py", "worker_daemon.py"}:
        assert "pyspark" not in imported
