"""A running Airflow for tests: its REST API, its pages, a browser that is logged in, and the mail that it sends."""

import email
import email.policy
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from aiosmtpd.controller import Controller
from playwright.sync_api import Page

from colorquant_airflow.checkout.api import AirflowApi
from colorquant_airflow.checkout.home import DAG_ID, AirflowHome, free_port
from colorquant_airflow.checkout.services import airflow_services

RUNS = f"/api/v2/dags/{DAG_ID}/dagRuns"
PATIENCE = 600


@dataclass(frozen=True)
class Airflow:
    """A running Airflow, a client that is logged in, and the mail that it sent."""

    home: AirflowHome
    port: int
    api: AirflowApi
    client: httpx.Client
    mailbox: list[EmailMessage]
    environment: dict[str, str]

    def trigger(self, **conf: Any) -> str:
        return self.api.trigger(DAG_ID, conf)

    def wait(self, run_id: str, dag_id: str = DAG_ID) -> str:
        """The state in which the run ended."""
        return until(lambda: (state := self.api.run_state(dag_id, run_id)) in ("success", "failed") and state)

    def mails(self, run_id: str) -> list[EmailMessage]:
        """The mails about a run."""
        return [mail for mail in self.mailbox if run_id in mail["Subject"]]

    def labels(self, run_id: str) -> dict[str, tuple[str, int]]:
        """State and number of tries of the mapped instances, by their labels."""
        return {
            instance["rendered_map_index"]: (instance["state"], instance["try_number"])
            for instance in self.api.task_instances(DAG_ID, run_id)
            if instance["task_id"] == "compress_image" and instance["map_index"] >= 0
        }

    def page(self, run_id: str, more: str = "", dag_id: str = DAG_ID) -> httpx.Response:
        return self.client.get(f"/image-compression/runs/{dag_id}/{quote(run_id, safe='')}{more}")


def until(condition: Callable[[], Any]) -> Any:
    """What the condition returns as soon as that is something."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.5)
    raise AssertionError("it did not come about")


@contextmanager
def running_airflow(folder: Path, **settings: str) -> Iterator[Airflow]:
    """Within the block, an Airflow whose state is in a folder, with settings of the deployment."""
    received: list[EmailMessage] = []

    class Keep:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            received.append(email.message_from_bytes(envelope.content, policy=email.policy.default))  # type: ignore
            return "250 OK"

    mail_port, port = free_port(), free_port()
    mail = Controller(Keep(), hostname="127.0.0.1", port=mail_port)
    mail.start()
    connection = {
        "conn_type": "smtp",
        "host": "127.0.0.1",
        "port": mail_port,
        "extra": {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.org"},
    }
    arguments = {
        "smtp_conn_id": "mail",
        "to": "team@example.org",
        "subject": "{{ failure.subject }}",
        "html_content": "<pre>{{ failure.message | e }}</pre>",
    }
    home = AirflowHome(folder / "home", jobs_at_once=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_MAIL", json.dumps(connection))
        patch.setenv("COMPRESSION_NOTIFIER", "airflow.providers.smtp.notifications.smtp.SmtpNotifier")
        patch.setenv("COMPRESSION_NOTIFIER_ARGUMENTS", json.dumps(arguments))
        patch.setenv("COMPRESSION_IMAGES", str(folder / "images of the form"))
        patch.setenv("COMPRESSION_OUTPUT", str(folder / "output of the form"))
        patch.setenv("COMPRESSION_SCHEDULE", "none")
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.delenv("PYTHONPATH", raising=False)
        environment = home.environment(port, schedule=True)
        with airflow_services(home, purpose="ui", port=port, schedule=True) as services:
            made = services.api.pool("spark")
            assert made is not None and made["slots"] == 1, "the plugin makes it"
            services.api.set_pool("spark", 2, "of the tests")
            client = httpx.Client(base_url=services.api.address, trust_env=False, timeout=120)
            login = {"username": "admin", "password": home.password()}
            token = client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            yield Airflow(home, port, services.api, client, received, environment)
    mail.stop()


def log_in(page: Page, airflow: Airflow) -> None:
    """Log a browser in."""
    page.goto(airflow.api.address)
    page.locator("input[name=username]").fill("admin")
    page.locator("input[type=password]").fill(airflow.home.password())
    page.locator("button[type=submit]").click()
    page.wait_for_url(lambda url: "login" not in url)
