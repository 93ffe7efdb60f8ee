"""The distribution: what the wheel installs and needs, and the lock of the packages."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import colorquant

PROJECT = Path(__file__).resolve().parent.parent
METADATA: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())
LOCKS = sorted(PROJECT.glob("requirements*.txt"))
IMAGE = PROJECT / "include" / "images" / "coffee.png"


def _run(*command: str | Path, **options: Any) -> str:
    run = subprocess.run(command, capture_output=True, text=True, timeout=1800, **options)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=PROJECT)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The `bin` folder of a new environment with the wheel and its base dependencies."""
    environment = wheel.parent.parent / "environment"
    uv = Path(sys.executable).with_name("uv")
    _run(uv, "venv", "--quiet", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    _run(uv, "pip", "install", "--quiet", "--python", python, "--constraints", PROJECT / "requirements.txt", wheel)
    return python.parent


@pytest.mark.e2e
def test_the_installed_command_writes_the_bytes_of_the_checkout(
    installed: Path, bare_environment: dict[str, str], tmp_path: Path
) -> None:
    for name, command, path in (
        ("wheel", [installed / "colorquant"], {}),
        ("checkout", [sys.executable, "-m", "colorquant"], {"PYTHONPATH": str(PROJECT / "spark_apps")}),
    ):
        _run(*command, IMAGE, "--k=16", "--output", tmp_path / name, env=bare_environment | path, cwd=tmp_path)
    assert (tmp_path / "wheel" / IMAGE.name).read_bytes() == (tmp_path / "checkout" / IMAGE.name).read_bytes()


@pytest.mark.e2e
def test_the_base_installation_needs_neither_spark_nor_airflow_nor_the_report(
    installed: Path, bare_environment: dict[str, str], tmp_path: Path
) -> None:
    optional = ["pyspark", "airflow", "matplotlib", "jinja2", "s3fs", "upath", "pandas"]
    code = "import importlib.util as u, sys; print(*[name for name in sys.argv[1:] if u.find_spec(name)])"
    assert _run(installed / "python", "-c", code, *optional, env=bare_environment, cwd=tmp_path) == "\n"
    version = _run(installed / "colorquant", "--version", env=bare_environment, cwd=tmp_path)
    assert version == f"colorquant {colorquant.__version__}\n"


def test_the_wheel_has_all_files_of_both_packages_but_those_of_a_checkout(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packaged = {name for name in archive.namelist() if ".dist-info/" not in name}
    present = {
        path.relative_to(folder.parent).as_posix()
        for folder in (PROJECT / "spark_apps" / "colorquant", PROJECT / "colorquant_airflow")
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.is_relative_to(folder / "checkout")
    }
    assert {"colorquant/py.typed", "colorquant_airflow/py.typed", "colorquant/report/page.css"} <= packaged
    assert packaged == present


def test_the_metadata_of_the_wheel_names_version_license_and_entry_points(wheel: Path) -> None:
    (distribution,) = metadata.distributions(path=[str(wheel)])
    assert distribution.version == colorquant.__version__
    assert distribution.metadata["License-Expression"] == "Apache-2.0"
    assert {file.name for file in distribution.files or [] if "licenses" in file.parts} == {"LICENSE", "NOTICE"}
    assert set(distribution.metadata.get_all("Provides-Extra") or []) == {
        *("airflow", "amazon", "azure", "gcs", "report", "s3", "spark")
    }
    for entry_point in distribution.entry_points:
        module, name = entry_point.value.split(":")
        spec = importlib.util.find_spec(module)
        assert spec and spec.origin and re.search(rf"^(?:class|def) {name}\b", Path(spec.origin).read_text(), re.M)
    assert {entry_point.group for entry_point in distribution.entry_points} == {"console_scripts", "airflow.plugins"}


def test_every_package_of_the_lock_has_hashes_and_one_version_for_each_python() -> None:
    locked: dict[tuple[str, str], set[str]] = {}
    for file in LOCKS:
        entries = re.split(r"\n(?=\S)", file.read_text())
        packages = [entry for entry in entries if not entry.startswith(("#", "-r "))]
        assert packages and all("--hash=sha256:" in entry for entry in packages), file
        for entry in packages:
            requirement = Requirement(entry.split("\\")[0])
            (pin,) = requirement.specifier
            assert pin.operator == "=="
            for python in ("3.11.0", "3.12.0", "3.13.0"):
                if requirement.marker is None or requirement.marker.evaluate({"python_full_version": python}):
                    locked.setdefault((requirement.name, python), set()).add(pin.version)
    assert {name: versions for name, versions in locked.items() if len(versions) > 1} == {}


def test_the_lock_has_what_the_metadata_asks_for() -> None:
    project = METADATA["project"]
    extras = dict(project["optional-dependencies"])
    groups = {f"-{name}": [requirements] for name, requirements in METADATA["dependency-groups"].items()}
    groups["-stores"] += [extras.pop(name) for name in ("gcs", "azure", "amazon")]
    groups[""] = [project["dependencies"], *extras.values()]
    assert {f"requirements{name}.txt" for name in groups} == {path.name for path in LOCKS}
    for name, lists in groups.items():
        text = (PROJECT / "requirements.txt").read_text() + (PROJECT / f"requirements{name}.txt").read_text()
        pins = [Requirement(line.rstrip(" \\")) for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
        for asked in map(Requirement, [requirement for group in lists for requirement in group]):
            versions = [next(iter(p.specifier)).version for p in pins if p.name == canonicalize_name(asked.name)]
            assert versions and all(version in asked.specifier for version in versions), f"{asked}: run make lock"


def test_every_direct_dependency_says_why_it_is_needed() -> None:
    lines = re.findall(
        r'^    "([a-z][\w.\[\]-]*)[~=<>].*",(.*)$', (PROJECT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert len(lines) > 30
    assert [name for name, reason in lines if "  # " not in reason and name != "flask-cors"] == []


def test_the_changelog_has_a_dated_section_for_this_version() -> None:
    changelog = (PROJECT / "CHANGELOG.md").read_text()
    released = re.findall(r"^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert released[0] == colorquant.__version__


def test_make_sbom_lists_the_locked_packages(tmp_path: Path) -> None:
    (command,) = re.findall(r'^\t@"\$\(BIN\)/python" (-m cyclonedx_py .*)$', (PROJECT / "Makefile").read_text(), re.M)
    output = tmp_path / "sbom.json"
    arguments = command.replace("dist/sbom.json", str(output)).split()
    _run(sys.executable, *arguments, cwd=PROJECT, env=os.environ)
    components = json.loads(output.read_text())["components"]
    assert {"numpy", "apache-airflow", "psycopg"} <= {component["name"] for component in components}
    assert all(component["externalReferences"][0]["hashes"] for component in components)
