"""The applications of an installed package, without this checkout."""

import json
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

from PIL import Image

from colorquant import quantize
from colorquant.encode import encode_indexed_png
from tests.conftest import photograph

PROJECT = Path(__file__).resolve().parents[3]


def test_the_image_application_of_an_installed_package_gives_the_bytes_of_the_checkout(
    tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    """Two partitions in an environment of its own; its workers find the package where it is installed."""
    venv.create(tmp_path / "environment", symlinks=True)
    python = tmp_path / "environment" / "bin" / "python"
    (site_packages,) = (tmp_path / "environment").glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    shutil.copytree(PROJECT / "spark_apps" / "colorquant", site_packages / "colorquant")  # And the compiled kernels.
    Image.fromarray(photograph(140, 70)).save(tmp_path / "a.png")

    found = "from colorquant.spark import IMAGE_APPLICATION, LOG4J2; print(IMAGE_APPLICATION, LOG4J2.exists(), sep='|')"
    shown = subprocess.run([python, "-c", found], env=bare_environment, cwd=tmp_path, capture_output=True, text=True)
    application, has_log4j2 = shown.stdout.strip().split("|")
    assert (application.startswith(str(site_packages)), has_log4j2) == (True, "True"), shown.stderr
    conf = {"spark.ui.enabled": "false", "spark.pyspark.python": python, "spark.pyspark.driver.python": python}
    run = subprocess.run(
        ["spark-submit", "--master", "local[2]"]
        + [part for name, value in conf.items() for part in ("--conf", f"{name}={value}")]
        + [application, "--image=a.png", "--k=9", "--output=o.png", "--result=r.json", "--partitions=2"],
        env=bare_environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads((tmp_path / "r.json").read_text())["spark"]["partitions"] == 2
    quantized = quantize(photograph(140, 70), 9)
    assert (tmp_path / "o.png").read_bytes() == encode_indexed_png(quantized.palette, quantized.indexes)
