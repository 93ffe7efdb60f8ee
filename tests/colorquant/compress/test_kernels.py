"""That the first image of a machine finds all its kernels compiled."""

import os
import subprocess
import sys
from pathlib import Path


def _run(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": "spark_apps", "NUMBA_CACHE_DIR": str(folder)}
    return subprocess.Popen([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL)


def test_an_image_compiles_nothing_that_is_not_compiled_ahead(tmp_path: Path, project: Path) -> None:
    cache = tmp_path / "cache"
    parts = [
        _run(cache, "-c", f"import colorquant.compress; colorquant.compress.{part}()")
        for part in ("compile_kernels", "compile_last_kernels")
    ]
    assert [part.wait(300) for part in parts] == [0, 0]

    def compiled() -> set[str]:
        return {file.name for file in cache.rglob("*.nbc")}

    ahead = compiled()
    assert len(ahead) > 40
    for name, k in ("coffee.png", "4"), ("hubble_deep_field.jpg", "256"), ("retina.jpg", "4"):
        image = str(project / "include" / "images" / name)
        output = str(tmp_path / f"{name}.{k}")
        job = _run(cache, "-m", "colorquant", image, "--k", k, "--output", output, "--keep-larger")
        assert job.wait(120) == 0
    assert compiled() == ahead
