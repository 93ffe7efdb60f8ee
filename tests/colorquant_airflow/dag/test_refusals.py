"""What both DAGs refuse before any job starts: folders that a run cannot work with."""

import errno
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from colorquant.jobs.plan import Plan, run_folder
from colorquant.storage import paths as storage
from colorquant_airflow import allowed
from colorquant_airflow.dag.params import library_params
from colorquant_airflow.dag.planning import write_plan
from colorquant_airflow.dag.reporting import summarize
from colorquant_airflow.operators import CompressCorpusOperator
from colorquant_airflow.operators.spark_job import SparkJobOperator
from colorquant_airflow.xcoms import PLANNED

FOLDER = Path(__file__).resolve().parents[3] / "dags"


class _Submitted(BaseException):
    """The corpus operator would start Spark now."""


def _context(params: dict[str, Any], told: dict[str, Any]) -> Any:
    return {
        "params": {name: param.value for name, param in library_params().items()} | params,
        "run_id": "run",
        "ti": SimpleNamespace(xcom_push=told.__setitem__, dag_id="a dag", run_id="run"),
    }


def _start(which: str, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch, told: dict[str, Any]) -> None:
    """The first task of a DAG, up to where Spark would start. What it tells, and Spark's arguments, go to ``told``."""
    context = _context(params, told)
    if which == "one by one":
        write_plan(context)
        return

    def submit(operator: SparkJobOperator, context: Any, failure: str) -> None:
        raise _Submitted

    monkeypatch.setattr(SparkJobOperator, "run_application", submit)
    operator = CompressCorpusOperator(task_id="compress_corpus")
    with pytest.raises(_Submitted):
        operator.execute(context)
    told["arguments"] = operator.application_args


@pytest.fixture(params=["one by one", "corpus"])
def which(request: pytest.FixtureRequest) -> str:
    """Each DAG."""
    return request.param


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"images": "/nowhere"}, "The image folder '/nowhere' is not a folder"),
        ({"images": "ftp://host/images"}, "images: ftp:// is not a supported storage"),
        (
            {"output": "gs://bucket/out"},
            "output: gs:// .* needs the package gcsfs, .* the extra gcs",
        ),
        ({"output": "{folder}/file"}, "The output folder .* is not a folder"),
        ({"publish": "abfs://bucket/site"}, "publish: abfs:// is written az:// here"),
        ({"publish": "{folder}/full"}, "full exists and was not published by this project"),
        ({"publish": "file://{folder}/full"}, "full exists and was not published by this project"),
        ({"publish": "{folder}/file"}, "file exists and was not published by this project"),
        ({"publish": "s3://results/full"}, "full exists and was not published by this project"),
        ({"images": "a\0b"}, "images: .* is not a path"),
        ({"output": "a\0b"}, "output: .* is not a path"),
        ({"publish": "a\0b"}, "publish: .* is not a path"),
        ({"publish": " "}, "publish: ' ' is not a folder"),
        ({"images": "{folder}/" + "n" * 256}, "The image folder .* File name too long"),
        ({"output": "{folder}/" + "n" * 256}, "The output folder .* File name too long"),
        ({"output": "{folder}/new/" + "n" * 256}, "The output folder .* File name too long"),
        ({"publish": "{folder}/" + "n" * 256}, "Nothing can be published to .* File name too long"),
        ({"images": "{folder}/file/below"}, "The image folder .* is not a folder"),
        ({"output": "{folder}/file/below"}, "The output folder .* Not a directory"),
        ({"publish": "{folder}/file/below"}, "Nothing can be published to .* Not a directory"),
        ({"output": "/proc/out"}, "The output folder '/proc/out' cannot be written"),
        ({"output": "{folder}/half"}, "The output folder .* cannot be written: Not a directory .*/half/runs"),
        ({"publish": "{folder}/taken"}, "Nothing can be published to .* Not a directory"),
        ({"publish": "/proc/site"}, "Nothing can be published to /proc/site"),
        ({"output": "s3://nowhere/out"}, "The output folder 's3://nowhere/out' cannot be written: .*bucket"),
        ({"output": "/proc/out", "images": "/nowhere", "ks": "", "target": "x"}, "'/nowhere' .* '/proc/out' .* k "),
        ({"storage_connection": "gone"}, "There is no Airflow connection 'gone'"),
        ({"publish": "s3://nowhere/site"}, "Nothing can be published to s3://nowhere/site: .*bucket does not exist"),
    ],
)
def test_a_folder_that_a_run_cannot_work_with_is_refused_and_the_list_of_runs_says_why(
    which: str,
    params: dict[str, str],
    sentence: str,
    photographs: Path,
    tmp_path: Path,
    s3: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "half").mkdir()
    for file in ("full/precious", "file", "half/runs", "taken.versions"):
        (tmp_path / file).write_text("mine")
    storage.put("s3://results/full/precious", b"mine")
    monkeypatch.setitem(sys.modules, "gcsfs", None)  # Whether it is installed or not.
    told: dict[str, Any] = {}
    good = {"images": str(photographs), "output": str(tmp_path / "out")}
    params = {name: value.format(folder=tmp_path) for name, value in params.items()}
    params |= {"ks": []} if "ks" in params else {}
    with pytest.raises(AirflowFailException, match=sentence) as caught:
        _start(which, good | params, monkeypatch, told)
    assert told == {PLANNED: {"refused": str(caught.value)}}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("parameter", ["output", "publish"])
def test_a_bucket_that_may_only_be_read_is_refused(
    which: str,
    parameter: str,
    photographs: Path,
    tmp_path: Path,
    s3: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(path: Any, content: bytes) -> None:
        with storage.asking(path):
            raise PermissionError("Access Denied")  # As s3fs does.

    monkeypatch.setattr(storage, "put", refuse)
    params = {"images": str(photographs), "output": str(tmp_path / "out"), parameter: "s3://results/new"}
    told: dict[str, Any] = {}
    with pytest.raises(AirflowFailException, match="(cannot be written|Nothing can be published).* Access Denied"):
        _start(which, params, monkeypatch, told)
    assert "Access Denied" in told[PLANNED]["refused"]


@pytest.mark.parametrize(("number", "lasts"), [(errno.EACCES, True), (errno.ENOSPC, False)])
def test_a_plan_that_cannot_be_written_is_told_and_tried_again_where_that_may_help(
    number: int, lasts: bool, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(plan: Plan, path: Path) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Plan, "write", fail)
    told: dict[str, Any] = {}
    params = {"images": str(photographs), "output": str(tmp_path / "out")}
    with pytest.raises(AirflowFailException if lasts else OSError, match=os.strerror(number)):
        _start("one by one", params, monkeypatch, told)
    assert os.strerror(number) in told[PLANNED]["refused"]


@pytest.mark.parametrize("publish", ["{folder}/new", "{folder}/empty", "s3://results/new", None])
def test_a_new_or_empty_folder_is_published_to(
    which: str,
    publish: str | None,
    photographs: Path,
    tmp_path: Path,
    s3: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "empty").mkdir()
    publish = publish and publish.format(folder=tmp_path)
    params = {"images": str(photographs), "output": str(tmp_path / "out"), "publish": publish}
    told: dict[str, Any] = {}
    _start(which, params, monkeypatch, told)
    assert "folder" in told[PLANNED]
    if which == "corpus":
        assert f"--publish={publish or ''}" in told["arguments"]


@pytest.mark.parametrize("kind", [AirflowFailException, AirflowException])
@pytest.mark.parametrize("is_planned", [False, True])
def test_why_the_corpus_application_failed_is_shown_unless_an_earlier_try_has_planned(
    is_planned: bool,
    kind: type[AirflowException],
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(operator: SparkJobOperator, context: Any, failure: str) -> None:
        raise kind("There is no image")

    folder = run_folder(tmp_path / "out", "run")
    if is_planned:
        folder.mkdir(parents=True)
        (folder / "plan.json").touch()
    monkeypatch.setattr(SparkJobOperator, "run_application", fail)
    told: dict[str, Any] = {}
    operator = CompressCorpusOperator(task_id="compress_corpus")
    with pytest.raises(kind, match="There is no image"):
        operator.execute(_context({"images": str(photographs), "output": str(tmp_path / "out")}, told))
    if is_planned:
        assert told[PLANNED]["folder"] == str(folder)
    else:
        assert told[PLANNED] == {"refused": "There is no image"}


@pytest.mark.parametrize(
    ("dag_id", "task_id"),
    [("kmeans_image_compression", "plan_jobs"), ("kmeans_corpus_compression", "compress_corpus")],
)
@pytest.mark.parametrize("output", ["{folder}/out", "ftp://bucket/out", "a\0b", "{folder}/" + "n" * 256, "{file}/out"])
@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (None, "There is no plan to report on: see the log of {task}. It has none where somebody"),
        ({"refused": "There is no image"}, "There is no plan to report on: There is no image$"),
        (
            {"folder": "/out/runs/a"},
            "The plan of this run(, /out/runs/a/plan.json, is gone: .* since {task} wrote it| cannot be read: )",
        ),
    ],
)
def test_who_finds_no_plan_says_why(
    dag_id: str, task_id: str, output: str, told: dict[str, str] | None, sentence: str, tmp_path: Path
) -> None:
    """It was never made, it was refused, or it is gone: then no log has anything."""
    context = _context({"output": output.format(folder=tmp_path, file=__file__)}, {})
    context["ti"].xcom_pull = lambda task_ids, key: told if (task_ids, key) == (task_id, PLANNED) else None
    context["dag"] = DagBag(str(FOLDER / f"{dag_id}.py")).dags[dag_id]
    with pytest.raises(AirflowFailException, match=sentence.format(task=task_id)):
        summarize(context)


def test_relative_folders_start_at_the_project_wherever_airflow_was_started(
    which: str, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("elsewhere", "dags"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(allowed, "_CHECKOUT", tmp_path)
    told: dict[str, Any] = {}
    _start(which, {"images": photographs.name, "output": "out", "publish": "site"}, monkeypatch, told)
    assert told[PLANNED]["folder"] == str(run_folder(tmp_path / "out", "run"))
    if which == "corpus":
        assert {f"--images={photographs}", f"--publish={tmp_path / 'site'}"} <= set(told["arguments"])


def test_a_check_leaves_nothing_in_the_output_folder(
    which: str, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    params = {"images": str(photographs), "output": str(tmp_path / "out"), "target": "nonsense"}
    with pytest.raises(AirflowFailException, match="target"):
        _start(which, params, monkeypatch, {})
    assert list((tmp_path / "out").iterdir()) == []
