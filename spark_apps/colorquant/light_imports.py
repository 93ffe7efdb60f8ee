"""Import less: what a short process pays for modules is much of its CPU time. Standard library only.

Call ``lighten`` before numba or pyspark are imported. Only a missing benefit follows where it does not apply.
"""

import importlib.util
import sys
from pathlib import Path


def lighten() -> None:
    """Keep this process from two imports that cost most and do nothing for it.

    spark-submit puts PySpark's sources on the path as an archive, before the installed package. They are the same
    files, but those of an archive are compiled anew by each process: half a second.

    numba imports SciPy's linear algebra where SciPy is installed, which none of our kernels uses: a quarter of a
    second.
    """
    given = list(sys.path)
    sys.path[:] = [entry for entry in given if not _is_pyspark_archive(entry)]
    installed = importlib.util.find_spec("pyspark")
    folders = [Path(folder).resolve() for folder in (installed and installed.submodule_search_locations) or []]
    removed = [Path(entry).resolve() for entry in given if _is_pyspark_archive(entry)]
    if not all(any(archive.is_relative_to(folder) for folder in folders) for archive in removed):
        # A Spark of its own, perhaps of another version.
        sys.path[:] = given
    if "scipy" not in sys.modules:
        sys.modules["scipy"] = None  # type: ignore[assignment]


def _is_pyspark_archive(entry: str) -> bool:
    name = Path(entry).name
    return name.endswith(".zip") and name.startswith(("pyspark", "py4j-"))
