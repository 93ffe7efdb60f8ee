"""What the client of Airflow's API makes of answers that are none."""

import json

import httpx
import pytest

from colorquant_airflow.checkout import api
from colorquant_airflow.checkout.api import AirflowApi

_CLIENT = httpx.Client


class _Airflow:
    """Answers with the given status codes, one after the other, then with 200; notes what it was asked."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.asked: list[str] = []
        self.bodies: list[bytes] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(200, json={"access_token": "token"})
        self.asked.append(request.method)
        self.bodies.append(request.content)
        code = self.codes.pop(0) if self.codes else 200
        return httpx.Response(code, json={"is_paused": True, "dag_run_id": "new", "state": "running"})


def _client(airflow: _Airflow, monkeypatch: pytest.MonkeyPatch) -> AirflowApi:
    monkeypatch.setattr(
        httpx, "Client", lambda **given: _CLIENT(**given, transport=httpx.MockTransport(airflow.answer))
    )
    monkeypatch.setattr(api, "_PAUSES", (0.0, 0.0))
    return AirflowApi(1, "password")


def test_what_can_be_asked_twice_is_asked_again_where_the_database_was_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow = _Airflow(500, 503)
    client = _client(airflow, monkeypatch)
    assert client.is_paused("dag")
    client.unpause("dag")
    assert airflow.asked == ["GET", "GET", "GET", "PATCH"]


def test_an_error_that_stays_is_raised_and_a_refusal_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = _Airflow(500, 500, 500, 500)
    with pytest.raises(httpx.HTTPStatusError):
        _client(broken, monkeypatch).unpause("dag")
    assert len(broken.asked) == 3
    refusing = _Airflow(403)
    with pytest.raises(httpx.HTTPStatusError):
        _client(refusing, monkeypatch).unpause("dag")
    assert refusing.asked == ["PATCH"]


def test_a_run_is_triggered_again_where_the_database_was_busy_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By one id: Airflow answers 409 if the request that failed did start the run."""
    for codes in [(500,), (500, 409)]:
        airflow = _Airflow(*codes)
        run_id = _client(airflow, monkeypatch).trigger("dag", {"ks": ["4"]})
        first, second = (json.loads(body) for body in airflow.bodies)
        assert first == second == {"dag_run_id": run_id, "logical_date": None, "conf": {"ks": ["4"]}}


def test_nothing_else_that_starts_something_is_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow = _Airflow(500)
    with pytest.raises(httpx.HTTPStatusError):
        _client(airflow, monkeypatch).set_pool("spark", 2, "")
    assert airflow.asked == ["POST"]


def test_a_run_that_is_failed_writes_no_report_first(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow = _Airflow()
    _client(airflow, monkeypatch).fail_run("dag", "run")
    assert [json.loads(body) for body in airflow.bodies] == [{"new_state": "failed"}, {"state": "failed"}]


def test_an_expired_token_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow = _Airflow(401)
    assert _client(airflow, monkeypatch).run_state("dag", "run") == "running"
    assert airflow.asked == ["GET", "GET"]


def test_a_pool_that_does_not_exist_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _client(_Airflow(404), monkeypatch).pool("spark") is None
    assert _client(_Airflow(), monkeypatch).pool("spark") is not None
