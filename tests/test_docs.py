"""The documentation is complete and true: what exists is documented, and what is documented exists."""

import argparse
import ast
import inspect
import os
import re
import runpy
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pytest
from PIL import Image

from colorquant import quantize
from colorquant.settings import options
from tests.conftest import photograph
from tests.test_laws import LAYERS, PACKAGE

PROJECT = Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs"
README = (PROJECT / "README.md").read_text()
REFERENCE = (DOCS / "reference.md").read_text()
ARCHITECTURE = (DOCS / "architecture.md").read_text()
MAKEFILE = (PROJECT / "Makefile").read_text()
DOCUMENTS = [PROJECT / "README.md", *sorted(DOCS.rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):.*## ", MAKEFILE, re.MULTILINE))
TEXT_OF_ALL = "\n".join(path.read_text() for path in DOCUMENTS)

# --- The tables of docs/reference.md ---------------------------------------------------------------------------------


def _table(first_column: str, second_column: str) -> list[dict[str, str]]:
    """The rows of the only table whose header begins with these columns, by column."""
    (text,) = re.findall(rf"^(\| {first_column} \| {second_column} \|.*\n(?:\|.*\n)+)", REFERENCE, re.MULTILINE)
    header, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines())
    assert all(len(row) == len(header) for row in rows)
    return [dict(zip(header, row, strict=True)) for row in rows]


def _code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


SETTINGS = _table("setting", "default")
OPTIONS = _table("option", "of")
MAKE_TARGETS = _table("target", "what it does")
MAKE_VARIABLES = _table("variable", "default \\| of")
ENVIRONMENT = _table("variable", "default \\| meaning")
APPLICATIONS = {"image": "compress_image.py", "corpus": "compress_corpus.py"}
#: The programs of the table of options.
PROGRAMS = {**APPLICATIONS, "palettes": "find_palettes.py"}


def _documented_settings(column: str) -> list[str]:
    return [name for row in SETTINGS for name in _code(row[column])]


# --- The command lines -----------------------------------------------------------------------------------------------


class _Seen(BaseException):
    """Carries a parser out of a program that was about to parse its arguments."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


class Found(NamedTuple):
    """What an option of a command line is called, and its default."""

    name: str
    default: Any


def _options_of(monkeypatch: pytest.MonkeyPatch, program: str) -> list[Found]:
    """The options of a program, a path or the name of a module, as its parser has them."""

    def parse_args(parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        raise _Seen(parser)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    for name in [name for name in os.environ if name.startswith("COMPRESSION_")]:
        monkeypatch.delenv(name)
    with pytest.raises(_Seen) as seen:
        if program.endswith(".py"):
            runpy.run_path(str(PROJECT / "spark_apps" / program), run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__")
    actions = [action for action in seen.value.parser._actions if action.dest != "help"]
    assert actions
    return [Found(action.option_strings[0], action.default) for action in actions if action.option_strings]


def _of_application(application: str) -> list[str]:
    """The names of its options that stand in the two tables."""
    named = []
    for row in SETTINGS:
        for name, mark in re.findall(r"`(--[\w-]+)`(?: \((\w+)\))?", row["applications"]):
            assert mark in ("", *APPLICATIONS)
            named += [name] * (mark in ("", application))
    return named + [_code(row["option"])[0] for row in OPTIONS if application in row["of"].split(", ")]


@pytest.mark.parametrize("application", APPLICATIONS)
def test_every_option_of_the_applications_is_documented_once(application: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _options_of(monkeypatch, APPLICATIONS[application])
    assert Counter(_of_application(application)) == Counter(option.name for option in found)


def test_every_option_of_the_application_of_palettes_is_documented_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _options_of(monkeypatch, PROGRAMS["palettes"])
    named = [_code(row["option"])[0] for row in OPTIONS if "palettes" in row["of"].split(", ")]
    assert Counter(named) == Counter(option.name for option in found)


def test_every_option_of_the_command_is_documented_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _options_of(monkeypatch, "colorquant")
    others = [_code(row["option"])[0] for row in OPTIONS if row["of"] == "colorquant"]
    assert Counter([*_documented_settings("`colorquant`"), *others]) == Counter(option.name for option in found)


def test_every_option_of_prune_is_documented_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from colorquant.cli import prune

    monkeypatch.setattr(sys, "argv", ["colorquant", "prune"])
    found = [option.name for option in _options_of(monkeypatch, "colorquant")]
    assert found and prune.__doc__
    assert Counter(_code(row["option of prune"])[0] for row in _table("option of prune", "default")) == Counter(found)


def test_make_run_takes_what_its_program_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {option.name for option in _options_of(monkeypatch, "colorquant_airflow.checkout.run")}
    names = [name for name in _documented_settings("`make run`") if not name.endswith("=")] + ["SETTINGS"]
    assert Counter(names) == Counter(name.removeprefix("--").replace("-", "_").upper() for name in found)
    command = ["make", "--dry-run", "run", *(f"{name}=1" for name in names)]
    made = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert [option for option in sorted(found) if option not in made] == []


# --- Settings and their defaults -------------------------------------------------------------------------------------


def test_every_parameter_of_the_dags_is_documented_once() -> None:
    from colorquant_airflow.dag.params import library_params

    assert Counter(name for row in SETTINGS for name in _code(row["setting"])) == Counter(list(library_params()))


def test_every_setting_of_the_compression_is_spelled_in_the_same_way_everywhere() -> None:
    rows = {_code(row["setting"])[0]: row for row in SETTINGS}
    for name, option in options().items():
        spelled = [option.flag]
        assert [_code(rows[name][column]) for column in ("applications", "`colorquant`")] == [spelled, spelled]
        assert _code(rows[name]["`make run`"]) == [name.upper() if name == "seed" else f"{name}="]
        assert {f"`{choice}`" for choice in option.choices} <= set(re.findall(r"`[^`]+`", rows[name]["meaning"]))


def test_every_parameter_of_quantize_is_documented_once() -> None:
    assert _documented_settings("`quantize`") == list(inspect.signature(quantize).parameters)


def _defaults(row: dict[str, str], found: list[tuple[dict[str, Any], str]]) -> Iterator[str]:
    """The defaults that a setting has anywhere, as the table writes them: nothing for none, off, and required."""
    for defaults, column in found:
        for name in _code(row[column]):
            default = defaults.get(name)
            if default not in ([], ()) and not any(
                default is nothing for nothing in (None, False, "", inspect.Parameter.empty)
            ):
                text = " ".join(map(str, default)) if isinstance(default, list) else str(default)
                yield str(Path(text).relative_to(PROJECT)) if text.startswith(str(PROJECT)) else text


def test_the_defaults_of_the_settings_are_those_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = {name: dict(_options_of(monkeypatch, name)) for name in [*PROGRAMS.values(), "colorquant"]}
    run = dict(_options_of(monkeypatch, "colorquant_airflow.checkout.run"))
    from colorquant_airflow.dag.params import library_params

    found: list[tuple[dict[str, Any], str]] = [
        ({name: param.value for name, param in library_params().items()}, "setting"),
        ({name.removeprefix("--").replace("-", "_").upper(): default for name, default in run.items()}, "`make run`"),
        *((programs[name], "applications") for name in APPLICATIONS.values()),
        (programs["colorquant"], "`colorquant`"),
        ({name: parameter.default for name, parameter in inspect.signature(quantize).parameters.items()}, "`quantize`"),
    ]
    for row in SETTINGS:
        documented = [name for name in _code(row["default"]) if name != "colorquant"]
        assert set(documented) == set(_defaults(row, found)), row["setting"]
    for row in OPTIONS:
        of = [PROGRAMS.get(name, name) for name in row["of"].split(", ")]
        (option,) = _code(row["option"])
        defaults = [programs[name][option] for name in of]
        shown = {str(value) for value in defaults if value not in (None, False, argparse.SUPPRESS)}
        assert set(_code(row["default"])) == shown, option


# --- make ------------------------------------------------------------------------------------------------------------


def test_every_make_target_is_documented_once() -> None:
    assert Counter(_code(row["target"])[0] for row in MAKE_TARGETS) == Counter(f"make {name}" for name in TARGETS)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_make_target_can_be_made(target: str) -> None:
    run = subprocess.run(["make", "--dry-run", target], cwd=PROJECT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_no_document_names_a_make_target_that_does_not_exist() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", TEXT_OF_ALL, re.MULTILINE))
    assert named and named <= TARGETS


def test_every_variable_of_the_makefile_is_documented_once_with_its_default() -> None:
    defaults = dict(re.findall(r"^([A-Z_]+) \?=[ ]*(.*)$", MAKEFILE, re.MULTILINE))
    (exported,) = re.findall(r"^export ([A-Z_ ]+)$", MAKEFILE, re.MULTILINE)
    taken = defaults.keys() | set(exported.split())
    assert {"IMAGES", "VENV", "PYTHON"} <= taken
    of_run = [name for name in _documented_settings("`make run`") if not name.endswith("=")]
    others = {_code(row["variable"])[0]: _code(row["default"]) for row in MAKE_VARIABLES}
    assert len(others) == len(MAKE_VARIABLES)
    assert Counter([*of_run, *others]) == Counter(taken)
    assert {name: default[0] if default else "" for name, default in others.items()} == {
        name: defaults.get(name, "") for name in others
    }
    for row in MAKE_VARIABLES:
        assert row["of"] == "all" or set(row["of"].split(", ")) <= TARGETS


# --- Environment variables and exit status ----------------------------------------------------------------------------


def _sources() -> Iterator[Path]:
    for folder in ("dags", "colorquant_airflow", "plugins", "spark_apps"):
        yield from (PROJECT / folder).rglob("*.py")


def _defaults_in_calls() -> dict[str, set[str]]:
    """Of each variable: the second arguments, where they are constants, of the calls whose first argument it is."""
    found: dict[str, set[str]] = {}
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and len(node.args) == 2 and isinstance(node.args[0], ast.Constant):
                # "2 * 60" is an expression of constants too.
                if not [part for part in ast.walk(node.args[1]) if isinstance(part, ast.Name | ast.Call)]:
                    value = eval(compile(ast.Expression(node.args[1]), str(path), "eval"))
                    found.setdefault(str(node.args[0].value), set()).add(str(value))
    return found


def test_every_environment_variable_is_documented_once_with_its_default() -> None:
    code = "\n".join(path.read_text() for path in _sources())
    variables = set(re.findall(r'"((?:COMPRESSION|KMEANS)_[A-Z0-9_]+)"', code))
    assert {"COMPRESSION_MAX_PIXELS", "KMEANS_AIRFLOW_HOME"} <= variables
    documented = {_code(row["variable"])[0]: row["default"] for row in ENVIRONMENT}
    assert Counter(_code(row["variable"])[0] for row in ENVIRONMENT) == Counter(variables)
    defaults = {name: values for name, values in _defaults_in_calls().items() if name in variables and values != {""}}
    assert {"COMPRESSION_SCHEDULE", "COMPRESSION_JOB_TIMEOUT"} <= defaults.keys()
    for name, values in defaults.items():
        assert values == set(_code(documented[name])), name


def test_every_exit_status_is_documented() -> None:
    from colorquant import jobs
    from colorquant.cli import main as command

    named = {name: value for room in (jobs, command) for name, value in vars(room).items() if name.startswith("EXIT_")}
    documented = set(re.findall(r"^\| (\d+) \|", REFERENCE, re.MULTILINE))
    assert len(named) >= 6 and documented == {"0", *(str(int(status)) for status in named.values())}


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if path.name != "reference.md"], ids=lambda d: d.name)
def test_no_other_document_has_a_table_of_settings(document: Path) -> None:
    """A row of such a table begins with a cell that is nothing but a setting, an option or a variable."""
    first_cells = re.findall(r"^\| `((?:--)?[\w-]+)` \|", document.read_text(), re.MULTILINE)
    names = {name for row in SETTINGS for name in _code(row["setting"] + row["`make run`"])}
    if document.name == "report.md":  # Fields of a summary have the names of settings.
        names = set()
    assert [n for n in first_cells if n in names or n.startswith(("--", "COMPRESSION_", "KMEANS_"))] == []


# --- The map of the house ---------------------------------------------------------------------------------------------

ROOMS = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
AIRFLOW_ROOMS = {path.parent.name for path in PROJECT.glob("colorquant_airflow/*/__init__.py")}


def test_the_map_has_every_room_in_the_order_of_its_imports() -> None:
    (part,) = re.findall(r"^ +colorquant/ .*\n((?: {8,}\S.*\n)+)", ARCHITECTURE, re.MULTILINE)
    names = [line.split()[0].rstrip("/") for line in part.splitlines()]
    rank = {room: number for number, layer in enumerate(LAYERS) for room in layer}
    rooms = [name for name in names if name in rank]
    assert Counter(rooms) == Counter(list(ROOMS))
    assert [rank[room] for room in rooms] == sorted((rank[room] for room in rooms), reverse=True)


def test_the_map_has_every_room_of_the_airflow_package() -> None:
    (part,) = re.findall(r"^ +colorquant_airflow/ .*\n((?: {8,}\S.*\n)+)", ARCHITECTURE, re.MULTILINE)
    rooms = [line.split()[0].rstrip("/") for line in part.splitlines() if line.split()[0].endswith("/")]
    assert Counter(rooms) == Counter(list(AIRFLOW_ROOMS))


@pytest.mark.parametrize("folder", [PACKAGE, PROJECT / "colorquant_airflow"], ids=lambda folder: folder.name)
def test_the_map_has_every_module_that_stands_in_no_room(folder: Path) -> None:
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__", "published"}
    assert modules
    lists = [line.strip().split(", ") for line in re.findall(r"^ {8,}(\w+(?:, \w+)+)$", ARCHITECTURE, re.MULTILINE)]
    assert len([names for names in lists if Counter(names) == Counter(list(modules))]) == 1


def test_every_module_that_a_document_names_exists() -> None:
    folders = {room: PACKAGE / room for room in ROOMS} | {
        room: PROJECT / "colorquant_airflow" / room for room in AIRFLOW_ROOMS
    }
    named = set(re.findall(rf"`({'|'.join(sorted(folders))})/(\w+)`", TEXT_OF_ALL))
    assert {("compress", "pipeline"), ("encode", "indexed_png"), ("operators", "compress_image")} <= named
    assert [(room, name) for room, name in sorted(named) if not (folders[room] / f"{name}.py").exists()] == []


def test_the_api_reference_has_every_room() -> None:
    named = re.findall(r"^\.\. automodule:: (\S+)", (DOCS / "api.rst").read_text(), re.MULTILINE)
    assert {f"colorquant.{room}" for room in ROOMS} <= set(named)
    assert len(named) == len(set(named))


# --- Links, paths, examples -------------------------------------------------------------------------------------------


def _anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_and_picture_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        if not target.startswith(("http://", "https://")):
            path, _, anchor = target.partition("#")
            linked = document.parent / path if path else document
            assert linked.exists(), target
            assert not anchor or anchor in _anchors(linked), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_paths_of_the_checkout_that_a_document_names_exist(document: Path) -> None:
    folders = "dags|plugins|colorquant_airflow|spark_apps|include|tests|benchmarks|docs|deploy|scripts"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", document.read_text())
    assert [path for path in named if not (PROJECT / path).exists()] == []


def _photo(folder: Path) -> None:
    (folder / "photo.jpg").write_bytes((PROJECT / "include" / "images" / "rocket.jpg").read_bytes())


def _run(command: list[str], folder: Path) -> str:
    environment = {"PYTHONPATH": str(PROJECT / "spark_apps"), "PATH": "/usr/bin:/bin"}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_command_of_the_readme_prints_what_the_readme_shows(tmp_path: Path) -> None:
    (arguments, printed) = re.search(r"^\$ colorquant (.*)\n(.*)\n", README, re.MULTILINE).groups()  # type: ignore[union-attr]
    _photo(tmp_path)
    assert _run([sys.executable, "-m", "colorquant", *arguments.split()], tmp_path) == f"{printed}\n"


def test_the_pipe_of_the_readme_prints_what_the_readme_shows(tmp_path: Path) -> None:
    (arguments, printed) = re.search(r"^\$ colorquant (- .*)\n(.*)\n", README, re.MULTILINE).groups()  # type: ignore[union-attr]
    _photo(tmp_path)
    # Standard error goes where standard output went before its own redirection.
    assert _run(["sh", "-c", f'"$0" -m colorquant 2>&1 {arguments}', sys.executable], tmp_path) == f"{printed}\n"
    assert (tmp_path / "small.png").stat().st_size < (tmp_path / "photo.jpg").stat().st_size


def test_the_output_of_make_run_that_the_readme_shows_is_that_of_this_version(tmp_path: Path) -> None:
    ratio, kilobytes = re.search(r"^all images +16 +(\S+) .* (\S+)$", README, re.MULTILINE).groups()  # type: ignore[union-attr]
    arguments = [str(PROJECT / "include" / "images"), "--k", "16"]
    total = _run([sys.executable, "-m", "colorquant", *arguments], tmp_path).splitlines()[-1]
    assert total.endswith(f" to {float(kilobytes):.0f} KB (ratio {ratio})")


def test_the_commands_for_palettes_run_as_the_document_says(tmp_path: Path) -> None:
    for folder in ("tiles", "sprites", "site", "photos", "masks"):
        (tmp_path / folder / "sub").mkdir(parents=True)
        for seed, name in enumerate(("one.png", "sub/two.png")):
            picture = photograph(seed=seed)
            sprite = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
            sprite[:9] = 0
            Image.fromarray(sprite if folder == "sprites" else picture).save(tmp_path / folder / name)
    (tmp_path / "sprites.hex").write_text("#00000000\n102030\nd62728\nffffff\n808080\n")
    blocks = re.findall(r"^```sh\n(.*?)^```", (DOCS / "palettes.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    for command in blocks:
        assert command.startswith("colorquant ")
        _run(["sh", "-c", command.replace("colorquant", '"$0" -m colorquant', 1), sys.executable], tmp_path)
    assert len(list((tmp_path / "small" / "palettes").glob("*/k032.json"))) == 1
    assert len(list((tmp_path / "found" / "palettes").glob("*/k016.png"))) == 2
    sprite = Image.open(tmp_path / "indexed" / "sub" / "two.png")
    assert np.array(sprite.getpalette()).reshape(-1, 3)[:5].tolist()[2] == [214, 39, 40]
    assert sorted(path.name for path in (tmp_path / "web").rglob("*.png")) == ["one.png", "two.png"]


def test_the_folders_of_the_readme_exist() -> None:
    (table,) = re.findall(r"## Where things are\n(.*)", README, re.DOTALL)
    named = {path for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for path in _code(cell)}
    assert {path for path in named if not (PROJECT / path).exists()} <= {"output/", ".airflow/"}


def test_the_python_example_of_the_readme_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    _photo(tmp_path)
    code = f"{example}\nprint(image.palette.shape, image.indexes.shape)"
    assert _run([sys.executable, "-c", code], tmp_path).split("\n")[-2:-1] == ["(16, 3) (427, 640)"]


def test_the_applications_by_hand_run_as_the_reference_says(tmp_path: Path) -> None:
    (commands,) = re.findall(r"```sh\n(export PATH=.*?)```", REFERENCE, re.DOTALL)
    (tmp_path / "spark_apps").symlink_to(PROJECT / "spark_apps")
    (tmp_path / "include" / "images").mkdir(parents=True)
    coffee = (PROJECT / "include" / "images" / "coffee.png").read_bytes()
    (tmp_path / "include" / "images" / "coffee.png").write_bytes(coffee)
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    if "JAVA_HOME" in os.environ:
        environment["JAVA_HOME"] = os.environ["JAVA_HOME"]
    run = subprocess.run(["sh", "-ec", commands], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (made,) = (tmp_path / "output" / "compressed").rglob("k016.png")
    assert made.read_bytes() == (tmp_path / "coffee.png").read_bytes()
