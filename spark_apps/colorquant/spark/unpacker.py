"""Takes the package's place in the archive of ``shipping``: unpacks the real package, once for each machine."""

import hashlib
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
import zipfile
from pathlib import Path

_NEEDED = ("numpy", "numba")


def _unpacked(archive: Path) -> Path:
    """The folder of the archive's package, which this process or an earlier one has unpacked."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()[:20]
    home = _cache_folder()
    folder = home / digest
    if not folder.is_dir():
        unfinished = tempfile.mkdtemp(prefix=".unpacking-", dir=home)
        with zipfile.ZipFile(archive) as content:
            content.extractall(unfinished, [name for name in content.namelist() if name.startswith("package/")])
        try:
            os.rename(unfinished, folder)
        except OSError:
            # Another process has unpacked it meanwhile.
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder / "package" / "colorquant"


def _cache_folder() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "colorquant"
    try:
        home.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()
    except OSError:
        # No writable cache folder: this process unpacks the package and compiles the kernels for itself alone.
        return Path(tempfile.mkdtemp(prefix="colorquant-"))
    return home


def _check_interpreter() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"The Python of Spark's executor on {socket.gethostname()}, {sys.executable}, "
            f"has no {' and no '.join(missing)}. Install the packages of this project's requirements.txt there, "
            "or set spark.pyspark.python to another interpreter."
        )


_check_interpreter()
_package = _unpacked(Path(__file__).parent.parent)
__path__ = [str(_package)]
__file__ = str(_package / "__init__.py")
exec(compile((_package / "__init__.py").read_bytes(), __file__, "exec"))
