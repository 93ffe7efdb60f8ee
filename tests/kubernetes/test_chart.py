"""The Helm values against the schema of Airflow's official chart, and rendered, where AIRFLOW_CHART names its folder.

The chart is not part of this project: ``helm pull apache-airflow/airflow --untar``.
"""

import copy
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.kubernetes.deployment import EXECUTORS, FOLDER, VERSIONS, Object, values

CHART = Path(os.environ.get("AIRFLOW_CHART") or "/nonexistent")
pytestmark = [
    pytest.mark.kubernetes,
    pytest.mark.skipif(not (CHART / "values.schema.json").exists(), reason="AIRFLOW_CHART names no unpacked chart"),
]


def _strict(schema: Any) -> Any:
    """The schema, which refuses names that it does not list: Helm itself ignores most of them."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: one if name in ("default", "examples") else _strict(one) for name, one in schema.items()}
    if isinstance(schema.get("properties"), dict):
        strict.setdefault("additionalProperties", False)
    return strict


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(_strict(json.loads((CHART / "values.schema.json").read_text())))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_values_are_those_of_the_chart(executor: str, validator: jsonschema.Draft7Validator) -> None:
    validator.validate(values(executor))
    for path in (("workers",), ("workers", executor), ("securityContexts",), ("migrateDatabaseJob",), ()):
        mistyped = copy.deepcopy(values(executor))
        place: Object = mistyped
        for name in path:
            place = place[name]
        place["mistyped"] = {}
        assert not validator.is_valid(mistyped), path


@pytest.mark.skipif(not shutil.which("helm"), reason="helm is not installed")
@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_the_chart_renders_is_of_these_versions_of_kubernetes(executor: str) -> None:
    files = [f"--values={FOLDER / name}.yaml" for name in ("values", f"values-{executor}")]
    command = ["helm", "template", "airflow", str(CHART), "--namespace=images", *files]
    rendered = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    objects = [one for one in yaml.safe_load_all(rendered) if one]
    # The script is not in the image.
    assert len(objects) > 20 and "/clean-logs" not in rendered
    for one in objects:
        for version in VERSIONS:
            kubernetes_validate.validate(one, version, strict=True)
