"""The plugin is registered once, whether the package is installed, in a checkout, or both."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
_LOAD = """
import json
from airflow import plugins_manager
plugins, errors = plugins_manager._get_plugins()
print(json.dumps([[plugin.name for plugin in plugins if plugin.name == "image_compression"], errors]))
"""


@pytest.mark.parametrize("is_installed", [False, True])
def test_airflow_loads_the_plugin_once_and_without_an_error(
    is_installed: bool, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    environment = bare_environment | {
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    if is_installed:
        metadata = tmp_path / "site" / "installed-1.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(
            "[airflow.plugins]\nimage_compression = colorquant_airflow.pages:ImageCompressionPlugin\n"
        )
        environment["PYTHONPATH"] = str(tmp_path / "site")
    run = subprocess.run(
        [sys.executable, "-c", _LOAD], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert run.stdout, run.stderr
    names, errors = json.loads(run.stdout.splitlines()[-1])
    assert (names, errors) == (["image_compression"], {})
