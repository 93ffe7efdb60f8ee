"""The package as a file that Spark ships to executors, so that nothing of this project is installed there.

Python could import from the archive itself, but the compiled kernels would be compiled anew for each application:
their cache goes by the path. So the archive's ``colorquant`` unpacks the real one into the user's cache folder, below
a name that is the archive's hash, and stands in for it.
"""

import io
import zipfile
from pathlib import Path

_UNPACKER = Path(__file__).with_name("unpacker.py")
_UNCHANGING_DATE = (1980, 1, 1, 0, 0, 0)


def package_archive(folder: Path) -> Path:
    """Write ``colorquant.zip`` into a folder, for ``SparkContext.addPyFile``; equal sources give equal bytes."""
    package = Path(__file__).resolve().parent.parent
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "colorquant/__init__.py", _UNPACKER)
        for path in sorted(package.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                _add(archive, f"package/colorquant/{path.relative_to(package).as_posix()}", path)
    target = folder / "colorquant.zip"
    target.write_bytes(content.getvalue())
    return target


def _add(archive: zipfile.ZipFile, name: str, source: Path) -> None:
    archive.writestr(zipfile.ZipInfo(name, _UNCHANGING_DATE), source.read_bytes(), zipfile.ZIP_DEFLATED)
