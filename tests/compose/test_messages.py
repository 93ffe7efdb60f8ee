"""Whatever somebody must know reaches a mail server from the containers, and who may answer a question is checked."""

import email
import email.policy
import json
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from html import unescape
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from aiosmtpd.controller import Controller
from PIL import Image

from colorquant_airflow.checkout.home import DAG_ID, free_port
from tests.compose.stack import Stack, wait_until
from tests.conftest import photograph

pytestmark = pytest.mark.compose
SETTINGS = {
    "COMPRESSION_NOTIFIER": "airflow.providers.smtp.notifications.smtp.SmtpNotifier",
    "COMPRESSION_NOTIFIER_ARGUMENTS": json.dumps(
        {
            "smtp_conn_id": "mail",
            "to": "team@example.org",
            "subject": "{{ failure.subject }}",
            "html_content": "<pre>{{ failure.message | e }}</pre>",
        }
    ),
    "COMPRESSION_DEADLINE": "1",
}
FOLDERS = {"images": "/data/images/of mails", "output": "/data/output/of mails"}

# The end of a subject, and the mail that has it.
Mail = Callable[[str, str], str]


@pytest.fixture(scope="module")
def mail(stack: Stack) -> Iterator[Mail]:
    """Waits for the mail of a run whose subject contains a text; its body."""
    received: list[EmailMessage] = []

    class Keep:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            received.append(email.message_from_bytes(envelope.content, policy=email.policy.default))  # type: ignore
            return "250 OK"

    # This machine's address in the network of the services that have a way out.
    server = Controller(Keep(), hostname=stack.gateway("outside"), port=free_port())
    server.start()
    for name, value in SETTINGS.items():
        stack.set(name, value)
    stack.make("up")
    connection = {
        "connection_id": "mail",
        "conn_type": "smtp",
        "host": server.hostname,
        "port": server.port,
        "extra": json.dumps({"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.org"}),
    }
    stack.client("admin").post("/api/v2/connections", json=connection).raise_for_status()

    def find(run_id: str, what: str) -> str:
        def found() -> list[EmailMessage]:
            return [mail for mail in received if run_id in mail["Subject"] and what in mail["Subject"]]

        wait_until(found, f"the mail that {what!r} arrives; there are {[mail['Subject'] for mail in received]}")
        assert len(found()) == 1
        return unescape(found()[0].get_body(("html",)).get_content())  # type: ignore[union-attr]

    yield find
    server.stop()
    for name in SETTINGS:
        stack.set(name, "")
    stack.make("up")


def _trigger(stack: Stack, **conf: Any) -> str:
    return stack.api().trigger(DAG_ID, {**FOLDERS, "ks": ["16"], "target": "psnr=1", **conf})


def _answer(stack: Stack, run_id: str, user: str) -> httpx.Response:
    path = f"/api/v2/dags/{DAG_ID}/dagRuns/{quote(run_id, safe='')}/taskInstances/summarize/-1/hitlDetails"
    return stack.client(user).patch(path, json={"chosen_options": ["Publish"], "params_input": {}})


def test_a_question_and_a_late_run_reach_the_mail_server_and_only_who_may_trigger_may_answer(
    stack: Stack, mail: Mail
) -> None:
    folder = stack.images / "of mails"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(photograph(120, 160, seed=number)).save(folder / f"{number}.png")
    run_id = _trigger(stack, publish="/data/output/site of mails", approval=True)
    assert "Of 0 published images: 3 added." in mail(run_id, "waits for approval")
    assert "It was queued at" in mail(run_id, "is not done by its deadline")
    site = stack.output / "site of mails"
    assert not site.exists()
    assert _answer(stack, run_id, "viewer").status_code == 403
    # Airflow 3.3 takes an answer within a second of the question for a lost task, and asks again.
    wait_until(lambda: _answer(stack, run_id, "editor").is_success or stack.has_ended(run_id), "the answer is taken")
    assert stack.wait_for_end(run_id) == "success"
    assert (site / "manifest.json").exists()


def test_a_failure_worse_quality_and_vanished_images_reach_the_mail_server(stack: Stack, mail: Mail) -> None:
    folder = stack.images / "of mails"
    (folder / "2.png").unlink()
    (folder / "broken.png").write_text("no image")
    run_id = _trigger(stack, rate=2.0)
    assert stack.wait_for_end(run_id) == "failed"
    news = mail(run_id, "the quality of 2 outputs regressed, 1 images vanished")
    assert "'0.png', k = 16: PSNR" in news and "'2.png'" in news
    failed = mail(run_id, " failed")
    assert "1 of 3 jobs failed" in failed and "'broken.png', k = 16" in failed
