"""Where files are: a local path, or an object store by its URI. Standard library only, until there is a URI.

``s3://`` is opened by universal_pathlib and s3fs, the libraries under Airflow's ObjectStoragePath. Its credentials and
its endpoint come from the environment: from what the AWS libraries read themselves (``AWS_ACCESS_KEY_ID``,
``AWS_ENDPOINT_URL``, profiles, roles), or from ``FSSPEC_S3``, a JSON object of s3fs's options. A process that serves
several users has them for each of its threads or tasks instead (``using``). They are never part of a URI, and so of no
argument, log, plan, record or report.
"""

import io
import json
import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from colorquant.errors import InvalidLocation, StoreUnavailable

#: Environment variable with the options of s3fs.
OPTIONS = "FSSPEC_S3"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_VARIABLES = re.compile(r"AWS_\w+|FSSPEC_S3(_\w+)?")

_VERSION = "?versionId="
# What an open object keeps in memory. One that is smaller is read by one request, however often it is gone through.
_BLOCK_BYTES = 2**23

StrPath = str | os.PathLike[str]
Options = Callable[[], Mapping[str, Any] | None]
# Of a context, not of the process: each request of a web server, and each thread, has its own.
_using: ContextVar[Options | None] = ContextVar("options of s3fs", default=None)


@contextmanager
def using(options: Options) -> Iterator[None]:
    """Get at object stores with these options of s3fs, in the current context only.

    Parameters
    ----------
    options : is called when an object store is first asked; where it returns None, the environment's are used.
    """
    token = _using.set(options)
    try:
        yield
    finally:
        _using.reset(token)


@contextmanager
def asking(place: StrPath) -> Iterator[None]:
    """Raise StoreUnavailable for what a store, or the library that asks it, raises; a missing object stays one."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        # The number tells who reads images whether another try may help.
        number = [error.errno] if isinstance(error, OSError) and error.errno else []
        raise StoreUnavailable(*number, f"{place}: {error}") from error


def location(path: StrPath) -> Path:
    """The path of a file or folder: absolute, or of an object in a bucket, which has the methods of a ``Path``.

    Raises
    ------
    InvalidLocation
        For a URI of another kind than ``s3://bucket/key`` and ``file:///path``, and for one with credentials in it.
    """
    if is_remote(path):
        return _in_bucket(str(path)) if isinstance(path, str) else cast(Path, path)
    text = os.fspath(path)
    if text.lower().startswith("file://"):
        return Path(unquote(urlsplit(text).path)).absolute()
    return Path(text).absolute()


def is_remote(path: StrPath) -> bool:
    """Whether a path is none of this machine's file system. Raises InvalidLocation as ``location`` does."""
    if not isinstance(path, str):
        return not isinstance(path, Path)
    scheme = _SCHEME.match(path)
    if scheme is None or scheme[1].lower() == "file":
        return False
    if scheme[1] != "s3":
        raise InvalidLocation(f"{scheme[1]}:// is no storage that this project knows: give a local path or s3://.")
    return True


def resolve(folder: StrPath, relative: str) -> Path:
    """What a relative path (with forward slashes, also ``..``) leads to from a folder."""
    if not is_remote(folder):
        return Path(folder) / relative
    scheme, _, rest = str(folder).partition("://")
    return location(f"{scheme}://{posixpath.normpath(posixpath.join(rest, relative))}")


def read(path: StrPath) -> bytes:
    """All bytes of a file; of an object by one request. Raises OSError."""
    place = location(path)
    if not is_remote(place):
        return place.read_bytes()
    with asking(place):
        return cast(bytes, _store(place).cat_file(_key(place)))


def open_stream(path: StrPath) -> io.BufferedIOBase:
    """A file opened for reading. Of an object, only some megabytes are held at a time.

    Raises OSError, also while it is read; then also where another object has taken the place of the one opened.
    """
    place = location(path)
    if not is_remote(place):
        return open(place, "rb")
    with asking(place):
        stream = _store(place).open(_key(place), "rb", block_size=_BLOCK_BYTES, cache_type="readahead")
        # The first block comes now: a store may tell of an object, and not hand it out.
        stream.read(1)
        stream.seek(0)
    return cast(io.BufferedIOBase, stream)


def is_file(path: StrPath) -> bool:
    """Whether a file is there. Raises StoreUnavailable where a store does not tell."""
    place = location(path)
    if not is_remote(place):
        return place.is_file()
    try:
        return _about(place)["type"] == "file"
    except FileNotFoundError:
        return False


def version_of(path: StrPath) -> str:
    """What tells a file from one that took its place, or that was written over it, without reading it.

    Raises OSError. What one machine says of a local file, another may say in another way.
    """
    place = location(path)
    if not is_remote(place):
        status = place.stat()
        return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"
    about = _about(place)
    return f"{about.get('ETag')} {about.get('LastModified')}"


def put(path: StrPath, content: bytes) -> None:
    """Write an object: it appears whole or not at all, as object stores have it. Raises OSError."""
    place = location(path)
    with asking(place):
        _store(place).pipe_file(_key(place), content)


def remove(path: StrPath) -> None:
    """Remove a file if it is there."""
    location(path).unlink(missing_ok=True)


def sizes_below(folder: StrPath) -> dict[str, int]:
    """Names, relative to the folder, and sizes of all objects below it."""
    place = location(folder)
    root = _key(place).rstrip("/") + "/"
    found = _store(place).find(root, detail=True)
    return {key.removeprefix(root): int(about["size"]) for key, about in found.items() if key != root}


def is_nameable(name: str) -> bool:
    """Whether a relative path can be part of a URI: no part of it is empty, and none looks like an object's version."""
    return all(name.split("/")) and _VERSION not in name


def access() -> dict[str, str]:
    """The environment variables by which this process gets at object stores; for ``adopt`` in another process."""
    return {name: value for name, value in os.environ.items() if _VARIABLES.fullmatch(name)}


def adopt(variables: Mapping[str, str]) -> None:
    """Get at object stores as the process of ``access`` did."""
    os.environ.update(variables)


def _in_bucket(uri: str) -> Path:
    authority = uri.partition("://")[2].partition("/")[0]
    if "@" in authority or ":" in authority:
        # Not shown: what stands there may be a password.
        raise InvalidLocation(
            "An s3:// URI is s3://bucket/key, without user, password and port: these belong to an Airflow connection "
            "or to the environment (docs/scaling.md)."
        )
    if not authority:
        raise InvalidLocation(f"{uri!r} names no bucket: give s3://bucket/folder.")
    if _VERSION in uri:
        raise InvalidLocation(f"{uri!r} names a version of an object: s3fs cannot tell it from a name; rename it.")
    from upath import UPath

    # What another process has written since must be seen.
    return cast(Path, UPath(uri, **{"use_listings_cache": False, **_options()}))


def _options() -> Mapping[str, Any]:
    using = _using.get()
    options = using() if using else None
    if options is not None:
        return options
    try:
        return cast(Mapping[str, Any], json.loads(os.environ.get(OPTIONS) or "{}"))
    except ValueError:
        raise InvalidLocation(f"The environment variable {OPTIONS} is no JSON object of s3fs's options.") from None


def _about(place: Path) -> dict[str, Any]:
    with asking(place):
        return cast(dict[str, Any], _store(place).info(_key(place)))


def _store(place: Path) -> Any:
    return cast(Any, place).fs


def _key(place: Path) -> str:
    return cast(Any, place).path


def is_refusal(error: Exception) -> bool:
    """Whether a disk or an object store said no, and would say it again."""
    # botocore, whose error that is, is only there where there are URIs.
    return isinstance(error, PermissionError) or type(error).__name__ == "NoCredentialsError"
