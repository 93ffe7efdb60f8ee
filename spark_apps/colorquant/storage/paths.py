"""Files by their path or by the URI of an object in a bucket. Only URIs need more than the standard library.

``s3://``, ``gs://`` and ``az://`` are opened with universal_pathlib and fsspec's libraries (``stores``). Credentials
and endpoint come from the environment: from what the library of the store reads (``AWS_ACCESS_KEY_ID``, profiles and
roles; ``GOOGLE_APPLICATION_CREDENTIALS``; ``AZURE_STORAGE_ACCOUNT_NAME``), or from ``FSSPEC_S3``, ``FSSPEC_GS`` or
``FSSPEC_AZ``, JSON objects with options of s3fs, gcsfs or adlfs. A process that serves several users sets them for each
thread or task (``using``). They are never part of a URI, so no argument, log, plan, record or report contains them.
"""

import errno
import io
import json
import os
import posixpath
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from colorquant.errors import InvalidLocation, StoreUnavailable
from colorquant.storage.roots import ALLOWED_ROOTS, open_below, require_allowed, root_of
from colorquant.storage.stores import (
    STORES,
    is_archived,
    is_beyond_end,
    is_missing,
    refusal_number,
    require_credentials,
    store_of,
    use_plain_google_client,
    without_queries,
)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_VARIABLES = re.compile("|".join([*(store.variables for store in STORES.values()), ALLOWED_ROOTS]))

#: The name of the object that ``probe`` writes.
PROBE = ".tmp-probe"
# What S3's and Azure's libraries take for the version of an object.
_VERSION = re.compile(r"\?versionid=", re.IGNORECASE)
# Size of the block that an open object keeps in memory. A smaller object is read by a single request.
_BLOCK_BYTES = 2**23
# An object that is read here and there: size of a block, and how many of them are kept. That many hold a region of
# uncompressed tiles (``decode/tiled_tiff``) and what its neighbor begins with.
_RANGE_BYTES = 2**21
_RANGES = 24
# Of a part of an upload, of which a store takes 10,000.
_UPLOAD_BYTES = 2**24

# What a disk, and a store by s3fs, says again at each try: no right, no such place, a request that it cannot grant.
_REFUSALS = frozenset(
    {errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EROFS}
)
_REFUSALS_OF_STORES = frozenset({errno.EINVAL, errno.ENOSYS, getattr(errno, "EREMCHG", errno.EINVAL)})

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
Options = Callable[[], Mapping[str, Mapping[str, Any]] | None]
# A variable of the context: each request of a web server, and each thread, has its own value.
_using: ContextVar[Options | None] = ContextVar("options of object stores", default=None)


@contextmanager
def using(options: Options) -> Iterator[None]:
    """Open object stores with these options, in the current context only.

    Parameters
    ----------
    options : callable
        It is called when an object store is first opened, and returns the options of the store's library by scheme.
        Where it returns None, or has no such scheme, the environment has the options.
    """
    token = _using.set(options)
    try:
        yield
    finally:
        _using.reset(token)


@contextmanager
def asking(path: StrPath) -> Iterator[None]:
    """Turn the errors of a store and of its client library into StoreUnavailable, except FileNotFoundError.

    Before the first request of a process to a store, its credentials are looked up, for some seconds at most.
    """
    try:
        if is_remote(path):
            scheme = str(path).partition("://")[0]
            require_credentials(scheme, _options(scheme))
        yield
    except (FileNotFoundError, StoreUnavailable, InvalidLocation):
        raise
    except Exception as error:
        if is_missing(error):
            raise FileNotFoundError(errno.ENOENT, _said(error), str(path)) from error
        # Its number tells the caller whether a retry may help.
        number = error.errno if isinstance(error, OSError) else None
        number = number or refusal_number(error)
        if number is None and is_refusal(error):
            number = errno.EACCES
        said = f"{_said(error)} (an archive: restore the object, or exclude it)" if is_archived(error) else _said(error)
        raise StoreUnavailable(*filter(None, [number]), f"{path}: {said}") from error


def _said(error: Exception) -> str:
    """What an error says, in one line. Those of Azure have more, with ids of the request."""
    return " ".join(without_queries(str(error)).partition("\nRequestId:")[0].split())


def location(path: StrPath) -> Path:
    """The absolute path of a file or folder; for a URI, the path of an object, which has the methods of ``Path``.

    Raises
    ------
    InvalidLocation
        For a URI that is neither that of an object (``s3://bucket/key``, ``gs://``, ``az://``) nor ``file:///path``,
        for one that contains credentials, and where the library of the store is not installed.
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
    store_of(scheme[1])
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
        if not STORES[_scheme(file)].pins:
            return io.BufferedReader(_Unchanged(file), _BLOCK_BYTES)
        stream = _store(file).open(_key(file), "rb", block_size=_BLOCK_BYTES, cache_type="readahead")
        # The first block is read now: a store may list an object and refuse to send it.
        stream.read(1)
        stream.seek(0)
    return cast(io.BufferedIOBase, stream)


def read_start(path: StrPath, count: int) -> bytes:
    """The first ``count`` bytes of a file, or fewer; an object is read by one request. Errors as ``open_stream``."""
    file = location(path)
    if not is_remote(file):
        with open_stream(file) as stream:
            return stream.read(count)
    allow(file)
    with asking(file):
        try:
            return cast(bytes, _store(file).cat_file(_key(file), start=0, end=count))
        except Exception as error:
            if is_beyond_end(error):  # An empty object has no range.
                return b""
            raise


def open_ranges(path: StrPath, version: str) -> BinaryIO:
    """Open a file of which only parts are read, here and there.

    Of an object, blocks of 2 MB are requested as they are needed, and the last 24 of them are in memory; or the last
    one, where the library of the store does not notice that the object is replaced.

    Parameters
    ----------
    path : str or path-like
        Path or URI.
    version : str
        ``version_of`` the object; each request asks the store for that version only. Of a file on a disk it does not
        matter: another machine may describe the same file in other words.

    Raises
    ------
    NotAllowed
        As ``allow``.
    StoreUnavailable
        The object is another version by now. This, and all errors of the store, also while the stream is read.
    OSError
        As ``open_stream``.
    """
    file = location(path)
    if not is_remote(file):
        return cast(BinaryIO, open_stream(file))
    allow(file)
    with asking(file):
        if STORES[_scheme(file)].pins:
            options = {"cache_type": "blockcache", "cache_options": {"maxblocks": _RANGES}}
            stream = _store(file).open(_key(file), "rb", block_size=_RANGE_BYTES, **options)
            opened = _of_object(file, stream.details)
        else:
            unchanged = _Unchanged(file)
            stream, opened = io.BufferedReader(unchanged, _RANGE_BYTES), unchanged.version
    if opened.text != version:
        raise StoreUnavailable(errno.ESTALE, f"{file}: it was replaced.")
    return cast(BinaryIO, _Ranges(str(file), stream))


class _Ranges(io.RawIOBase):
    """A stream of a store whose errors are those of ``asking``, so that nobody takes them for damage of the file."""

    def __init__(self, path: str, stream: Any) -> None:
        self._path, self._stream = path, stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def read(self, size: int = -1) -> bytes:
        with asking(self._path):
            return cast(bytes, self._stream.read(size))

    def readinto(self, buffer: Any) -> int:
        target = memoryview(buffer).cast("B")
        content = self.read(len(target))
        target[: len(content)] = content
        return len(content)


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


def file_version(path: StrPath) -> FileVersion:
    """The ``FileVersion`` of a file. Raises OSError."""
    file = location(path)
    return _of_object(file, _about(file)) if is_remote(file) else _of_status(file.stat())


def version_of(path: StrPath) -> str:
    """The ``text`` of the ``FileVersion`` of a file. Raises OSError."""
    return file_version(path).text


def versions_below(folder: StrPath) -> Callable[[str], FileVersion | None]:
    """A function that tells the version of a regular file below a folder, by its relative path; None where it cannot.

    Of a bucket one listing tells all, when this function is called. A disk is asked for each file.
    """
    parent = location(folder)
    if is_remote(parent):
        found = _found_below(parent)
        return lambda name: _of_object(parent, found[name]) if name in found else None

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
        found_below = _found_below(parent).items()
        return {name: _of_object(parent, about) for name, about in found_below if about["type"] == "file"}
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


def _of_object(path: Path, about: Mapping[str, Any]) -> FileVersion:
    store = STORES[_scheme(path)]
    changed_at = about[store.changed_at]
    return FileVersion(f"{about.get(store.version)} {changed_at}", int(about["size"]), changed_at.timestamp())


class _Unchanged(io.RawIOBase):
    """An object of a store whose library does not notice that it is replaced while it is read.

    After each block the store is asked for the version, which never comes back: so a block is of the version that was
    there when the object was opened, or reading fails.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._position = file, 0
        self.version = _of_object(file, _about(file))
        if self.version.size == 0:
            return
        _store(file).cat_file(_key(file), start=0, end=1)  # A store may list an object and refuse to send it.

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.version.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        end = min(self._position + len(buffer), self.version.size)
        if end <= self._position:
            return 0
        with asking(self._file):
            block = _store(self._file).cat_file(_key(self._file), start=self._position, end=end)
            now = _of_object(self._file, _about(self._file))
        if now != self.version or len(block) != end - self._position:
            raise OSError(errno.EBUSY, "it was replaced while it was read", str(self._file))
        buffer[: len(block)] = block
        self._position = end
        return len(block)


def put(path: StrPath, content: bytes) -> None:
    """Write an object, which object stores do atomically. Raises OSError, and NotAllowed as ``allow``."""
    file = location(path)
    allow(file)
    with asking(file):
        _store(file).pipe_file(_key(file), content)


def put_stream(path: StrPath, stream: BinaryIO) -> None:
    """Write an object from a stream, of which some megabytes are in memory at a time. Errors as ``put``."""
    file = location(path)
    allow(file)
    with asking(file):
        upload = _store(file).open(_key(file), "wb", block_size=_UPLOAD_BYTES)
        try:
            shutil.copyfileobj(stream, upload, _BLOCK_BYTES)
            upload.close()
        except BaseException:
            upload.closed = True  # Or its end would send what is there.
            with suppress(Exception):
                upload.discard()
            raise


def copy_object(source: StrPath, target: StrPath) -> None:
    """Copy an object to another name in its store, whole or not at all. Errors as ``put`` and ``open_stream``."""
    file, new = location(source), location(target)
    allow(file)
    allow(new)
    if not STORES[_scheme(new)].copies:
        with open_stream(file) as stream:
            put_stream(new, stream)  # type: ignore[arg-type]  # It only reads.
        return
    with asking(new):
        _store(new).cp_file(_key(file), _key(new))


def remove_objects(folder: StrPath, prefix: str) -> None:
    """Remove the objects of a folder whose names begin with a prefix. Raises OSError, and NotAllowed as ``allow``."""
    parent = location(folder)
    allow(parent)
    with asking(parent):
        for key in _store(parent).find(_key(parent), prefix=prefix):
            if posixpath.basename(key).startswith(
                prefix
            ):  # Azure's library also names an object at the folder's place.
                _store(parent).rm_file(key)  # One by one, as in ``remove``.


def put_file(path: StrPath, file: str) -> None:
    """Write an object of a local file, which may be larger than the memory. Raises as ``put``."""
    with open(file, "rb") as stream:
        put_stream(path, stream)


def probe(folder: StrPath) -> None:
    """Write an object in a folder of a bucket, and remove it. Raises OSError where a run could not do that later."""
    put(location(folder) / PROBE, b"")
    remove(location(folder) / PROBE)


def remove(path: StrPath) -> None:
    """Remove a file, if it exists. Raises OSError, and NotAllowed as ``allow``."""
    file = location(path)
    allow(file if is_remote(file) else file.parent)  # A link is removed, not what it leads to.
    if not is_remote(file):
        file.unlink(missing_ok=True)
        return
    # By a request for this object alone: s3fs does not look at what a request for several of them says of each.
    with suppress(FileNotFoundError), asking(file):
        _store(file).rm_file(_key(file))


def sizes_below(folder: StrPath) -> dict[str, int]:
    """Size in bytes of each object below a folder, by its path relative to the folder. Raises OSError."""
    return {name: int(about["size"]) for name, about in _found_below(location(folder)).items()}


def _found_below(folder: Path) -> dict[str, Mapping[str, Any]]:
    root = _key(folder).rstrip("/") + "/"
    with asking(folder):
        files = _store(folder)
        found = cast(dict[str, Mapping[str, Any]], files.find(root, detail=True))
        if not STORES[_scheme(folder)].keeps_marks:
            empty = [key for key, about in found.items() if not about["size"] and not key.endswith("/")]
            for key in empty:
                if files.info(key)["type"] == "directory":
                    found[f"{key}/"] = found.pop(key)
    return {key.removeprefix(root): about for key, about in found.items() if key != root}


def is_folder(folder: StrPath) -> bool:
    """Whether there are objects below the URI of a folder, or a bucket of that name. Raises OSError."""
    parent = location(folder)
    with asking(parent):
        if _scheme(parent) == "s3":
            return bool(parent.is_dir())
    try:
        # Other libraries take a refusal for the answer that there is no such folder.
        return bool(_about(parent)["type"] == "directory")
    except FileNotFoundError:
        return False


def is_nameable(name: str) -> bool:
    """Whether a relative path can be part of a URI: it has no empty part and no suffix that means a version."""
    return all(name.split("/")) and not _VERSION.search(name)


def access() -> dict[str, str]:
    """The environment variables that say which files this process opens, and how; for ``adopt`` in another process."""
    return {name: value for name, value in os.environ.items() if _VARIABLES.fullmatch(name)}


def adopt(variables: Mapping[str, str]) -> None:
    """Open files and object stores as the process that called ``access`` does."""
    os.environ.update(variables)


def _in_bucket(uri: str) -> Path:
    store = store_of(uri.partition("://")[0])
    authority = uri.partition("://")[2].partition("/")[0]
    if "@" in authority or ":" in authority:
        # The URI is not shown: it may contain a password.
        raise InvalidLocation(
            f"Such a URI is {store.scheme}://bucket/key, without user, password and port: these belong to the "
            "environment or to a connection (docs/scaling.md)."
        )
    if not authority:
        raise InvalidLocation(f"{uri!r} names no bucket: give {store.scheme}://bucket/folder.")
    if _VERSION.search(uri):
        raise InvalidLocation(
            f"{uri!r} looks like a version of an object to {store.library}, not like a name; rename the object."
        )
    store.require_library()
    if store.scheme == "gs":
        use_plain_google_client()
    from upath import UPath

    # No cache of listings: other processes write to the bucket, too.
    return cast(Path, UPath(uri, **{"use_listings_cache": False, **_options(store.scheme)}))


def _options(scheme: str) -> Mapping[str, Any]:
    using, store = _using.get(), STORES[scheme]
    options = (using() or {}).get(scheme) if using else None
    if options is None:
        try:
            options = cast(Mapping[str, Any], json.loads(os.environ.get(store.options) or "{}"))
        except ValueError:
            raise InvalidLocation(
                f"The environment variable {store.options} must be a JSON object: options of {store.library}."
            ) from None
    return {**store.defaults, **options}


def _scheme(file: Path) -> str:
    return str(file).partition("://")[0]


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
    return isinstance(error, PermissionError) or refusal_number(error) is not None
