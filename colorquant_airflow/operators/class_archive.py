"""A class-data archive for Spark's JVM: loaded classes, which later JVMs map into memory instead of loading them.

The first job without an archive writes one when it ends: into the Python environment or, where that is read-only, into
the user's cache folder. Later jobs start with it. Its name contains a hash of Java, Spark and the JVM's options, so
that a change of any of them makes a new archive, and a checksum of its content, because a JVM that maps a damaged
archive crashes. Without an archive a job only takes longer.

Source of the method: JEP 350, Dynamic CDS Archives.
"""

import fcntl
import hashlib
import os
import shutil
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from colorquant_airflow.environment import spark_home

_QUIET = "-Xshare:auto -Xlog:disable -Xlog:all=error:stderr"


@contextmanager
def class_archive(java_options: str, environment: Mapping[str, str]) -> Iterator[str]:
    """JVM options that use the archive, or make one, for one application; empty where neither is possible.

    Of several jobs at a time only one makes the archive. It is kept only if the block ends without an exception.

    Parameters
    ----------
    java_options : str
        The other options of the JVM. Those that begin with ``-X`` are part of the archive's name.
    environment : mapping
        That of the JVM.
    """
    prefix = _prefix(java_options, environment)
    if prefix is None:
        yield ""
    elif archive := _whole_archive(prefix):
        yield f"{_QUIET} -XX:SharedArchiveFile={archive}"
    else:
        with _unfinished_archive(prefix) as unfinished:
            if unfinished is None:
                yield ""
                return
            yield f"{_QUIET} -XX:ArchiveClassesAtExit={unfinished}"
            if unfinished.exists():
                for outdated in prefix.parent.glob("spark-classes-*.jsa"):
                    outdated.unlink(missing_ok=True)
                unfinished.rename(_name(prefix, unfinished))


def _whole_archive(prefix: Path) -> Path | None:
    """The existing archive if its content has the checksum of its name; else None."""
    for archive in prefix.parent.glob(f"{prefix.name}-*.jsa"):
        try:
            if archive == _name(prefix, archive):
                return archive
        except OSError:  # Another job has just replaced it.
            continue
    return None


def _name(prefix: Path, archive: Path) -> Path:
    checksum = 0
    with open(archive, "rb") as content:
        while block := content.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return prefix.with_name(f"{prefix.name}-{checksum:08x}.jsa")


@contextmanager
def _unfinished_archive(prefix: Path) -> Iterator[Path | None]:
    """The path to write an archive to, locked; None where another process is writing or the folder is read-only."""
    try:
        prefix.parent.mkdir(parents=True, exist_ok=True)
        lock = open(prefix.with_name("spark-classes.lock"), "w")
    except OSError:
        yield None
        return
    unfinished = prefix.with_suffix(".unfinished")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        try:
            unfinished.unlink(missing_ok=True)
            yield unfinished
        finally:
            unfinished.unlink(missing_ok=True)


def _prefix(java_options: str, environment: Mapping[str, str]) -> Path | None:
    """The path of this environment's archive without checksum and suffix; None where there can be no archive.

    There is none where Java or Spark is not found, or Spark's class path has folders.
    """
    home = environment.get("JAVA_HOME")
    java = shutil.which(os.path.join(home, "bin", "java") if home else "java", path=environment.get("PATH"))
    folder = _folder()
    spark = spark_home()
    # A path with a space would become two options.
    if java is None or spark is None or " " in str(folder) or _has_class_path_folders(spark, environment):
        return None
    facts: list[object] = [option for option in java_options.split() if option.startswith("-X")]
    for path in [Path(java).resolve(), *sorted((spark / "jars").iterdir())]:
        status = path.stat()
        facts += [str(path), status.st_size, status.st_mtime_ns]
    return folder / f"spark-classes-{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"


def _has_class_path_folders(spark: Path, environment: Mapping[str, str]) -> bool:
    """Whether the class path has folders with files. A JVM that makes an archive would then end with an error."""
    if environment.get("SPARK_DIST_CLASSPATH"):
        return True
    named = [environment.get("SPARK_CONF_DIR") or spark / "conf"]
    named += [environment[name] for name in ("HADOOP_CONF_DIR", "YARN_CONF_DIR") if environment.get(name)]
    return any(any(folder.iterdir()) for folder in map(Path, named) if folder.is_dir())


def _folder() -> Path:
    environment = Path(sys.prefix).resolve()
    if os.access(environment, os.W_OK):
        return environment
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()).resolve()
