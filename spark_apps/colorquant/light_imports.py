"""Import less: what a short process pays for modules is much of its CPU time. Standard library only.

Call ``lighten`` before numba or pyspark are imported. Only a missing benefit follows where it does not apply.
"""

import gc
import importlib.util
import sys
from pathlib import Path

# What numba imports where it is installed.
_UNUSED = ("scipy", "cffi")


def lighten() -> None:
    """Keep this process from what costs most and does nothing for it.

    spark-submit puts PySpark's sources on the path as an archive, before the installed package. They are the same
    files, but those of an archive are compiled anew by each process: half a second.

    numba imports SciPy's linear algebra where SciPy is installed, and cffi with a parser of C, which none of our
    kernels uses: a quarter of a second, and 20 ms.

    The garbage collector looks for cycles in modules that have none: 50 ms while they are imported.
    """
    gc.set_threshold(100_000)
    given = list(sys.path)
    sys.path[:] = [entry for entry in given if not _is_pyspark_archive(entry)]
    installed = importlib.util.find_spec("pyspark")
    folders = [Path(folder).resolve() for folder in (installed and installed.submodule_search_locations) or []]
    removed = [Path(entry).resolve() for entry in given if _is_pyspark_archive(entry)]
    if not all(any(archive.is_relative_to(folder) for folder in folders) for archive in removed):
        # A Spark of its own, perhaps of another version.
        sys.path[:] = given
    for unused in _UNUSED:
        if unused not in sys.modules:
            sys.modules[unused] = None  # type: ignore[assignment]


def _is_pyspark_archive(entry: str) -> bool:
    name = Path(entry).name
    return name.endswith(".zip") and name.startswith(("pyspark", "py4j-"))
