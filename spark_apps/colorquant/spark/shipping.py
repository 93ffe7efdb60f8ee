"""The package as an archive that Spark ships to executors, where this project need not be installed.

Python can import from an archive, but numba would then compile the kernels again for each application, since its cache
depends on the path. So the archive's ``colorquant`` unpacks the real package into the user's cache folder, under the
archive's hash, and takes its place.
"""

import io
import zipfile
from pathlib import Path

_UNPACKER = Path(__file__).with_name("unpacker.py")
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)


def package_archive(folder: Path) -> Path:
    """Write ``colorquant.zip`` into a folder and return its path, for ``SparkContext.addPyFile``.

    Equal sources give equal bytes.
    """
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
    archive.writestr(zipfile.ZipInfo(name, _FIXED_DATE), source.read_bytes(), zipfile.ZIP_DEFLATED)
