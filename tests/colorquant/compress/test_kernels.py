"""That the first image of a machine, without Spark, finds all its kernels compiled."""

import os
import subprocess
import sys
from pathlib import Path


def _run(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": "spark_apps", "NUMBA_CACHE_DIR": str(folder)}
    return subprocess.Popen([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL)


def test_an_image_compiles_nothing_that_is_not_compiled_ahead(tmp_path: Path, project: Path) -> None:
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    wanted = (shared, "compile_kernels"), (shared, "compile_encoding_kernels"), (alone, "compile_kernels")
    parts = [_run(cache, "-c", f"import colorquant.compress as c; c.{part}()") for cache, part in wanted]
    assert [part.wait(600) for part in parts] == [0, 0, 0]

    def compiled(cache: Path) -> set[str]:
        return {file.name for file in cache.rglob("*.nbc")}

    ahead = compiled(shared)
    again = [{name for name in names if not name.endswith(".1.nbc")} for names in (ahead, compiled(alone))]
    assert again[0] == again[1], "the second process compiles for the same types"
    for name, k in ("coffee.png", "4"), ("hubble_deep_field.jpg", "256"), ("retina.jpg", "4"):
        image = str(project / "include" / "images" / name)
        output = str(tmp_path / f"{name}.{k}")
        job = _run(shared, "-m", "colorquant", image, "--k", k, "--output", output, "--keep-larger")
        assert job.wait(300) == 0
    assert compiled(shared) == ahead
