"""The kernels of the jobs, compiled while Airflow starts: the first jobs would each compile all of them."""

import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import colorquant
from colorquant_airflow.checkout.home import AirflowHome
from colorquant_airflow.environment import airflow_environment

_PARTS = ("compile_kernels", "compile_last_kernels")


@contextmanager
def compiled_kernels(home: AirflowHome) -> Iterator[Callable[[], None]]:
    """Within the block, kernels are compiled in two processes, unless these sources were before.

    Yields a function that waits until they are. Where they could not be, jobs compile them.
    """
    package = Path(colorquant.__file__).parent
    done, version = home.folder / "kernels.version", _version(package)
    if _text(done) == version:
        yield lambda: None
        return
    environment = airflow_environment() | {"PYTHONPATH": str(package.parent)}
    compilers = [
        subprocess.Popen(
            [sys.executable, "-c", f"import colorquant.compress; colorquant.compress.{part}()"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C then reaches only this process, which ends them.
        )
        for part in _PARTS
    ]

    def wait() -> None:
        if not any([compiler.wait() for compiler in compilers]):
            done.write_text(version)

    try:
        yield wait
    finally:
        for compiler in compilers:
            compiler.terminate()
            compiler.wait()


def _text(file: Path) -> str:
    """What a file says; nothing where it cannot be read: Airflow's start will say so of a home that cannot be used."""
    try:
        return file.read_text()
    except OSError:
        return ""


def _version(package: Path) -> str:
    """What decides whether numba compiles again: the sources, itself, and this Python."""
    newest = max(source.stat().st_mtime_ns for source in package.rglob("*.py"))
    return f"{package} {newest} numba {metadata.version('numba')} Python {platform.python_version()}"
