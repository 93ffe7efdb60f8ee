"""The notice of a failed run: what it says, and that it reaches the mail server of a deployment that names one."""

import email
import email.policy
import logging
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from airflow.sdk import DAG

from colorquant.plan import plan_run, run_folder
from colorquant.records import JobFailure
from colorquant.report.summary import Summary
from orchestration.callbacks import tell_of_failure
from orchestration.home import free_port


@pytest.fixture
def context(tmp_path: Path) -> dict[str, Any]:
    """What Airflow tells of a run that failed, and the summary that the run left."""
    images = tmp_path / "images"
    images.mkdir()
    (images / "{{ ds }}.png").write_text("no image")
    plan = plan_run("manual/1", str(images), [4, 16], str(tmp_path / "out"))
    for job in plan.jobs:
        reason = "{{ ds }}.png is not an image"
        JobFailure(image=job.image, k=job.k, reason=reason, exit_code=65, retryable=False).write(job.failure)
    folder = run_folder(tmp_path / "out", "manual/1")
    (folder / "summary.json").write_text(Summary.of(plan, folder).as_json())
    params = {"output": str(tmp_path / "out")}
    return {"dag": DAG("a_dag", schedule=None), "run_id": "manual/1", "reason": "task_failure", "params": params}


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


def test_the_log_says_what_failed_and_why(context: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        tell_of_failure(context)
    assert "run manual/1 of a_dag failed" in caplog.text
    assert "2 of 2 jobs failed" in caplog.text
    assert "- '{{ ds }}.png', k = 4, 16: {{ ds }}.png is not an image" in caplog.text


def test_without_a_report_the_log_says_where_to_look(
    context: dict[str, Any], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with caplog.at_level(logging.ERROR):
        tell_of_failure(context | {"params": {"output": str(tmp_path / "elsewhere")}})
        tell_of_failure({name: context[name] for name in ("dag", "run_id")})
    assert "There is no report: see the logs of the tasks" in caplog.text


def test_the_notifier_that_the_deployment_names_sends_it(
    context: dict[str, Any], mailbox: tuple[int, list[EmailMessage]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, received = mailbox
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
    tell_of_failure(context)
    (mail,) = received
    assert mail["Subject"] == "Image compression: run manual/1 of a_dag failed"
    body = mail.get_body(("html",))
    assert body is not None
    assert "2 of 2 jobs failed" in body.get_content()
    assert "{{ ds }}.png is not an image" in body.get_content(), "a file's name was evaluated by the template engine"


def test_arguments_that_are_no_json_are_named(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESSION_NOTIFIER", "airflow.providers.smtp.notifications.smtp.SmtpNotifier")
    monkeypatch.setenv("COMPRESSION_NOTIFIER_ARGUMENTS", "to=team@example.org")
    with pytest.raises(ValueError, match="COMPRESSION_NOTIFIER_ARGUMENTS is no JSON object: to="):
        tell_of_failure(context)
