"""Where files are: a local path, or an object store by its URI. Standard library only, until there is a URI.

``s3://`` is opened by universal_pathlib and s3fs, the libraries under Airflow's ObjectStoragePath. Its credentials and
its endpoint come from the environment: from what the AWS libraries read themselves (``AWS_ACCESS_KEY_ID``,
``AWS_ENDPOINT_URL``, profiles, roles), or from ``FSSPEC_S3``, a JSON object of s3fs's options. They are never part of a
URI, and so of no argument, log, plan, record or report.
"""

import json
import os
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

#: Environment variable with the options of s3fs.
OPTIONS = "FSSPEC_S3"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_VARIABLES = re.compile(r"AWS_\w+|FSSPEC_S3(_\w+)?")

_VERSION = "?versionId="

StrPath = str | os.PathLike[str]


class InvalidLocation(ValueError):
    """A URI that this project cannot open; the message says why and what to do, and holds no credentials."""


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
    return cast(bytes, _store(place).cat_file(_key(place))) if is_remote(place) else place.read_bytes()


def put(path: StrPath, content: bytes) -> None:
    """Write an object: it appears whole or not at all, as object stores have it. Raises OSError."""
    place = location(path)
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

    try:
        options = json.loads(os.environ.get(OPTIONS) or "{}")
    except ValueError:
        raise InvalidLocation(f"The environment variable {OPTIONS} is no JSON object of s3fs's options.") from None
    # What another process has written since must be seen.
    return cast(Path, UPath(uri, **{"use_listings_cache": False, **options}))


def _store(place: Path) -> Any:
    return cast(Any, place).fs


def _key(place: Path) -> str:
    return cast(Any, place).path
