"""Files by their path or by the URI of an object in a bucket. Only URIs need more than the standard library.

``s3://`` is opened with universal_pathlib and s3fs. Credentials and endpoint come from the environment: from what the
AWS libraries read (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, profiles, roles), or from ``FSSPEC_S3``, a JSON object
with options of s3fs. A process that serves several users sets them for each thread or task (``using``). They are never
part of a URI, so no argument, log, plan, record or report contains them.
"""

import errno
import io
import json
import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import unquote, urlsplit

from colorquant.errors import InvalidLocation, StoreUnavailable
from colorquant.storage.roots import ALLOWED_ROOTS, open_below, require_allowed, root_of

#: The environment variable with the options of s3fs, a JSON object.
OPTIONS = "FSSPEC_S3"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_VARIABLES = re.compile(rf"AWS_\w+|FSSPEC_S3(_\w+)?|{ALLOWED_ROOTS}")

#: The name of the object that ``probe`` writes.
PROBE = ".tmp-probe"
_VERSION = "?versionId="
# Size of the block that an open object keeps in memory. A smaller object is read by a single request.
_BLOCK_BYTES = 2**23

# What a disk, and a store by s3fs, says again at each try: no right, no such place, a request that it cannot grant.
_REFUSALS = frozenset(
    {errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EROFS}
)
_REFUSALS_OF_STORES = frozenset({errno.EINVAL, errno.ENOSYS, getattr(errno, "EREMCHG", errno.EINVAL)})
# Errors of botocore, which is installed and imported only where URIs are used: what a deployment must correct first.
_REFUSALS_OF_BOTOCORE = frozenset(
    "ConfigParseError InvalidConfigError InvalidRegionError NoCredentialsError NoRegionError ParamValidationError "
    "PartialCredentialsError ProfileNotFound SSOTokenLoadError TokenRetrievalError UnauthorizedSSOTokenError".split()
)

StrPath = str | os.PathLike[str]


class _Paths:
    """The texts that can be paths. An annotation that the reader of JSON files checks."""

    def __contains__(self, text: str) -> bool:
        try:
            # Names that are not UTF-8 have their bytes as lone surrogates.
            return "\0" not in text and bool(text.isascii() or text.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError:
            return False

    def __str__(self) -> str:
        return "a path"


#: A path or URI in a JSON file.
PathText = Annotated[str, _Paths()]
Options = Callable[[], Mapping[str, Any] | None]
# A variable of the context: each request of a web server, and each thread, has its own value.
_using: ContextVar[Options | None] = ContextVar("options of s3fs", default=None)


@contextmanager
def using(options: Options) -> Iterator[None]:
    """Open object stores with these options of s3fs, in the current context only.

    Parameters
    ----------
    options : callable
        It is called when an object store is first opened. Where it returns None, the environment has the options.
    """
    token = _using.set(options)
    try:
        yield
    finally:
        _using.reset(token)


@contextmanager
def asking(path: StrPath) -> Iterator[None]:
    """Turn the errors of a store and of its client library into StoreUnavailable, except FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        # Its number tells the caller whether a retry may help.
        number = error.errno if isinstance(error, OSError) else None
        if number is None and is_refusal(error):
            number = errno.EACCES
        said = f"{error} (an archive: restore the object, or exclude it)" if _is_archived(error) else str(error)
        raise StoreUnavailable(*filter(None, [number]), f"{path}: {said}") from error


def location(path: StrPath) -> Path:
    """The absolute path of a file or folder; for a URI, the path of an object, which has the methods of ``Path``.

    Raises
    ------
    InvalidLocation
        For a URI that is neither ``s3://bucket/key`` nor ``file:///path``, and for one that contains credentials.
    """
    if is_remote(path):
        return _in_bucket(str(path)) if isinstance(path, str) else cast(Path, path)
    text = os.fspath(path)
    if text.lower().startswith("file://"):
        return Path(unquote(urlsplit(text).path)).absolute()
    return Path(text).absolute()


def is_remote(path: StrPath) -> bool:
    """Whether a path is that of an object in a bucket. Raises InvalidLocation as ``location`` does."""
    if not isinstance(path, str):
        return not isinstance(path, Path)
    scheme = _SCHEME.match(path)
    if scheme is None or scheme[1].lower() == "file":
        return False
    if scheme[1] != "s3":
        raise InvalidLocation(f"{scheme[1]}:// is not a supported storage: give a local path or s3://.")
    return True


def resolve(folder: StrPath, relative: str) -> Path:
    """The path that a relative path (with forward slashes, perhaps ``..``) has from a folder."""
    if not is_remote(folder):
        return Path(folder) / relative
    scheme, _, rest = str(folder).partition("://")
    return location(f"{scheme}://{posixpath.normpath(posixpath.join(rest, relative))}")


def allow(path: StrPath) -> None:
    """Raise NotAllowed for a path or URI in none of the folders that this process may use (see ``roots``)."""
    require_allowed(str(location(path)))


def read(path: StrPath, below: StrPath | None = None) -> bytes:
    """All bytes of a file; an object is read by one request. ``below`` and errors as ``open_stream``, on a disk."""
    file = location(path)
    if not is_remote(file):
        with open_stream(file, below) as stream:
            return stream.read()
    allow(file)
    with asking(file):
        return cast(bytes, _store(file).cat_file(_key(file)))


def open_stream(path: StrPath, below: StrPath | None = None) -> io.BufferedIOBase:
    """Open a file for reading. Of an object, only some megabytes are in memory at a time.

    Parameters
    ----------
    path : str or path-like
        Path or URI.
    below : str or path-like, optional
        The folder in which the file must lie, on a disk after following links.

    Raises
    ------
    NotAllowed
        As ``allow``.
    OSError
        EXDEV for a file that is not ``below``; and also while the stream is read: for example where the object was
        replaced after it was opened.
    """
    file = location(path)
    root = root_of(str(file))
    if not is_remote(file):
        folders = [str(location(folder)) for folder in (root, below) if folder is not None]
        return cast(io.BufferedIOBase, open_below(str(file), *folders)) if folders else open(file, "rb")
    if below is not None and not str(file).startswith(f"{str(below).rstrip('/')}/"):
        raise OSError(errno.EXDEV, f"it leads out of {str(below)!r}", str(file))
    with asking(file):
        stream = _store(file).open(_key(file), "rb", block_size=_BLOCK_BYTES, cache_type="readahead")
        # The first block is read now: a store may list an object and refuse to send it.
        stream.read(1)
        stream.seek(0)
    return cast(io.BufferedIOBase, stream)


def status_of(path: Path) -> os.stat_result | None:
    """What the file system says of a local path, links followed; None where it says that there is nothing.

    Unlike ``Path.exists`` and its kin, which take some errors for absence.

    Raises
    ------
    OSError
        Where nobody can tell: a folder above is closed, a mount is away, links lead to each other.
    """
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no file has a NUL in its name.
        return None


def is_file(path: StrPath) -> bool:
    """Whether a path is that of an existing regular file. Raises OSError where the disk or the store cannot tell."""
    file = location(path)
    if not is_remote(file):
        status = status_of(file)
        return status is not None and stat.S_ISREG(status.st_mode)
    try:
        return _about(file)["type"] == "file"
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class FileVersion:
    """What a disk or an object store says of a regular file without reading it.

    Attributes
    ----------
    text : str
        It changes when the file is replaced or overwritten: device, inode, size and times in nanoseconds, or the ETag
        and the time of an object. Texts from different machines cannot be compared.
    size : int
        In bytes.
    changed_at : float
        Seconds since 1970 by the clock of the file system or the store. A change of a file within the same tick of that
        clock does not show in ``text``.
    """

    text: str
    size: int
    changed_at: float


def version_of(path: StrPath) -> str:
    """The ``text`` of the ``FileVersion`` of a file. Raises OSError."""
    file = location(path)
    return (_of_object(_about(file)) if is_remote(file) else _of_status(file.stat())).text


def versions_below(folder: StrPath) -> Callable[[str], FileVersion | None]:
    """A function that tells the version of a regular file below a folder, by its relative path; None where it cannot.

    Of a bucket one listing tells all, when this function is called. A disk is asked for each file.
    """
    parent = location(folder)
    if is_remote(parent):
        found = _found_below(parent)
        return lambda name: _of_object(found[name]) if name in found else None

    def look(name: str) -> FileVersion | None:
        try:
            status = os.stat(f"{parent}/{name}")
        except (OSError, ValueError):
            return None
        return _of_status(status) if stat.S_ISREG(status.st_mode) else None

    return look


def files_below(folder: StrPath) -> dict[str, FileVersion]:
    """The regular files below a folder, by their relative paths: hidden ones too, and no link is followed.

    A folder that is missing has none. Raises OSError where a folder cannot be read.
    """
    parent = location(folder)
    if is_remote(parent):
        return {name: _of_object(about) for name, about in _found_below(parent).items() if about["type"] == "file"}
    found: dict[str, FileVersion] = {}
    left = [""] if status_of(parent) else []
    while left:
        below = left.pop()
        with os.scandir(f"{parent}/{below}") as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    left.append(f"{below}{entry.name}/")
                elif entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):  # Removed just now.
                        found[f"{below}{entry.name}"] = _of_status(entry.stat(follow_symlinks=False))
    return found


def _of_status(status: os.stat_result) -> FileVersion:
    # The time of the last change of an inode cannot be set, unlike that of its content.
    text = f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    return FileVersion(text, status.st_size, max(status.st_mtime, status.st_ctime))


def _of_object(about: Mapping[str, Any]) -> FileVersion:
    changed_at = about["LastModified"]
    return FileVersion(f"{about.get('ETag')} {changed_at}", int(about["size"]), changed_at.timestamp())


def put(path: StrPath, content: bytes) -> None:
    """Write an object, which object stores do atomically. Raises OSError, and NotAllowed as ``allow``."""
    file = location(path)
    allow(file)
    with asking(file):
        _store(file).pipe_file(_key(file), content)


def put_file(path: StrPath, file: str) -> None:
    """Write an object of a local file, which may be larger than the memory. Raises as ``put``."""
    target = location(path)
    allow(target)
    with asking(target):
        _store(target).put_file(file, _key(target))


def probe(folder: StrPath) -> None:
    """Write an object in a folder of a bucket, and remove it. Raises OSError where a run could not do that later."""
    put(location(folder) / PROBE, b"")
    remove(location(folder) / PROBE)


def remove(path: StrPath) -> None:
    """Remove a file, if it exists. Raises OSError, and NotAllowed as ``allow``."""
    file = location(path)
    allow(file if is_remote(file) else file.parent)  # A link is removed, not what it leads to.
    with asking(file) if is_remote(file) else nullcontext():
        file.unlink(missing_ok=True)


def sizes_below(folder: StrPath) -> dict[str, int]:
    """Size in bytes of each object below a folder, by its path relative to the folder. Raises OSError."""
    return {name: int(about["size"]) for name, about in _found_below(location(folder)).items()}


def _found_below(folder: Path) -> dict[str, Mapping[str, Any]]:
    root = _key(folder).rstrip("/") + "/"
    with asking(folder):
        found = _store(folder).find(root, detail=True)
    return {key.removeprefix(root): about for key, about in found.items() if key != root}


def is_nameable(name: str) -> bool:
    """Whether a relative path can be part of a URI: it has no empty part and no suffix that means a version."""
    return all(name.split("/")) and _VERSION not in name


def access() -> dict[str, str]:
    """The environment variables that say which files this process opens, and how; for ``adopt`` in another process."""
    return {name: value for name, value in os.environ.items() if _VARIABLES.fullmatch(name)}


def adopt(variables: Mapping[str, str]) -> None:
    """Open files and object stores as the process that called ``access`` does."""
    os.environ.update(variables)


def _in_bucket(uri: str) -> Path:
    authority = uri.partition("://")[2].partition("/")[0]
    if "@" in authority or ":" in authority:
        # The URI is not shown: it may contain a password.
        raise InvalidLocation(
            "An s3:// URI is s3://bucket/key, without user, password and port: these belong to the environment or to "
            "a connection (docs/scaling.md)."
        )
    if not authority:
        raise InvalidLocation(f"{uri!r} names no bucket: give s3://bucket/folder.")
    if _VERSION in uri:
        raise InvalidLocation(f"{uri!r} looks like a version of an object to s3fs, not like a name; rename the object.")
    from upath import UPath

    # No cache of listings: other processes write to the bucket, too.
    return cast(Path, UPath(uri, **{"use_listings_cache": False, **_options()}))


def _options() -> Mapping[str, Any]:
    using = _using.get()
    options = using() if using else None
    if options is not None:
        return options
    try:
        return cast(Mapping[str, Any], json.loads(os.environ.get(OPTIONS) or "{}"))
    except ValueError:
        raise InvalidLocation(f"The environment variable {OPTIONS} must be a JSON object: options of s3fs.") from None


def _about(file: Path) -> dict[str, Any]:
    with asking(file):
        return cast(dict[str, Any], _store(file).info(_key(file)))


def _store(file: Path) -> Any:
    return cast(Any, file).fs


def _key(file: Path) -> str:
    return cast(Any, file).path


def is_refusal(error: Exception) -> bool:
    """Whether a disk or an object store denies access, or can have no such path, so that a retry is useless."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _REFUSALS or (isinstance(error, StoreUnavailable) and error.errno in _REFUSALS_OF_STORES)
    return isinstance(error, PermissionError) or type(error).__name__ in _REFUSALS_OF_BOTOCORE


def _is_archived(error: Exception) -> bool:
    """Whether a store keeps an object in an archive, as Amazon's Glacier, from which it must be restored first."""
    answer = getattr(error.__cause__, "response", None) or {}
    return bool(answer.get("Error", {}).get("Code") == "InvalidObjectState")
