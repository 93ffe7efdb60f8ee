"""A folder for numba's compiled kernels, where it can write to none of its own. Standard library only.

numba looks next to the modules and in the home, and refuses to import them where it can write to neither. So it is with
services, containers and users without a home.
"""

import os
import stat
import tempfile
from pathlib import Path

_VARIABLE = "NUMBA_CACHE_DIR"


def ensure_kernel_cache() -> None:
    """Set ``NUMBA_CACHE_DIR``, where numba would find no folder of its own. Call this before numba is imported."""
    if os.environ.get(_VARIABLE):
        return
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if _is_writable(Path(__file__).parent / "__pycache__") or _is_writable(home / "numba"):
        return
    try:
        os.environ[_VARIABLE] = str(_private_folder())
    except OSError:
        return  # Nowhere to write: numba will say so.


def _is_writable(folder: Path) -> bool:
    """Whether a folder can be written to, or made."""
    existing = next((each for each in (folder, *folder.parents) if os.path.exists(each)), folder)
    return os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK)


def _private_folder() -> Path:
    """A folder for temporary files that belongs to this user alone: whoever writes there runs code as this user."""
    folder = Path(tempfile.gettempdir(), f"colorquant-kernels-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            return Path(tempfile.mkdtemp(prefix="colorquant-kernels-"))
    return folder
