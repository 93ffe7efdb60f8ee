"""Which folders this process may use, and how a file is opened so that no link leads out of its folder.

Standard library only. The operator names the folders in ``COMPRESSION_ALLOWED_ROOTS``; where it is not set, as for a
command line, the rights of the process are the only limit.
"""

import errno
import os
import posixpath
import stat
from functools import lru_cache
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from colorquant.errors import InvalidLocation, NotAllowed
from colorquant.storage.stores import STORES

#: The environment variable with the allowed folders: paths and URIs, separated by commas.
ALLOWED_ROOTS = "COMPRESSION_ALLOWED_ROOTS"
_SCHEMES = tuple(f"{scheme}://" for scheme in STORES)
# A folder that is only passed through needs no right to be listed.
_THROUGH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK, opening a FIFO would never end.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def require_allowed(path: str) -> None:
    """Raise NotAllowed for a path (links are followed) or URI that is in none of the allowed folders."""
    root_of(path)


def root_of(path: str) -> str | None:
    """The allowed folder in which a path or the URI of an object lies; None where all are allowed.

    Raises
    ------
    NotAllowed
        Where it lies in none of them.
    InvalidLocation
        Where the environment variable names something else than folders and URIs of object stores, and for a text that
        cannot be a path.
    """
    roots = _parsed(os.environ.get(ALLOWED_ROOTS, ""))
    if not roots:
        return None
    if "\0" in path:
        raise InvalidLocation(f"{path!r} is not a path: no name contains a NUL.")
    # A client library may or may not take ".." for the folder above.
    scheme, _, rest = path.partition("://")
    is_uri = path.startswith(_SCHEMES)
    real = f"{scheme}://{posixpath.normpath(rest)}" if is_uri else os.path.realpath(path)
    for root in roots:
        if _lies_in(real, root if root.startswith(_SCHEMES) else os.path.realpath(root)):
            return root
    raise NotAllowed(
        f"{path!r} is in none of the folders that may be used here: {', '.join(roots)}. Whoever operates this "
        f"installation can allow more, with {ALLOWED_ROOTS}."
    )


def open_below(path: str, *folders: str) -> BinaryIO:
    """Open a regular file of a disk for reading, where it lies below all of some folders.

    Links are followed by name once, to find the real path. Each part of that is then opened from the descriptor of the
    one above, and none may be a link: whoever swaps a file or a folder meanwhile gets an error, not another file.

    Raises
    ------
    OSError
        EXDEV for a path that leads out of a folder, ELOOP or ENOTDIR where a part was swapped for a link, EISDIR or
        EINVAL for what is not a regular file, and those of opening a file.
    """
    real = os.path.realpath(path)
    for folder in folders:
        if real == (root := os.path.realpath(folder)) or not _lies_in(real, root):
            raise OSError(errno.EXDEV, f"it leads out of {folder!r}", path)
    *parts, name = real.strip(os.sep).split(os.sep)
    descriptor = os.open(os.sep, _THROUGH)
    try:
        for part in parts:
            above, descriptor = descriptor, os.open(part, _THROUGH | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(above)
        opened = os.open(name, _READ, dir_fd=descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(descriptor)
    mode = os.fstat(opened).st_mode
    if not stat.S_ISREG(mode):
        os.close(opened)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    return os.fdopen(opened, "rb")


def _lies_in(path: str, root: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{root.rstrip('/')}/")


@lru_cache(maxsize=4)
def _parsed(text: str) -> tuple[str, ...]:
    return tuple(_root(part.strip()) for part in text.split(",") if part.strip())


def _root(text: str) -> str:
    scheme, separator, _ = text.partition("://")
    if not separator:
        return os.path.abspath(text)
    if scheme == "file":
        return os.path.abspath(unquote(urlsplit(text).path, errors="surrogateescape"))
    if scheme not in STORES:
        raise InvalidLocation(
            f"{ALLOWED_ROOTS} names {text!r}: give folders and URIs ({', '.join(_SCHEMES)}), separated by commas."
        )
    return text.rstrip("/") if text not in _SCHEMES else text
