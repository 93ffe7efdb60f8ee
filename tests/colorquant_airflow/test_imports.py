"""The import directions of ``colorquant_airflow``, and which names are private to a sub-package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "colorquant_airflow"

# Which other sub-packages each of them may import. Modules directly in the package import no sub-package, and all
# sub-packages may import them.
MAY_IMPORT: dict[str, set[str]] = {
    "checkout": set(),
    "dag": set(),
    "pages": set(),
    "operators": {"dag"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))
OUTSIDE = [path for folder in ("dags", "plugins", "benchmarks") for path in sorted((PROJECT / folder).glob("*.py"))]


def _name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def _imports(path: Path) -> list[list[str]]:
    """The parts after ``colorquant_airflow`` of each imported name of the package, wherever in the file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "colorquant_airflow":
            found += [f"colorquant_airflow.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return [name.split(".")[1:] for name in found if name.startswith("colorquant_airflow.")]


def test_every_sub_package_has_its_directions() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == MAY_IMPORT.keys()


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_go_one_way(path: Path) -> None:
    sub_package = path.relative_to(PACKAGE).parts[0]
    allowed = MAY_IMPORT.get(sub_package, set()) | {sub_package}
    for names in _imports(path):
        assert names[0] not in MAY_IMPORT.keys() - allowed, ".".join(names)


@pytest.mark.parametrize("path", [*MODULES, *OUTSIDE], ids=_name)
def test_modules_of_a_sub_package_are_private_to_it(path: Path) -> None:
    sub_package = path.relative_to(PACKAGE).parts[0] if path.is_relative_to(PACKAGE) else ""
    for names in _imports(path):
        assert names[0] not in MAY_IMPORT or names[0] == sub_package or len(names) == 1, ".".join(names)


def test_make_run_imports_no_airflow_itself() -> None:
    """Airflow would read the settings of whatever installation the shell names, and make a folder for it."""
    code = (
        "import sys, colorquant_airflow.checkout.run, colorquant_airflow.checkout.ui; print('airflow' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
