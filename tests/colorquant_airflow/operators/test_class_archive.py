"""The class-data archive through real JVMs: a missing, outdated or damaged one costs time, and nothing else."""

import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from colorquant_airflow.operators import SPARK_CONF, CompressImageOperator
from colorquant_airflow.operators.class_archive import class_archive
from tests.conftest import photograph

pytestmark = pytest.mark.e2e


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the virtual environment, where the archive is kept."""
    folder = tmp_path / "environment"
    folder.mkdir()
    monkeypatch.setattr(sys, "prefix", str(folder))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[1]"}')
    return folder


def _compress(image: Path, name: str) -> bytes:
    output = image.with_name(f"{name}.png")
    CompressImageOperator(
        task_id="t",
        name=name,
        conf=SPARK_CONF,
        failure=str(image.with_name(f"{name}.failure")),
        application_args=[f"--image={image}", "--k=4", f"--output={output}", f"--result={output}.json"],
    ).execute({})
    return output.read_bytes()


@pytest.mark.faults
def test_jobs_succeed_whatever_became_of_the_archive(environment: Path, tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    Image.fromarray(photograph()).save(image)
    expected = _compress(image, "without")
    (archive,) = environment.glob("*.jsa")
    content = archive.read_bytes()
    assert len(content) > 10_000_000
    archive.chmod(0o644)
    archive.write_bytes(content[:9_000_000] + bytes(9_000_000) + content[18_000_000:])
    assert _compress(image, "with a damaged one") == expected
    (remade,) = environment.glob("*.jsa")
    assert remade.stat().st_size > 10_000_000
    before = remade.stat().st_mtime_ns
    assert _compress(image, "with a whole one") == expected
    assert remade.stat().st_mtime_ns == before


def test_a_job_with_spark_settings_in_a_folder_succeeds_without_an_archive(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Java archives no class where a folder with files is on the class path, and ends with an error if told to."""
    image = tmp_path / "image.png"
    Image.fromarray(photograph()).save(image)
    settings = tmp_path / "conf"
    settings.mkdir()
    (settings / "spark-defaults.conf").write_text("spark.ui.enabled false\n")
    monkeypatch.setenv("SPARK_CONF_DIR", str(settings))
    monkeypatch.setenv("COMPRESSION_JOB_ENVIRONMENT", "SPARK_CONF_DIR")
    assert _compress(image, "with settings")
    assert list(environment.glob("*.jsa")) == []


def test_another_spark_or_java_has_an_archive_of_its_own(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made() -> set[str]:
        """Have one made, as far as this can be seen from outside, and return the names of all."""
        with class_archive("-XX:+UseSerialGC", os.environ) as options:
            for option in options.split():
                if option.startswith("-XX:ArchiveClassesAtExit="):
                    Path(option.partition("=")[2]).write_text("classes")
        return {path.name for path in environment.glob("*.jsa")}

    for name in ("spark", "java"):
        (tmp_path / name / ("jars" if name == "spark" else "bin")).mkdir(parents=True)
    (tmp_path / "java" / "bin" / "java").touch(mode=0o755)
    (tmp_path / "spark" / "bin").mkdir()
    (tmp_path / "spark" / "bin" / "spark-submit").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "spark" / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    first = made()
    assert len(first) == 1
    assert made() == first
    (tmp_path / "spark" / "jars" / "spark-core.jar").write_text("another version")
    second = made()
    (tmp_path / "java" / "bin" / "java").write_text("another version")
    third = made()
    assert len(second) == len(third) == 1
    assert len(first | second | third) == 3
