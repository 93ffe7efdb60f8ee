"""Spark settings of one deployment, by environment variable."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]


def _conf(bare_environment: dict[str, str], text: str) -> subprocess.CompletedProcess[str]:
    code = "import json; from colorquant_airflow.operators import SPARK_CONF; print(json.dumps(SPARK_CONF))"
    environment = bare_environment | {"COMPRESSION_SPARK_CONF": text}
    return subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True, text=True)


def test_a_deployment_changes_and_adds_settings_and_keeps_the_others(bare_environment: dict[str, str]) -> None:
    plain = json.loads(_conf(bare_environment, "").stdout)
    changed = json.loads(_conf(bare_environment, '{"spark.cores.max": 7, "spark.executor.memory": "3g"}').stdout)
    assert plain["spark.cores.max"] == "2"
    assert changed == plain | {"spark.cores.max": "7", "spark.executor.memory": "3g"}


@pytest.mark.parametrize(
    "text",
    ["spark.cores.max=7", "[]", "7", '{"cores.max": 7}', '{"spark": {"cores.max": 7}}', '{"spark.cores.max": null}'],
)
def test_anything_but_an_object_is_refused_and_the_variable_named(bare_environment: dict[str, str], text: str) -> None:
    refused = _conf(bare_environment, text)
    assert refused.returncode != 0
    assert f"COMPRESSION_SPARK_CONF={text!r} is not a JSON object" in refused.stderr


@pytest.mark.parametrize(("path", "is_right"), [("spark.properties", False), ("/nowhere/spark.properties", True)])
def test_a_relative_path_of_properties_is_refused_where_dags_are_parsed(
    path: str, is_right: bool, bare_environment: dict[str, str]
) -> None:
    """Whether the file can be read is only looked at where jobs run: it may have secrets."""
    environment = bare_environment | {"COMPRESSION_SPARK_PROPERTIES": path}
    code = "from colorquant_airflow.operators import PROPERTIES_FILE"
    run = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert (run.returncode == 0) == is_right
    assert is_right or "COMPRESSION_SPARK_PROPERTIES='spark.properties' is not an absolute path" in run.stderr
