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


LIGHT = ["colorquant", "storage", "jobs", "publish", "settings", "target", "errors", "limits", "cli", "report", "spark"]


@pytest.mark.parametrize("room", LIGHT)
def test_what_a_dag_file_imports_needs_the_standard_library_only(room: str, bare_environment: dict[str, str]) -> None:
    name = "colorquant" if room == "colorquant" else f"colorquant.{room}"
    baseline = _modules_after("pass", bare_environment)
    third_party = _modules_after(f"import {name}", bare_environment) - baseline - set(sys.stdlib_module_names)
    assert third_party == {"colorquant"}


def test_the_quantizer_needs_neither_spark_nor_airflow(bare_environment: dict[str, str]) -> None:
    statement = "import numpy; from colorquant import quantize; quantize(numpy.zeros((2, 2, 3), numpy.uint8), 2)"
    assert not _modules_after(statement, bare_environment) & {"pyspark", "airflow", "py4j", "cv2", "PIL"}


def test_the_report_needs_neither_spark_nor_airflow(bare_environment: dict[str, str]) -> None:
    statement = "from colorquant.report import summarize_run"
    assert not _modules_after(statement, bare_environment) & {"pyspark", "airflow", "py4j"}


# Rooms of the package from low to high. A room imports from lower ones only; what stands directly in the package
# (settings, errors, limits, ...) is lower than all of them.
LAYERS = (
    {"storage", "colors", "encode"},
    {"jobs", "decode", "kmeans"},
    {"palettes", "publish", "remap"},
    {"report", "alpha"},
    {"perception", "retention"},
    {"quality", "quantizer"},
    {"compress"},
    {"cli"},
    {"spark"},
)
RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}
# A package's name for itself, and the two that are started by name: ``python -m colorquant`` and its former neighbor.
STARTED = {"__init__", "__main__", "published"}


def _imports(path: Path) -> list[str]:
    """Dotted names of the modules that a file imports, wherever in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "colorquant":
            found += [f"colorquant.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found


def _names_used(path: Path) -> set[tuple[str, str]]:
    """Room and name for each name of a room that a file imports, or uses as ``room.name``."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    used = {
        ((node.module or "").removeprefix("colorquant."), alias.name)
        for node in froms
        for alias in node.names
        if (node.module or "").startswith("colorquant.")
    }
    rooms = {alias.asname or alias.name: alias.name for n in froms if n.module == "colorquant" for alias in n.names}
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in rooms:
            used.add((rooms[node.value.id], node.attr))
    return {(room, name) for room, name in used if room in RANK}


def _exported(room: str) -> set[str]:
    """The names in ``__all__`` of a room, which is not imported for that."""
    for node in ast.parse((PACKAGE / room / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def _of_package(imported: list[str]) -> list[list[str]]:
    return [name.split(".")[1:] for name in imported if name.startswith("colorquant.")]


MODULES = sorted(PACKAGE.rglob("*.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def test_every_room_has_its_layer() -> None:
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} == RANK.keys()


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_of_the_package_go_down(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    rank = RANK.get(room, len(LAYERS) if path.stem in STARTED else -1)
    for names in _of_package(_imports(path)):
        if names[0] in RANK and names[0] != room:
            assert RANK[names[0]] < rank, f"{room} imports {names[0]}"


OUTSIDE = [*MODULES, *sorted((PROJECT / "spark_apps").glob("*.py"))] + [
    path
    for folder in ("dags", "plugins", "colorquant_airflow", "benchmarks")
    for path in sorted((PROJECT / folder).rglob("*.py"))
]


@pytest.mark.parametrize("path", OUTSIDE, ids=_name)
def test_modules_of_a_room_are_private_to_it(path: Path) -> None:
    """Other rooms, and all else but the tests, import what a room's ``__init__`` exports."""
    room = path.relative_to(PACKAGE).parts[0] if path.is_relative_to(PACKAGE) else ""
    if path.parent == PACKAGE and path.stem in STARTED:
        return
    for names in _of_package(_imports(path)):
        assert names[0] == room or len(names) == 1, ".".join(names)
    for other, name in _names_used(path):
        assert other == room or name in _exported(other), f"{other} does not export {name}"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_no_module_of_the_package_names_airflow_and_spark_stays_in_its_room(path: Path) -> None:
    imported = {name.split(".")[0] for name in _imports(path)}
    assert not imported & {"airflow", "colorquant_airflow"}
    if path.parent.name != "spark":
        assert not imported & {"pyspark", "py4j"}
