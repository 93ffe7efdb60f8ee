"""Any file name is only a name: its own output, its own row, and nothing of it is evaluated anywhere."""

import csv
import io
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorquant.jobs.plan import Plan, RunRequest, plan_run
from colorquant.report import summarize_run
from colorquant_airflow.applications import IMAGE_APPLICATION
from colorquant_airflow.environment import submit_environment
from colorquant_airflow.operators import CompressImageOperator
from tests.test_compress_image import compress_in_process

NAMES = [
    "cat.png",
    "Cat.png",
    "cat.PNG",
    "cat.bmp",
    "cat.png.png",
    "cat/cat.png",
    " spaces  inside .png",
    'it\'s "quoted".png',
    "a,b;c\tTab.png",
    "new\nline\r.png",
    "café.png",
    "cafe\u0301.png",
    "日本語 😀.png",
    "-leading-dash.png",
    "--image=other.png",
    "{{ ds }}{% raw %}.png",
    "<script>alert(1)<.png",
    "<img src=x onerror=alert(1)>.png",
    "$(touch evaluated)`touch evaluated`;touch evaluated|&.png",
    "%s %(name)s {0} {name}.png",
    "=1+1.png",
    '=HYPERLINK("x").png',
    "+1.png",
    "@SUM(A1).png",
    "\u202egnp.exe.png",
    "k004.png",
    "%2e%2e.png",
    "~.png",
    "NUL.png",
    "*?[a].png",
    "back\\slash.png",
    "n" * 251 + ".png",
    "é" * 125 + ".png",
]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Every name is an image of another color, compressed by its job's own arguments."""
    folder = tmp_path_factory.mktemp("names")
    images = folder / "images"
    for number, name in enumerate(NAMES):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (3, 2), (number, 0, 0)).save(images / name, "BMP")
    outside = folder / "outside.png"
    Image.new("RGB", (3, 2)).save(outside)
    (images / "link.png").symlink_to(outside)
    (images / "inside.png").symlink_to("cat.png")
    (images / os.fsdecode(b"not utf-8 \xff.png")).write_bytes(outside.read_bytes())
    plan = plan_run(RunRequest(run_id="run {{ ds }}/..", images=str(images), ks=[4], output=str(folder / "out")))
    for job in plan.jobs:
        compress_in_process(job.arguments())
    return plan


def test_each_name_has_its_own_output_with_its_own_pixels(plan: Plan) -> None:
    assert sorted(job.name for job in plan.jobs) == sorted([*NAMES, "inside.png"])
    assert len({job.output for job in plan.jobs}) == len(plan.jobs)
    for job in plan.jobs:
        number = NAMES.index("cat.png" if job.name == "inside.png" else job.name)
        assert (np.asarray(Image.open(job.output).convert("RGB")) == (number, 0, 0)).all()
        assert job.is_done()
    assert sorted(plan.ignored) == ["link.png", os.fsdecode(b"not utf-8 \xff.png")]


def test_each_name_has_its_own_row_in_which_nothing_is_a_formula(plan: Plan, tmp_path: Path) -> None:
    summary = summarize_run(plan, tmp_path)
    assert [row.image for row in summary.rows] == [job.name for job in plan.jobs]
    assert json.loads((tmp_path / "summary.json").read_text())["rows"][0]["image"] == plan.jobs[0].name
    rows = list(csv.DictReader(io.StringIO((tmp_path / "summary.csv").read_bytes().decode())))
    assert [row["image"].removeprefix("'") for row in rows] == [job.name for job in plan.jobs]
    assert not [row["image"] for row in rows if row["image"].startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_names_are_text_in_the_report(plan: Plan, tmp_path: Path) -> None:
    class Parser(HTMLParser):
        texts = ""
        handlers: list[str] = []
        sources: list[str] = []

        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            self.handlers += [name for name, _ in attributes if name.startswith("on")]
            self.sources += [value or "" for name, value in attributes if name == "src"]

        def handle_data(self, text: str) -> None:
            self.texts += text

    summarize_run(plan, tmp_path)
    page = (tmp_path / "summary.html").read_text()
    parser = Parser()
    parser.feed(page)
    assert parser.handlers == [] and "x" not in parser.sources
    assert "<script>alert" not in page and "<script>alert(1)<.png" in parser.texts
    assert "{{ ds }}{% raw %}.png" in parser.texts


def test_names_reach_spark_submit_as_they_are_and_airflow_in_one_printable_line(plan: Plan) -> None:
    assert CompressImageOperator.template_fields == ()
    for job, submission in zip(plan.jobs, plan.submissions(), strict=True):
        assert f"--image={job.image}" in submission["application_args"]
        assert submission["name"].isprintable() and len(submission["name"]) <= 250
    assert len({submission["name"] for submission in plan.submissions()}) == len(plan.jobs)


@pytest.mark.parametrize("name", ["cafe\u0301 日本語 \n'\"$(touch evaluated).png"])
def test_a_name_passes_through_a_real_spark_submit_also_where_the_locale_is_not_installed(
    name: str, tmp_path: Path, bare_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A JVM, which then takes the POSIX locale, would make question marks of it."""
    image = tmp_path / name
    Image.new("RGB", (3, 2)).save(image)
    for variable, value in (bare_environment | {"LC_ALL": "de_XX.ISO-8859-1"}).items():
        monkeypatch.setenv(variable, value)
    conf = ["--conf", "spark.ui.enabled=false", "--conf", f"spark.pyspark.python={sys.executable}"]
    arguments = [f"--image={image}", "--k=2", f"--output={tmp_path}/o.png", f"--result={tmp_path}/r.json"]
    run = subprocess.run(
        ["spark-submit", "--master", "local[1]", *conf, IMAGE_APPLICATION, *arguments],
        env=submit_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads((tmp_path / "r.json").read_text())["image"] == str(image)
    assert not (tmp_path / "evaluated").exists()
