"""The notice of a failed run: what it says, and that it reaches the mail server of a deployment that names one."""

import dataclasses
import email
import email.policy
import html
import json
import logging
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from s3fs import S3FileSystem

from colorquant.jobs import CompressionResult, JobFailure
from colorquant.jobs.plan import RunRequest, plan_run, run_folder
from colorquant.report.run import summarize_run
from colorquant.report.summary import Summary
from colorquant.storage import paths as storage
from colorquant.storage import sha256_of
from colorquant_airflow.checkout.home import free_port
from colorquant_airflow.dag.notification import notify_of_failure, notify_of_news
from tests.colorquant.report.conftest import Library
from tests.object_store import SECRET


@pytest.fixture
def context(tmp_path: Path) -> dict[str, Any]:
    """What Airflow tells of a run that failed, and the summary that the run left."""
    images = tmp_path / "images"
    images.mkdir()
    (images / "{{ ds }}.png").write_text("no image")
    plan = plan_run(RunRequest(run_id="manual/1", images=str(images), ks=[4, 16], output=str(tmp_path / "out")))
    for job in plan.jobs:
        reason = "{{ ds }}.png is not an image"
        JobFailure(image=job.image, k=job.k, reason=reason, exit_code=65, retryable=False).write(job.failure)
    folder = run_folder(tmp_path / "out", "manual/1")
    (folder / "summary.json").write_text(Summary.of(plan, folder).as_json())
    params = {"output": str(tmp_path / "out")}
    with DAG("a_dag", schedule=None) as dag:
        EmptyOperator(task_id="compress_corpus") >> EmptyOperator(task_id="summarize")
    return {"dag": dag, "run_id": "manual/1", "reason": "task_failure", "params": params}


@pytest.fixture
def mailbox() -> Iterator[tuple[int, list[EmailMessage]]]:
    """The port of a mail server, and what it received."""
    received: list[EmailMessage] = []

    class Keep:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            received.append(email.message_from_bytes(envelope.content, policy=email.policy.default))  # type: ignore
            return "250 OK"

    port = free_port()
    server = Controller(Keep(), hostname="127.0.0.1", port=port)
    server.start()
    yield port, received
    server.stop()


def _use_mail(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment's notifier is Airflow's own, by a mail server on this port."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_MAIL",
        f'{{"conn_type": "smtp", "host": "127.0.0.1", "port": {port}, "extra": '
        '{"disable_ssl": true, "disable_tls": true, "from_email": "airflow@example.org"}}',
    )
    monkeypatch.setenv("COMPRESSION_NOTIFIER", "airflow.providers.smtp.notifications.smtp.SmtpNotifier")
    monkeypatch.setenv(
        "COMPRESSION_NOTIFIER_ARGUMENTS",
        '{"smtp_conn_id": "mail", "to": "team@example.org", "subject": "{{ failure.subject }}", '
        '"html_content": "<pre>{{ failure.message | e }}</pre>"}',
    )


def test_the_log_says_what_failed_and_why(context: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        notify_of_failure(context)
    assert "run manual/1 of a_dag failed" in caplog.text
    assert "2 of 2 jobs failed" in caplog.text
    assert "- '{{ ds }}.png', k = 4, 16: {{ ds }}.png is not an image" in caplog.text


def test_without_a_report_the_log_says_where_to_look(
    context: dict[str, Any], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with caplog.at_level(logging.ERROR):
        notify_of_failure(context | {"params": {"output": str(tmp_path / "elsewhere")}})
        notify_of_failure({name: context[name] for name in ("dag", "run_id")})
    assert "There is no report: see the logs of the tasks, that of compress_corpus first." in caplog.text


def test_the_notifier_that_the_deployment_names_sends_it(
    context: dict[str, Any], mailbox: tuple[int, list[EmailMessage]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, received = mailbox
    _use_mail(port, monkeypatch)
    notify_of_failure(context)
    (mail,) = received
    assert mail["Subject"] == "Image compression: run manual/1 of a_dag failed"
    body = mail.get_body(("html",))
    assert body is not None
    assert "2 of 2 jobs failed" in body.get_content()
    assert "{{ ds }}.png is not an image" in body.get_content(), "a file's name was evaluated by the template engine"


def _nights(tmp_path: Path) -> tuple[Path, Summary]:
    """A run in which one output is worse than in the previous one, and an image has vanished."""
    library = Library(tmp_path / "library")
    for name in ("gone {{ ds }}.png", "worse {{ ds }}.png"):
        library.add(name)
    plan = library.run((8,), run_id="first")
    summarize_run(plan, library.folder("first"))
    (library.images / "gone {{ ds }}.png").unlink()
    (job,) = library.plan((8,), run_id="second").jobs
    worse = dataclasses.replace(CompressionResult.read(job.result), ssim=0.1, psnr_db=10.0)
    Path(job.output).write_bytes(Path(job.output).read_bytes() + b"\0")
    dataclasses.replace(worse, output_sha256=sha256_of(job.output)).write(job.result)
    plan = library.plan((8,), run_id="second")
    return library.folder("second"), summarize_run(plan, library.folder("second"))


def test_worse_quality_and_vanished_images_reach_the_mail_server_once(
    context: dict[str, Any],
    mailbox: tuple[int, list[EmailMessage]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    port, received = mailbox
    _use_mail(port, monkeypatch)
    (tmp_path / "library").mkdir()
    folder, summary = _nights(tmp_path)
    notify_of_news(context, summary, str(folder / "summary.html"))
    (mail,) = received
    assert mail["Subject"] == (
        "Image compression: run manual/1 of a_dag: the quality of 1 outputs regressed, 1 images vanished"
    )
    body = mail.get_body(("html",))
    assert body is not None
    text = html.unescape(body.get_content())
    assert "- 'worse {{ ds }}.png', k = 8: PSNR " in text and "to 10.00 dB" in text and "to 0.1000" in text
    assert "in the previous run, first, and are not there now" in text and "- 'gone {{ ds }}.png'" in text
    assert "go back to the former settings" in text and "put them back" in text
    assert str(folder / "summary.html") in text
    plan = plan_run(
        RunRequest(run_id="third", images=summary.images_folder, ks=[8], output=str(tmp_path / "library" / "output"))
    )
    quiet = summarize_run(plan, run_folder(tmp_path / "library" / "output", "third"))
    notify_of_news(context, quiet, "summary.html")
    assert len(received) == 1, "what was told once is no news the next night"


def test_a_notifier_that_fails_costs_its_notice_only(
    context: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _use_mail(free_port(), monkeypatch)  # Nobody listens there.
    (tmp_path / "library").mkdir()
    folder, summary = _nights(tmp_path)
    notify_of_news(context, summary, str(folder / "summary.html"))
    assert "The notifier failed" in caplog.text and "1 images vanished" in caplog.text


class Kept:
    """A notifier that keeps what it is told."""

    told: list[str] = []

    def __call__(self, context: dict[str, Any]) -> None:
        self.told.append(context["failure"]["message"])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the notifier of the deployment is told."""
    monkeypatch.setenv("COMPRESSION_NOTIFIER", f"{Kept.__module__}.Kept")
    monkeypatch.setattr(Kept, "told", [])
    return Kept.told


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"output": "ftp://bucket/out"}, "ftp:// is not a supported storage"),
        ({"output": "s3://results/out", "storage_connection": "gone"}, "no Airflow connection 'gone'"),
        ({"output": "s3://nowhere/out"}, "There is no report"),
        ({"output": None}, "The report cannot be read"),
    ],
)
@pytest.mark.usefixtures("s3")
def test_whatever_is_wrong_with_the_report_the_notice_goes_out_and_says_it(
    context: dict[str, Any], told: list[str], params: dict[str, Any], why: str
) -> None:
    notify_of_failure(context | {"params": params})
    (message,) = told
    assert why in message
    assert "see the logs of the tasks" in message


def test_a_report_in_a_bucket_is_read_with_the_runs_own_credentials(
    context: dict[str, Any], told: list[str], s3: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that runs the callbacks of DAGs has none of its own."""
    content = (run_folder(tmp_path / "out", "manual/1") / "summary.json").read_bytes()
    storage.put(run_folder("s3://results/out", "manual/1") / "summary.json", content)
    extra = {"endpoint_url": s3["AWS_ENDPOINT_URL"], "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "user", "password": SECRET, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
    monkeypatch.setenv(storage.STORES["s3"].options, "{}")  # So that the test's end puts back what the call sets.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in s3:
        monkeypatch.delenv(name)
    S3FileSystem.clear_instance_cache()  # They have the credentials that the test wrote by.
    notify_of_failure(context | {"params": {"output": "s3://results/out", "storage_connection": "store"}})
    (message,) = told
    assert "2 of 2 jobs failed" in message
    assert SECRET not in message


def test_arguments_that_are_not_json_are_named(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESSION_NOTIFIER", "airflow.providers.smtp.notifications.smtp.SmtpNotifier")
    monkeypatch.setenv("COMPRESSION_NOTIFIER_ARGUMENTS", "to=team@example.org")
    with pytest.raises(ValueError, match="COMPRESSION_NOTIFIER_ARGUMENTS is not a JSON object: to="):
        notify_of_failure(context)
