"""The documentation is complete and true: what exists is documented, and what is documented exists."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from colorquant.settings import options

PROJECT = Path(__file__).resolve().parent.parent
README = (PROJECT / "README.md").read_text()
MAKEFILE = (PROJECT / "Makefile").read_text()
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):.*## ", MAKEFILE, re.MULTILINE))

_PATHS = os.environ | {"PYTHONPATH": str(PROJECT / "spark_apps")}
_TEXT: dict[str, Any] = {"capture_output": True, "text": True, "check": True}


def _text_of_all_documents() -> str:
    return "\n".join(path.read_text() for path in DOCUMENTS)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_make_target_is_documented_and_exists(target: str) -> None:
    assert f"make {target}" in README
    run = subprocess.run(["make", "--dry-run", target], cwd=PROJECT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_no_document_names_a_make_target_that_is_not_there() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", _text_of_all_documents(), re.MULTILINE))
    assert named <= TARGETS


def test_every_setting_that_the_makefile_takes_is_documented() -> None:
    settings = set(re.findall(r"^([A-Z_]+) \?=", MAKEFILE, re.MULTILINE))
    assert {"IMAGES", "KS", "VENV"} <= settings
    assert [name for name in sorted(settings) if f"`{name}" not in _text_of_all_documents()] == []


@pytest.mark.parametrize("name", ["compress_image.py", "compress_corpus.py"])
def test_every_option_of_the_applications_is_documented(name: str) -> None:
    application = PROJECT / "spark_apps" / name
    shown = subprocess.run([sys.executable, str(application), "--help"], capture_output=True, text=True, check=True)
    options = set(re.findall(r"--[a-z][a-z0-9-]+", shown.stdout.split("options:")[1])) - {"--help"}
    assert {"--output", "--seed"} <= options
    assert [option for option in sorted(options) if f"`{option}`" not in _text_of_all_documents()] == []


def test_every_option_of_the_command_is_documented() -> None:
    command = [sys.executable, "-m", "colorquant", "--help"]
    environment = {"PYTHONPATH": str(PROJECT / "spark_apps")}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    found = set(re.findall(r"--[a-z][a-z0-9-]+|--k", shown.split("options:")[1])) - {"--help"}
    assert {"--k", "--output", "--seed"} <= found
    assert [option for option in sorted(found) if f"`{option}`" not in README] == []


def test_the_readme_names_the_settings_wherever_they_are_taken() -> None:
    (of_make_run,) = re.findall(r"^\| `SETTINGS` \|.*?: (.*), as explained below", README, re.MULTILINE)
    assert re.findall(r"`(\w+)`", of_make_run) == list(options())
    (of_command,) = re.findall(r"^\| (.*) \| settings, as explained above", README, re.MULTILINE)
    assert re.findall(r"`--([\w-]+)`", of_command) == [name.replace("_", "-") for name in options()]


def test_make_run_takes_what_its_program_takes() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "colorquant_airflow.checkout.run", "--help"], cwd=PROJECT, env=_PATHS, **_TEXT
    )
    found = set(re.findall(r"--([a-z-]+)", shown.stdout.split("options:")[1])) - {"help"}
    assert {"images", "pattern", "settings"} <= found
    names = sorted(option.replace("-", "_").upper() for option in found)
    assert [name for name in names if f"| `{name}` |" not in README] == []
    made = subprocess.run(["make", "--dry-run", "run", *(f"{name}=1" for name in names)], cwd=PROJECT, **_TEXT)
    assert [option for option in sorted(found) if f"--{option}" not in made.stdout] == []


def test_every_parameter_of_the_dag_is_documented() -> None:
    from colorquant_airflow.dag.params import library_params

    assert [name for name in library_params() if f"| `{name}` |" not in README] == []


def test_every_environment_variable_of_the_project_is_documented() -> None:
    code = "\n".join(
        path.read_text()
        for folder in ("dags", "colorquant_airflow", "plugins", "spark_apps")
        for path in (PROJECT / folder).rglob("*.py")
    )
    variables = set(re.findall(r'"((?:COMPRESSION|KMEANS)_[A-Z0-9_]+)"', code))
    assert {"COMPRESSION_MAX_PIXELS", "KMEANS_AIRFLOW_HOME"} <= variables
    assert [name for name in sorted(variables) if f"`{name}`" not in _text_of_all_documents()] == []
    (section,) = re.findall(
        r"## Settings of a deployment\n(.*?)\n## ", (PROJECT / "docs" / "airflow.md").read_text(), re.DOTALL
    )
    listed = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert listed == {name for name in variables if name.startswith("COMPRESSION_")}


_HOUSE = ("dags", "plugins", "colorquant_airflow", "spark_apps", "spark_apps/colorquant")


@pytest.mark.parametrize("folder", _HOUSE)
def test_the_map_of_the_house_names_every_module_and_none_that_is_not_there(folder: str) -> None:
    """In its folder's part of the map: the lines that are indented deeper than the folder's own."""
    text = (PROJECT / "docs" / "architecture.md").read_text()
    part = re.search(rf"^( +){Path(folder).name}/ .*\n((?:\1 +\S.*\n)*)", text, re.MULTILINE)
    assert part is not None
    # What follows two spaces or more beside the names explains them; a list goes on in the lines below it.
    lists = [re.split(r" {2,}", line.strip())[0] for line in part[2].splitlines()]
    named = {name.strip().removesuffix(".py") for entry in lists for name in entry.split(",")} - {""}
    modules = {path.stem for path in (PROJECT / folder).glob("*.py")} - {"__init__"}
    assert sorted(modules - named) == []
    there = {path.stem for other in _HOUSE for path in (PROJECT / other).glob("*.py")}
    assert [name for name in sorted(named - there) if re.fullmatch(r"\w+", name)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_and_picture_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), target


def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "cat.jpg").write_bytes((PROJECT / "include" / "images" / "rocket.jpg").read_bytes())
    code = f"{example}\nprint(image.palette.shape, image.indexes.shape)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(PROJECT / "spark_apps"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert run.stdout.split("\n")[-2:-1] == ["(16, 3) (427, 640)"], run.stderr


def test_the_paths_that_the_readme_names_exist() -> None:
    named = re.findall(
        r"`((?:dags|colorquant_airflow|spark_apps|include/images|tests|benchmarks|docs)/?[\w./-]*)`", README
    )
    assert named
    assert [path for path in named if not (PROJECT / path).exists()] == []


def test_the_job_by_hand_of_the_readme_runs_as_it_stands(tmp_path: Path) -> None:
    (commands,) = re.findall(r"```sh\n(export PATH=.*?)```", README, re.DOTALL)
    for name in ("spark_apps", "include"):
        (tmp_path / name).symlink_to(PROJECT / name)
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    if "JAVA_HOME" in os.environ:
        environment["JAVA_HOME"] = os.environ["JAVA_HOME"]
    run = subprocess.run(["sh", "-ec", commands], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "coffee.json").exists()
