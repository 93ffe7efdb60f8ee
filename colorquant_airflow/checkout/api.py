"""A client of Airflow's REST API, with the calls that ``make run`` needs."""

import json
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

_PAGE = 100
# SQLite does not let a transaction write if it began before another writer ended; the API then answers 500.
_PAUSES = (0.5, 1.0, 2.0)
# What does no more when it is sent twice.
_REPEATABLE = ("GET", "PATCH")


class AirflowApi:
    """Airflow's public API (v2) on 127.0.0.1, as its user ``admin``.

    Every method raises httpx.HTTPError if Airflow does not answer, or refuses.

    Parameters
    ----------
    port : int
        Of the API server.
    password : str
        Of the user ``admin``.
    """

    def __init__(self, port: int, password: str) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._login = {"username": "admin", "password": password}
        # Without the proxy that the environment may name: it could not reach the loopback address of this machine.
        # On a busy machine an answer may take a minute, while Airflow's processes start.
        self._client = httpx.Client(base_url=self.address, timeout=120, trust_env=False)
        self._log_in()

    @staticmethod
    def is_healthy(port: int) -> bool:
        """Whether API server, metadata database, scheduler and DAG processor all report that they are healthy."""
        try:
            health = httpx.get(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=5, trust_env=False).json()
        except (httpx.HTTPError, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "dag_processor")
        return all(health.get(part, {}).get("status") == "healthy" for part in parts)

    def import_errors(self, since: datetime) -> list[str]:
        """Stack traces of the DAG files whose import has failed since a time."""
        errors = self._get("/importErrors")["import_errors"]
        return [error["stack_trace"] for error in errors if datetime.fromisoformat(error["timestamp"]) >= since]

    def is_parsed(self, dag_id: str, since: datetime) -> bool:
        """Whether the DAG's file was parsed since a time: the database may hold an older version of the DAG."""
        response = self._send("GET", f"/dags/{dag_id}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return False
        response.raise_for_status()
        parsed = response.json()["last_parsed_time"]
        return parsed is not None and datetime.fromisoformat(parsed) >= since

    def is_paused(self, dag_id: str) -> bool:
        """Whether the DAG is paused: its runs are not scheduled."""
        return bool(self._get(f"/dags/{dag_id}")["is_paused"])

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run the DAG."""
        self._send("PATCH", f"/dags/{dag_id}", json={"is_paused": False}).raise_for_status()

    def set_pool(self, name: str, slots: int, description: str) -> None:
        """Make the pool, or change its size."""
        pool = {"slots": slots, "description": description, "include_deferred": False}
        response = self._send("POST", "/pools", json={"name": name} | pool)
        if response.status_code == httpx.codes.CONFLICT:  # It exists. PATCH calls the name "pool".
            response = self._send("PATCH", f"/pools/{name}", json={"pool": name} | pool)
        response.raise_for_status()

    def pool(self, name: str) -> dict[str, Any] | None:
        """A pool, with its ``slots`` and ``open_slots``; None where there is none of that name."""
        response = self._send("GET", f"/pools/{name}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        response.raise_for_status()
        return response.json()

    def unfinished_runs(self, dag_id: str) -> list[str]:
        """Ids of the runs that are queued or running."""
        runs = self._get(f"/dags/{dag_id}/dagRuns", state=["queued", "running"], limit=_PAGE)["dag_runs"]
        return [run["dag_run_id"] for run in runs]

    def fail_run(self, dag_id: str, run_id: str) -> None:
        """Mark a run as failed at once, without a report, which Airflow would otherwise let the run write first."""
        summarize = f"{_run(dag_id, run_id)}/taskInstances/summarize"
        self._send("PATCH", summarize, json={"new_state": "failed"}).raise_for_status()
        self._send("PATCH", _run(dag_id, run_id), json={"state": "failed"}).raise_for_status()

    def trigger(self, dag_id: str, params: dict[str, Any]) -> str:
        """Start a run; return its id."""
        # The id is chosen here, in the form that Airflow gives it, so that a repeated request starts no second run.
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        run = {"dag_run_id": run_id, "logical_date": None, "conf": params}
        response = self._send("POST", f"/dags/{dag_id}/dagRuns", repeatable=True, json=run)
        # An answer of 500 may come from a request that did start it.
        if response.status_code != httpx.codes.CONFLICT:
            response.raise_for_status()
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """State of a run: queued, running, success or failed."""
        return self._get(_run(dag_id, run_id))["state"]

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """All task instances of a run, mapped ones included."""
        instances: list[dict[str, Any]] = []
        while True:
            page = self._get(f"{_run(dag_id, run_id)}/taskInstances", limit=_PAGE, offset=len(instances))
            instances += page["task_instances"]
            if not page["task_instances"] or len(instances) >= page["total_entries"]:
                return instances

    def told(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        """The value of a task's XCom; None if there is none."""
        response = self._send("GET", f"{_run(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{key}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        response.raise_for_status()
        value = response.json()["value"]
        return json.loads(value) if isinstance(value, str) else value

    def _get(self, path: str, **query: Any) -> Any:
        response = self._send("GET", path, params=query)
        response.raise_for_status()
        return response.json()

    def _send(self, method: str, path: str, repeatable: bool = False, **request: Any) -> httpx.Response:
        for pause in _PAUSES:
            response = self._client.request(method, f"/api/v2{path}", **request)
            if response.status_code == httpx.codes.UNAUTHORIZED:  # The token has expired.
                self._log_in()
            elif not response.is_server_error or not (repeatable or method in _REPEATABLE):
                return response
            else:
                time.sleep(pause)
        return self._client.request(method, f"/api/v2{path}", **request)

    def _log_in(self) -> None:
        response = self._client.post("/auth/token", json=self._login)
        response.raise_for_status()
        self._client.headers["Authorization"] = f"Bearer {response.json()['access_token']}"


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
