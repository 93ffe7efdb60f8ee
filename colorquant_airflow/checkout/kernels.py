"""The kernels of the jobs, compiled while Airflow starts: the first jobs would each compile all of them."""

import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

import colorquant
from colorquant.storage import ALLOWED_ROOTS
from colorquant_airflow.checkout.home import AirflowHome
from colorquant_airflow.environment import airflow_environment

_PARTS = ("compile_kernels", "compile_encoding_kernels")


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
    compilers: list[subprocess.Popen[bytes]] = []

    def wait() -> None:
        if not any([compiler.wait() for compiler in compilers]):
            with suppress(OSError):  # Without the note the next run looks again.
                done.write_text(version)

    with tempfile.TemporaryDirectory() as folder:
        # What is allowed to a run does not count for these two, which write there alone.
        ours = {"PYTHONPATH": str(package.parent), "TMPDIR": folder, ALLOWED_ROOTS: ""}
        try:
            for part in _PARTS:
                compilers.append(
                    subprocess.Popen(
                        [sys.executable, "-c", f"import colorquant.compress; colorquant.compress.{part}()"],
                        env=airflow_environment() | ours,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        start_new_session=True,  # Ctrl-C then reaches only this process, which ends them.
                    )
                )
            yield wait
        finally:
            for compiler in compilers:
                compiler.terminate()
            for compiler in compilers:
                compiler.wait()


def _text(file: Path) -> str:
    """What a file says; nothing where it cannot be read: Airflow's start will say so of a home that cannot be used."""
    try:
        return file.read_text()
    except OSError:
        return ""


def _version(package: Path) -> str:
    """Sources, numba and Python: where they change, numba compiles again."""
    newest = max(source.stat().st_mtime_ns for source in package.rglob("*.py"))
    return f"{package} {newest} numba {metadata.version('numba')} Python {platform.python_version()}"
