"""Connections of Airflow that no job can be submitted to are found before any job, with what to do."""

import json
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowFailException

from colorquant_airflow import spark_master
from colorquant_airflow.dag.params import library_params
from colorquant_airflow.dag.planning import write_plan
from colorquant_airflow.spark_master import UnusableSpark, is_local, master_of, require_spark
from colorquant_airflow.xcoms import PLANNED
from tests.test_compress_image import compress_in_process


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HADOOP_CONF_DIR", "YARN_CONF_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("connection", "sentence"),
    [
        (None, "There is no Airflow connection 'spark_default'"),
        ({"conn_type": "spark", "host": "yarn"}, "names the master yarn, .* HADOOP_CONF_DIR"),
        ({"conn_type": "spark", "host": "mesos://host:5050"}, "'mesos://host:5050', which is not a Spark master"),
        ({"conn_type": "spark", "host": "master"}, "'master', which is not a Spark master"),
        ({"conn_type": "spark", "host": "local[a"}, "which is not a Spark master"),
        ({"conn_type": "spark"}, "'spark://', which is not a Spark master"),
        ({"conn_type": "http", "host": "host", "port": 80}, "'http://host:80', which is not a Spark master"),
        ({"conn_type": "spark", "host": "127.0.0.1", "port": 9}, "spark://127.0.0.1:9 .* does not answer"),
        ({"conn_type": "spark", "host": "spark://127.0.0.1:9,[::1]:9"}, "spark://127.0.0.1:9,.* does not answer"),
        ({"conn_type": "spark", "host": "spark://127.0.0.1:port"}, "does not answer .*port"),
        ({"conn_type": "spark", "host": "spark://no-such-host.invalid:7077"}, "does not answer"),
    ],
)
def test_a_plan_with_jobs_is_refused(
    connection: dict[str, Any] | None, sentence: str, photographs: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection is None:
        monkeypatch.delenv("AIRFLOW_CONN_SPARK_DEFAULT")
    else:
        monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps(connection))
    told: dict[str, Any] = {}
    given = {"images": str(photographs), "output": str(tmp_path / "out"), "ks": [4]}
    context: Any = {
        "params": {name: param.value for name, param in library_params().items()} | given,
        "run_id": "run",
        "ti": SimpleNamespace(xcom_push=told.__setitem__),
    }
    with pytest.raises(AirflowFailException, match=sentence) as caught:
        write_plan(context)
    assert told == {PLANNED: {"refused": str(caught.value)}}
    assert not (tmp_path / "out").exists()


def test_a_master_that_accepts_connections_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", f"spark://127.0.0.1:{port}")
        require_spark()
        # Of several masters one is enough: the others stand by.
        host = f"spark://127.0.0.1:9,127.0.0.1:{port}"
        monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps({"conn_type": "spark", "host": host}))
        require_spark()


@pytest.mark.parametrize("master", ["local", "local[2]", "local[*]", "local[4, 8]", "k8s://https://host:443"])
def test_what_is_on_this_machine_or_has_its_own_way_in_is_not_asked(
    master: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(spark_master.socket, "create_connection", ask)
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps({"conn_type": "spark", "host": master}))
    require_spark()


def test_yarn_with_its_settings_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps({"conn_type": "spark", "host": "yarn"}))
    with pytest.raises(UnusableSpark):
        require_spark()
    monkeypatch.setenv("HADOOP_CONF_DIR", "/etc/hadoop")
    require_spark()


@pytest.mark.parametrize(
    "fields",
    [
        {"conn_type": "spark", "host": "local[2]"},
        {"conn_type": "spark", "host": "127.0.0.1", "port": 9},
        {"conn_type": "spark", "host": "spark://127.0.0.1:9"},
        {"conn_type": "spark", "host": "spark://127.0.0.1", "port": 9},
    ],
)
def test_the_master_is_read_as_the_provider_does(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook

    monkeypatch.setenv("AIRFLOW_CONN_OURS", json.dumps(fields))
    command = SparkSubmitHook(conn_id="ours")._build_spark_submit_command("a.py")
    connection = Connection(conn_id="ours", **fields)
    assert command[command.index("--master") + 1] == master_of(connection)
    assert is_local(connection) == fields["host"].startswith("local")


def test_a_run_that_has_nothing_to_compute_needs_no_spark(
    photographs: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from colorquant.jobs import Plan, run_folder

    given = {"images": str(photographs), "output": str(tmp_path / "out"), "ks": [4]}
    context: Any = {
        "params": {name: param.value for name, param in library_params().items()} | given,
        "run_id": "run",
        "ti": SimpleNamespace(xcom_push=dict().__setitem__),
    }
    write_plan(context)
    for job in Plan.read(run_folder(tmp_path / "out", "run") / "plan.json").jobs:
        compress_in_process(job.arguments())
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", "spark://127.0.0.1:9")
    assert write_plan(context | {"run_id": "later"}) == []
    # The same run, cleared: the links of its two task instances still lead to their jobs.
    assert write_plan(context) == []
    plan = Plan.read(run_folder(tmp_path / "out", "run") / "plan.json")
    assert plan.pending() == [] and plan.pending_before == tuple(job.label for job in plan.jobs)
    assert write_plan(context) == []
    again = Plan.read(run_folder(tmp_path / "out", "run") / "plan.json")
    assert again.pending_before == plan.pending_before


@pytest.mark.parametrize("path", ["{folder}/gone", "{folder}", "{folder}/" + "n" * 256])
def test_a_file_of_properties_that_cannot_be_read_is_named(
    path: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPRESSION_SPARK_PROPERTIES", path.format(folder=tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", "spark://local")
    with pytest.raises(UnusableSpark, match=r"The file of Spark properties cannot be read: COMPRESSION_SPARK_PROPER"):
        require_spark()


def test_a_machine_without_spark_submit_or_java_is_named(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[1]"}')
    monkeypatch.setenv("JAVA_HOME", "/opt/gone")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnusableSpark, match="spark-submit is not on the PATH of Airflow's workers"):
        require_spark()
    (tmp_path / "spark-submit").touch(mode=0o755)
    with pytest.raises(UnusableSpark, match="Spark needs Java 17 or newer: install it"):
        require_spark()
