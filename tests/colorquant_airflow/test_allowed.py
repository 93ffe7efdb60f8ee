"""What a run may use: the folders and connections of the operator, whoever triggers it or edits its XComs."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from colorquant.jobs.plan import Plan, run_folder
from colorquant.storage import access
from colorquant_airflow.checkout.home import PROJECT, AirflowHome
from colorquant_airflow.dag.params import library_params
from colorquant_airflow.dag.planning import write_plan
from colorquant_airflow.dag.reporting import summarize
from colorquant_airflow.environment import submit_environment
from colorquant_airflow.operators import CompressCorpusOperator
from colorquant_airflow.xcoms import PLANNED
from tests.object_store import SECRET
from tests.test_compress_image import compress_in_process


@pytest.fixture(autouse=True)
def defaults(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation whose operator named folders, and allowed nothing more."""
    monkeypatch.setenv("COMPRESSION_IMAGES", str(photographs))
    monkeypatch.setenv("COMPRESSION_OUTPUT", str(tmp_path / "out, put"))
    monkeypatch.setenv("COMPRESSION_PUBLISH", str(tmp_path / "site"))
    for name in ("COMPRESSION_ALLOWED_ROOTS", "COMPRESSION_ALLOWED_CONNECTIONS", "COMPRESSION_STORAGE_CONNECTION"):
        monkeypatch.setenv(name, "")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.png").write_bytes((photographs / "one.png").read_bytes())


def _context(told: dict[str, Any], **params: Any) -> Any:
    return {
        "params": {name: param.value for name, param in library_params().items()} | {"ks": [4]} | params,
        "run_id": "run",
        "dag": SimpleNamespace(roots=[]),
        "ti": SimpleNamespace(
            xcom_push=told.__setitem__,
            xcom_pull=lambda task_ids, key: told.get(key),
            dag_id="kmeans_image_compression",
        ),
    }


def test_the_defaults_and_what_lies_below_them_may_be_used(photographs: Path, tmp_path: Path) -> None:
    params = {"images": f"{photographs}/sub folder", "output": f"{tmp_path}/out, put/mine"}
    assert len(write_plan(_context({}, **params))) == 1
    assert len(write_plan(_context({}))) == 2


@pytest.mark.parametrize("dag", ["one by one", "corpus"])
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("images", "{root}/elsewhere"),
        ("images", "{root}/images/../elsewhere"),
        ("images", "{root}/images/link"),
        ("images", "file://{root}/elsewhere"),
        ("images", "s3://bucket/in"),
        ("output", "{root}/elsewhere"),
        ("output", "s3://bucket/out"),
        ("publish", "{root}/elsewhere/site"),
        ("publish", "s3://bucket/site"),
    ],
)
def test_other_folders_are_refused_before_anything_is_read(
    dag: str, name: str, folder: str, photographs: Path, tmp_path: Path
) -> None:
    (photographs / "link").symlink_to(tmp_path / "elsewhere")
    told: dict[str, Any] = {}
    context = _context(told, **{name: folder.format(root=tmp_path)})
    with pytest.raises(
        AirflowFailException, match=f"{name}: .* is in none of the folders that may be used here"
    ) as caught:
        write_plan(context) if dag == "one by one" else CompressCorpusOperator(task_id="t").execute(context)
    assert "COMPRESSION_ALLOWED_ROOTS" in str(caught.value)
    assert told == {PLANNED: {"refused": str(caught.value)}}
    assert not (tmp_path / "out, put").exists()


def test_what_a_task_starts_is_limited_as_it_is(photographs: Path, tmp_path: Path) -> None:
    """Only so does the job refuse arguments that were edited."""
    write_plan(_context({}))
    roots = f"{photographs.as_uri()},{(tmp_path / 'out, put').as_uri()},{(tmp_path / 'site').as_uri()}"
    assert submit_environment()["COMPRESSION_ALLOWED_ROOTS"] == roots
    assert access()["COMPRESSION_ALLOWED_ROOTS"] == roots, "workers of a cluster get it so"


def test_the_operator_allows_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESSION_ALLOWED_ROOTS", f"{tmp_path / 'elsewhere'}, {tmp_path / 'results'}")
    params = {"images": str(tmp_path / "elsewhere"), "output": str(tmp_path / "results"), "publish": None}
    assert len(write_plan(_context({}, **params))) == 1
    with pytest.raises(AirflowFailException, match="publish: .* is in none of the folders"):
        write_plan(_context({}))


@pytest.mark.parametrize("name", ["--image", "--output", "--result", "--failure"])
def test_a_job_whose_arguments_were_edited_is_refused(
    name: str, photographs: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    """Its arguments pass through an XCom, which some users may edit."""
    (submission, _) = write_plan(_context({}))
    arguments = [a for a in submission["application_args"] if not a.startswith(f"{name}=")]
    allowed = {
        "COMPRESSION_ALLOWED_ROOTS": os.environ["COMPRESSION_ALLOWED_ROOTS"]
    }  # As the operator's process has it.
    script = PROJECT / "spark_apps" / "compress_image.py"
    run = subprocess.run(
        [sys.executable, script, *arguments, f"{name}={tmp_path / 'elsewhere' / 'secret.png'}"],
        env=bare_environment | allowed,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 2 and f"argument {name}: " in run.stderr and "is in none of the folders" in run.stderr


def test_a_publication_elsewhere_is_refused(photographs: Path, tmp_path: Path) -> None:
    """A folder that became a link out of the allowed ones while the jobs ran."""
    context = _context({})
    for submission in write_plan(context):
        compress_in_process(submission["application_args"])
    (tmp_path / "site").symlink_to(tmp_path / "elsewhere" / "site")
    with pytest.raises(AirflowFailException, match="Nothing is published: .* is in none of the folders"):
        summarize(context | {"outlet_events": {}})
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["secret.png"]


def test_an_image_that_became_a_link_out_of_the_library_is_not_read(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a file when the folder was listed."""
    from colorquant.jobs import folders

    real = folders.list_images

    def swap_after(*arguments: Any, **options: Any) -> Any:
        listing = real(*arguments, **options)
        (photographs / "one.png").unlink()
        (photographs / "one.png").symlink_to(photographs.parent / "out, put" / "one.png")
        return listing

    (tmp_path / "out, put").mkdir()
    (tmp_path / "out, put" / "one.png").write_bytes((photographs / "one.png").read_bytes())
    monkeypatch.setattr(folders, "list_images", swap_after)
    write_plan(_context({}))
    plan = Plan.read(run_folder(tmp_path / "out, put", "run") / "plan.json")
    assert {job.name: job.image_sha256 is None for job in plan.jobs} == {"one.png": True, "sub folder/two.jpg": False}


def test_connections_that_are_not_allowed_or_not_of_a_store_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DATABASE", f"postgresql://airflow:{SECRET}@postgres/airflow")
    monkeypatch.setenv("AIRFLOW_CONN_STORE", f'{{"conn_type": "aws", "login": "key", "password": "{SECRET}"}}')
    for name in ("database", "store", "gone"):
        with pytest.raises(AirflowFailException, match=f"may not use the Airflow connection '{name}'"):
            write_plan(_context({}, storage_connection=name))
    monkeypatch.setenv("COMPRESSION_STORAGE_CONNECTION", "store")
    assert write_plan(_context({}))
    monkeypatch.setenv("COMPRESSION_ALLOWED_CONNECTIONS", "other, database")
    with pytest.raises(
        AirflowFailException, match="'database', .*, has the type 'postgres': name one of type aws"
    ) as e:
        write_plan(_context({}, storage_connection="database"))
    assert SECRET not in str(e.value)
    with pytest.raises(AirflowFailException, match="may not use the Airflow connection 'store'"):
        write_plan(_context({}))


def test_the_private_airflow_of_a_checkout_allows_what_its_only_user_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = AirflowHome(tmp_path, jobs_at_once=1)
    environment = home.environment(8080, schedule=False)
    assert environment["COMPRESSION_ALLOWED_ROOTS"] == "/,s3://,gs://,az://"
    assert environment["COMPRESSION_ALLOWED_CONNECTIONS"] == "*"
    monkeypatch.setenv("COMPRESSION_ALLOWED_ROOTS", "/photos")
    assert home.environment(8080, schedule=False)["COMPRESSION_ALLOWED_ROOTS"] == "/photos"
