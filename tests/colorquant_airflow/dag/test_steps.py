"""What the task that plans a run says of too many jobs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from colorquant_airflow.dag import steps
from colorquant_airflow.dag.params import library_params
from colorquant_airflow.dag.xcoms import PLANNED


def test_more_jobs_than_airflow_maps_are_refused_with_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "5")
    (images := tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        (images / name).write_bytes(b"")
    params = {name: param.value for name, param in library_params().items()}
    params |= {"images": str(images), "output": str(tmp_path / "out"), "ks": ["2", "4", "8"]}
    told: dict[str, Any] = {}
    context: Any = {"params": params, "run_id": "run", "ti": SimpleNamespace(xcom_push=told.__setitem__)}
    with pytest.raises(AirflowFailException) as caught:
        steps.plan_jobs(context)
    sentence = "6 jobs, and Airflow maps at most 5. Trigger the DAG kmeans_corpus_compression"
    assert sentence in str(caught.value) and "AIRFLOW__CORE__MAX_MAP_LENGTH=6 in the env" in str(caught.value)
    assert told == {PLANNED: {"refused": str(caught.value)}}
