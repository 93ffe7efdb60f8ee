"""Copying the file of a candidate, so that what is published has the planned hash. Standard library only."""

import hashlib
from collections.abc import Iterable, Iterator

from colorquant.errors import NotAllowed, StoreUnavailable, Unpublishable
from colorquant.publish.manifest import Candidate, PublishedFile
from colorquant.publish.stripping import stripped
from colorquant.storage import open_stream

_PIECE_BYTES = 2**20


def pieces_of(candidate: Candidate) -> Iterator[bytes]:
    """What is published of a candidate's file: its content, of an original without its private metadata.

    It is read from one descriptor that no link led to.

    Raises
    ------
    Unpublishable
        At the end, where the content is not what was planned; before it, where the file is missing or cannot be read.
    StoreUnavailable
        Where a store does not answer.
    """
    if candidate.sha256 is None:
        raise Unpublishable("could not be read when the run was planned")
    changed = Unpublishable(f"has changed since the run was planned ({candidate.source}); a new run will publish it")
    sha256 = hashlib.sha256()
    try:
        with open_stream(candidate.source, below=candidate.folder) as stream:
            if candidate.metadata != "original":
                try:
                    yield from stripped(stream, candidate.metadata == "copyright", sha256.update)
                except Unpublishable:
                    stream.seek(0)
                    if hashlib.file_digest(stream, "sha256").hexdigest() == candidate.sha256:
                        raise
                    raise changed from None  # What it was swapped for need not be an image.
            while piece := stream.read(_PIECE_BYTES):
                sha256.update(piece)
                yield piece
    except StoreUnavailable:
        raise
    except FileNotFoundError:
        raise Unpublishable(f"is missing ({candidate.source}); a new run will publish what is there now") from None
    except (OSError, NotAllowed) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise Unpublishable(f"cannot be read ({candidate.source}: {reason})") from None
    if sha256.hexdigest() != candidate.sha256:
        raise changed


def measured(pieces: Iterable[bytes]) -> tuple[int, str]:
    """The bytes of all pieces together, and their hex SHA-256."""
    size, sha256 = 0, hashlib.sha256()
    for piece in pieces:
        size += len(piece)
        sha256.update(piece)
    return size, sha256.hexdigest()


def published_file(candidate: Candidate, path: str, size: int, sha256: str) -> PublishedFile:
    """What the manifest says of a candidate's copy, which has these bytes and this hash."""
    return PublishedFile(
        path=path,
        image=candidate.image,
        k=candidate.k,
        bytes=size,
        sha256=sha256,
        original_sha256=candidate.original_sha256,
        reason=candidate.reason,
        palette=candidate.palette,
    )
