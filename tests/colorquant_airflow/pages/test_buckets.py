"""The plugin's pages of runs in a bucket: its web application, against a real S3 server (moto's)."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import httpx
import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import _get_session
from airflow.api_fastapi.core_api.security import get_user
from airflow.models.base import Base
from airflow.models.dagrun import DagRun
from airflow.models.pool import Pool
from airflow.models.xcom import XComModel
from fastapi import HTTPException
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from colorquant.jobs.plan import Plan, RunRequest, plan_run, run_folder
from colorquant.report import summarize_run
from colorquant.storage import JsonRecord
from colorquant.storage import paths as storage
from colorquant_airflow.pages import app as web
from colorquant_airflow.pages import runs
from colorquant_airflow.xcoms import PLANNED, REPORTED
from tests.conftest import photograph
from tests.object_store import SECRET
from tests.test_compress_image import compress_in_process

OUTPUT = "s3://results/out"
_DAG_IDS = frozenset(runs.DAG_IDS)


class Pages:
    """The web application, with the runs that a test tells it of."""

    def __init__(self) -> None:
        self._engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        Base.metadata.create_all(self._engine, tables=[DagRun.__table__, XComModel.__table__, Pool.__table__])
        self._count = 0
        self.dag_ids: set[str] = set()
        self.client = TestClient(web.app, raise_server_exceptions=False)

    def add(
        self,
        run_id: str,
        folder: str,
        connection: str | None = None,
        dag_id: str = "dag",
        repeats: str | None = None,
    ) -> None:
        self._count += 1
        self.dag_ids.add(dag_id)
        told = {"folder": folder, "storage_connection": connection}
        run = {"id": self._count, "dag_id": dag_id, "run_id": run_id, "state": "success", "run_type": "manual"}
        xcom = {"dag_run_id": self._count, "task_id": "plan_jobs", "key": PLANNED, "dag_id": dag_id, "run_id": run_id}
        with Session(self._engine) as session:
            session.execute(insert(DagRun).values(**run, run_after=datetime.now(UTC), log_template_id=None))
            session.execute(insert(XComModel).values(**xcom, map_index=-1, value=told))
            if repeats:
                reported = xcom | {"task_id": "summarize", "key": REPORTED, "value": {"repeats": repeats}}
                session.execute(insert(XComModel).values(**reported, map_index=-1))
            session.commit()

    def session(self) -> Iterator[Session]:
        with Session(self._engine) as session:
            yield session

    def get(self, run_id: str, more: str = "", dag_id: str = "dag") -> httpx.Response:
        return self.client.get(f"/runs/{dag_id}/{quote(run_id)}{more}", follow_redirects=False)


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    """The application, for a user who may read everything, with all DAGs as if they were of this project."""
    told = Pages()
    monkeypatch.setattr(runs, "DAG_IDS", told.dag_ids)
    overrides: dict[Callable[..., Any], Callable[..., Any]] = {
        _get_session: told.session,
        web._MAY_READ.dependency: lambda: None,
    }
    web.app.dependency_overrides.update(overrides)
    with told.client:  # One event loop for all requests, as a server has.
        yield told
    web.app.dependency_overrides.clear()


@pytest.fixture
def plan(s3: dict[str, str], photographs: Path) -> Plan:
    """A run in a bucket with its report: two images, both compressed."""
    plan, objects = made = _made.get("run 1") or (_compressed_run("run 1", photographs), _objects())
    _made["run 1"] = made
    for uri, content in objects.items():
        storage.put(uri, content)
    return plan


#: What was compressed once is put back for each test.
_made: dict[str, tuple[Plan, dict[str, bytes]]] = {}


def _objects() -> dict[str, bytes]:
    buckets = ("s3://library", "s3://results")
    uris = [f"{bucket}/{name}" for bucket in buckets for name in storage.sizes_below(bucket)]
    return {uri: storage.read(uri) for uri in uris}


def _compressed_run(run_id: str, images: Path, output: str = OUTPUT) -> Plan:
    for path in images.rglob("*.*"):
        storage.put(f"s3://library/in/{path.relative_to(images).as_posix()}", path.read_bytes())
    plan = plan_run(RunRequest(run_id=run_id, images="s3://library/in", ks=[3, 9], output=output))
    folder = run_folder(output, run_id)
    plan.write(folder / "plan.json")
    for job in plan.pending():
        compress_in_process(job.arguments())
    summarize_run(plan, folder)
    return plan


def _folder(plan: Plan) -> str:
    return str(run_folder(OUTPUT, plan.run_id))


def _connection(monkeypatch: pytest.MonkeyPatch, name: str, endpoint: str, key: str, secret: str) -> None:
    connection = {"conn_type": "aws", "login": key, "password": secret, "extra": {"endpoint_url": endpoint}}
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))


def test_a_run_in_a_bucket_has_all_its_pages(pages: Pages, plan: Plan, photographs: Path) -> None:
    pages.add("run 1", _folder(plan))
    shown = pages.get("run 1")
    assert shown.status_code == 200 and "sub folder/two.jpg" in shown.text and "Open the report" in shown.text
    frame = pages.get("run 1", "/report")
    name = f"runs/{run_folder(OUTPUT, 'run 1').name}/summary.html"
    assert frame.status_code == 200 and f"files/{name}" in frame.text
    report = pages.get("run 1", f"/files/{name}")
    assert report.content == storage.read(f"{OUTPUT}/{name}")
    assert report.headers["Content-Type"].startswith("text/html")
    assert "script-src 'sha256-" in report.headers["Content-Security-Policy"]
    sheet = next(found for found in storage.sizes_below(OUTPUT) if "/sheet-" in found)
    path = quote(sheet)
    assert pages.get("run 1", f"/files/{path}").headers["Content-Type"] == "image/png"

    image = pages.get("run 1", "/images/2")
    assert image.status_code == 200 and "k = 9" in image.text and "Download the original" in image.text
    jobs = [job for job in plan.jobs if job.name == "sub folder/two.jpg"]
    output = pages.get("run 1", "/images/2/outputs/2")
    assert output.content == storage.read(jobs[1].output)
    assert int(output.headers["Content-Length"]) == len(output.content)
    linked = quote(jobs[1].output.removeprefix(f"{OUTPUT}/"))
    assert pages.get("run 1", f"/files/{linked}").content == output.content
    saved = pages.get("run 1", "/images/2/outputs/2?download=true")
    assert saved.headers["Content-Disposition"] == "attachment; filename*=utf-8''two_k009.png"
    original = pages.get("run 1", "/images/2/original")
    assert original.content == (photographs / "sub folder" / "two.jpg").read_bytes()
    assert original.headers["Content-Type"] == "image/jpeg"
    saved = pages.get("run 1", "/images/2/original?download=true")
    assert saved.headers["Content-Type"] == "application/octet-stream"
    assert pages.get("run 1", "/jobs/3").headers["Location"].endswith("/images/2?job=2")


def test_an_original_that_browsers_do_not_show_comes_as_png(
    pages: Pages, s3: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(photograph(20, 30)).save(tmp_path / "scan.tif")
    plan = _compressed_run("run", tmp_path)
    pages.add("run", _folder(plan))
    shown = pages.get("run", "/images/1/original")
    assert shown.headers["Content-Type"] == "image/png" and shown.content.startswith(b"\x89PNG")
    monkeypatch.setattr("colorquant.report.previews.MAX_BYTES", 100)
    refused = pages.get("run", "/images/1/original")
    assert refused.status_code == 404 and "cannot be shown" in refused.text


def test_an_original_is_handed_out_only_as_long_as_it_is_what_was_planned(pages: Pages, plan: Plan) -> None:
    pages.add("run 1", _folder(plan))
    storage.put("s3://library/in/one.png", b"another object, by someone who may write to the bucket")
    storage.remove("s3://library/in/sub folder/two.jpg")
    for number in (1, 2):
        for more in ("", "?download=true"):
            answer = pages.get("run 1", f"/images/{number}/original{more}")
            assert answer.status_code == 404 and "has changed since this run" in answer.text


def test_an_object_that_is_replaced_while_it_is_sent_is_not_mixed_with_the_new_one(s3: dict[str, str]) -> None:
    size = 3 * storage._BLOCK_BYTES
    storage.put("s3://results/large", b"a" * size)
    with storage.open_stream("s3://results/large") as stream:
        assert stream.read(10) == b"a" * 10
        storage.put("s3://results/large", b"b" * size)
        with pytest.raises(OSError):
            stream.read(size)


def test_the_report_of_a_run_without_news_is_that_of_the_run_that_it_repeats(pages: Pages, plan: Plan) -> None:
    pages.add("run 1", _folder(plan))
    pages.add("run 2", _folder(plan), repeats="run 1")
    pages.add("run 3", _folder(plan), repeats="a run that Airflow no longer knows")
    answer = pages.get("run 2", "/report")
    assert answer.status_code == 307 and answer.headers["Location"].endswith("/runs/dag/run%201/report")
    assert pages.get("run 1", "/report").status_code == 200
    assert pages.get("run 3", "/report").status_code == 200, "the page in its own folder, which names that run"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.html",
        "../../library/secret.html",
        "runs/../secret.html",
        "runs/../../secret.html",
        "secret.html",
        "runs/another/summary.html",
        "runs/{run}/../another/summary.html",
        "runs/{run}-2/summary.html",
        "runs/{run}2/summary.html",
        "runs/{run}/notes.txt",
        "runs/{run}/rows",
        "runs/{run}",
        "runs/{run}/nothing.html",
        "runs/{run}/summary.html\0",
        "runs/{run}/summary.html?versionId=1",
        "runs/{run}/summary.html?versionId=1.html",
        "compressed/another.png",
        "s3://library/secret.html",
        "/library/secret.html",
        "//library/secret.html",
        "/etc/passwd",
        "..\\secret.html",
        "%2e%2e/secret.html",
        "../../user:password@bucket/secret.html",
        "../../../../../../etc/secret.html",
        "",
    ],
)
def test_a_run_in_a_bucket_hands_out_nothing_else(pages: Pages, plan: Plan, path: str) -> None:
    run = run_folder(OUTPUT, "run 1").name
    for key in ("out/secret.html", "secret.html", "out/runs/another/summary.html", "out/compressed/another.png"):
        storage.put(f"s3://results/{key}", b"a secret")
    for key in (f"{run}-2/summary.html", f"{run}2/summary.html", f"{run}/notes.txt"):
        storage.put(f"{OUTPUT}/runs/{key}", b"a secret")
    storage.put("s3://library/secret.html", b"a secret")
    pages.add("run 1", _folder(plan))
    assert pages.get("run 1", f"/files/runs/{run}/summary.html").status_code == 200
    # Every character is escaped: a client tidies a path before it sends it.
    escaped = "".join(f"%{byte:02x}" for byte in path.format(run=run).encode())
    answer = pages.get("run 1", f"/files/{escaped}")
    assert answer.status_code == 404 and "There is nothing to show" in answer.text, answer.text
    assert "a secret" not in answer.text


def test_a_plan_in_a_bucket_leads_to_no_file_of_the_server_and_to_no_other_folder(
    pages: Pages, plan: Plan, tmp_path: Path
) -> None:
    """Who may write to the bucket could name there what the server can read, and have it handed out."""
    (tmp_path / "secret.json").write_text("a secret")
    storage.put("s3://library/secret.json", b"a secret")
    folder = _folder(plan)
    # Only plans of version 1 name each file.
    content = json.loads(JsonRecord.as_json(plan)) | {"schema_version": 1}
    genuine = content["jobs"][0]["output"]
    for number, forged in enumerate(
        [
            str(tmp_path / "secret.json"),
            "s3://library/secret.json",
            f"{OUTPUT}/compressed/../../../library/secret.json",
            f"{OUTPUT}2/secret.json",
        ]
    ):
        for name in ("output", "result", "failure"):
            content["jobs"][0]["output"] = genuine
            content["jobs"][0][name] = forged
            storage.put(f"{folder}/plan.json", json.dumps(content).encode())
            dag_id = f"{number} {name}"
            pages.add("run 1", folder, dag_id=dag_id)
            for more in ("", "/images/1", "/images/1/outputs/1", f"/files/{quote(forged, safe='')}"):
                answer = pages.get("run 1", more, dag_id)
                assert answer.status_code == 404 and "outside the run's output folder" in unescape(answer.text)


def test_a_folder_that_holds_no_plan_of_the_run_is_not_handed_out(pages: Pages, plan: Plan) -> None:
    folder = _folder(plan)
    name = folder.rsplit("/", 1)[-1]
    pages.add("another run", folder)
    pages.add("no plan", "s3://results/out/runs/x")
    pages.add("no bucket", "s3://nowhere/out/runs/x")
    pages.add("no store", "ftp://results/out/runs/x")
    pages.add("password", f"s3://user:{SECRET}@results/out/runs/x")
    for run, reason in {
        "another run": "is of run 'run 1'",
        "no plan": "FileNotFoundError",
        "no bucket": "'s3://nowhere/out/runs/x' has no plan of this run (FileNotFoundError: The specified bucket",
        "no store": "ftp:// is not a supported storage",
        "password": "these belong to the environment or to a connection",
    }.items():
        for more in ("", "/images/1", f"/files/runs/{name}/summary.html"):
            answer = pages.get(run, more)
            assert answer.status_code == 404 and reason in unescape(answer.text), answer.text
            assert SECRET not in answer.text


def test_the_right_to_read_comes_before_the_store(pages: Pages, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise HTTPException(403)

    asked: list[str] = []
    monkeypatch.setattr("colorquant_airflow.pages.runs.storage_options", asked.append)
    web.app.dependency_overrides[web._MAY_READ.dependency] = refuse
    pages.add("run 1", _folder(plan), connection="store")
    name = f"runs/{run_folder(OUTPUT, 'run 1').name}/summary.html"
    for more in ("", "/report", f"/files/{name}", "/images/1", "/images/1/original", "/images/1/outputs/1", "/jobs/0"):
        assert pages.get("run 1", more).status_code == 403
    assert asked == []


def test_a_run_of_a_dag_that_is_not_of_this_project_is_not_shown(pages: Pages, plan: Plan) -> None:
    """Whoever writes another DAG could push an XCom that names any folder."""
    pages.add("run 1", _folder(plan), dag_id="of another author")
    assert pages.get("run 1", dag_id="of another author").status_code == 200
    pages.dag_ids.clear()
    for more in ("", "/report", "/images/1", "/images/1/original"):
        answer = pages.get("run 1", more, dag_id="of another author")
        assert answer.status_code == 404 and "has no such run" in answer.text


def test_runs_are_listed_by_the_right_to_see_runs(pages: Pages, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """The right to see a DAG does not include it."""
    for dag_id in ("seen", "hidden"):
        pages.add(f"run of {dag_id}", _folder(plan), dag_id=dag_id)
    asked: list[Any] = []

    def requires(method: str, entity: Any, dag_id: str) -> Callable[..., None]:
        def check(request: Any, user: Any) -> None:
            asked.append((method, entity, dag_id, user))
            if dag_id != "seen":
                raise HTTPException(403)

        return check

    monkeypatch.setattr(web, "requires_access_dag", requires)
    monkeypatch.setattr(web, "DAG_IDS", pages.dag_ids)
    web.app.dependency_overrides[get_user] = lambda: "the user"
    listed = pages.client.get("/").text
    assert "run of seen" in listed and "run of hidden" not in listed
    assert {(entity, user) for _, entity, _, user in asked} == {(DagAccessEntity.RUN, "the user")}


def test_the_dags_of_this_project_are_those_of_its_files() -> None:
    dags = (Path(__file__).parents[3] / "dags").glob("*.py")
    assert set(re.findall(r'dag_id="(\w+)"', "".join(path.read_text() for path in dags))) == _DAG_IDS | {
        "kmeans_maintenance"
    }


def test_a_connection_that_a_run_may_not_use_is_a_sentence(
    pages: Pages, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPRESSION_ALLOWED_CONNECTIONS", "store, of_the_database")
    monkeypatch.setenv("AIRFLOW_CONN_OF_THE_DATABASE", f"postgresql://airflow:{SECRET}@postgres/airflow")
    for connection, reason in {"secret": "may not use", "of_the_database": "has the type 'postgres': name one"}.items():
        pages.add(connection, _folder(plan), connection)
        answer = pages.get(connection)
        assert answer.status_code == 502 and reason in unescape(answer.text) and SECRET not in answer.text


def test_a_bucket_that_is_not_allowed_is_not_shown(pages: Pages, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    pages.add("run 1", _folder(plan))
    for allowed, status in {
        "s3://results/out,s3://library/in": 200,
        "s3://results/out": 404,
        "s3://results/o": 404,
    }.items():
        monkeypatch.setenv("COMPRESSION_ALLOWED_ROOTS", allowed)
        answer = pages.get("run 1", "/images/1")
        assert answer.status_code == status
        assert status == 200 or "is in none of the folders that may be used here" in unescape(answer.text)


def test_a_connection_that_is_not_there_is_a_sentence(pages: Pages, plan: Plan, photographs: Path) -> None:
    pages.add("run 1", _folder(plan), connection="forgotten")
    for more in ("", "/report", "/images/1", "/images/1/original", "/files/secret.html"):
        answer = pages.get("run 1", more)
        assert answer.status_code == 502
        assert "There is no Airflow connection 'forgotten'" in unescape(answer.text)
        assert "Airflow's API server, which shows this page, must have it too" in unescape(answer.text)
    # What lies on a disk needs no connection.
    local = plan_run(
        RunRequest(run_id="local", images=str(photographs), ks=[3], output=str(photographs.parent / "out"))
    )
    folder = run_folder(photographs.parent / "out", "local")
    local.write(folder / "plan.json")
    pages.add("local", str(folder), connection="forgotten")
    assert pages.get("local").status_code == 200
    assert pages.get("local", "/images/1/original").status_code == 200


def test_a_store_that_does_not_answer_is_a_sentence(
    pages: Pages, plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _connection(monkeypatch, "down", "http://127.0.0.1:9", "user", SECRET)
    pages.add("run 1", _folder(plan), connection="down")
    answer = pages.get("run 1")
    assert answer.status_code == 502 and "Could not connect to the endpoint URL" in answer.text
    assert "connection 'down'" in unescape(answer.text) and SECRET not in answer.text

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv(storage.STORES["s3"].options, json.dumps({"skip_instance_cache": True}))
    pages.add("without", _folder(plan))
    answer = pages.get("without")
    assert answer.status_code == 502 and "Unable to locate credentials" in answer.text
    assert "the environment of Airflow's API server" in unescape(answer.text)


@pytest.fixture
def guarded(s3: dict[str, str], plan: Plan) -> Iterator[dict[str, tuple[str, str]]]:
    """The keys of two users of a server that asks for them: "reader" may read everything, "stranger" nothing."""
    iam = boto3.client("iam")
    keys: dict[str, tuple[str, str]] = {}
    for user, effect in {"reader": "Allow", "stranger": "Deny"}.items():
        iam.create_user(UserName=user)
        statement = {"Effect": effect, "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=policy)
        made = iam.create_access_key(UserName=user)["AccessKey"]
        keys[user] = (made["AccessKeyId"], made["SecretAccessKey"])
    _ask_for_keys(s3, True)
    yield keys
    _ask_for_keys(s3, False)
    for user, (key, _) in keys.items():
        iam.delete_access_key(UserName=user, AccessKeyId=key)
        iam.delete_user_policy(UserName=user, PolicyName="p")
        iam.delete_user(UserName=user)


def _ask_for_keys(s3: dict[str, str], ask: bool) -> None:
    httpx.post(f"{s3['AWS_ENDPOINT_URL']}/moto-api/reset-auth", content="0" if ask else "inf").raise_for_status()


def test_each_request_has_the_credentials_of_its_own_run(
    pages: Pages, plan: Plan, guarded: dict[str, tuple[str, str]], s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, (key, secret) in guarded.items():
        _connection(monkeypatch, name, s3["AWS_ENDPOINT_URL"], key, secret)
    _connection(monkeypatch, "mistyped", s3["AWS_ENDPOINT_URL"], "no such key", SECRET)
    # One folder and one plan, which is kept in memory, for all: it is the key that decides.
    expected = {"reader": 200, "stranger": 502, "mistyped": 502, None: 502}
    for number, connection in enumerate(expected):
        pages.add("run 1", _folder(plan), connection, dag_id=f"dag{number}")
    requests = [
        (f"dag{number}", more, expected[connection])
        for _ in range(6)
        for more in ("", "/images/1", "/images/1/original", "/images/1/outputs/1")
        for number, connection in enumerate(expected)
    ]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda request: pages.get("run 1", request[1], request[0]), requests))
    for (dag_id, more, status), answer in zip(requests, answers, strict=True):
        assert answer.status_code == status, (dag_id, more, answer.text)
        assert status == 200 or "The object store refuses access" in answer.text
        assert SECRET not in answer.text
    assert storage._using.get() is None


def test_options_are_those_of_the_context_that_set_them(s3: dict[str, str]) -> None:
    seen = []
    with storage.using(lambda: {"s3": {"key": "another"}}):
        assert storage.location("s3://results/a").storage_options["key"] == "another"  # type: ignore[attr-defined]
        thread = threading.Thread(target=lambda: seen.append(storage.location("s3://results/a")))
        thread.start()
        thread.join()
    assert "key" not in seen[0].storage_options
    assert "key" not in storage.location("s3://results/a").storage_options  # type: ignore[attr-defined]
