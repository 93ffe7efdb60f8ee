"""The images of a folder, by the names of its files. Standard library only."""

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from colorquant.storage.paths import StrPath, is_nameable, is_remote, location, sizes_below

#: Suffixes of the names of image files. Their content is known only when they are decoded.
IMAGE_SUFFIXES = frozenset(
    ".apng .avif .bmp .dib .gif .j2c .j2k .jfi .jfif .jif .jp2 .jpc .jpe .jpeg .jpf .jpg .jpx .pbm .pgm .pjp .pjpeg "
    ".png .pnm .ppm .tif .tiff .webp".split()
)

# Suffixes of photographs in formats that are not read.
_UNREAD = {
    "HEIC": ".heic .heics .heif .heifs .hif",
    "JPEG XL": ".jxl",
    "JPEG XR": ".hdp .jxr .wdp",
    "A raw file": ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .gpr .iiq .kdc .mos .mrw .nef .nrw .orf .pef .raf .raw "
    ".rw2 .rwl .sr2 .srf .srw .x3f",
}
_UNREAD_SUFFIXES = {suffix: kind for kind, suffixes in _UNREAD.items() for suffix in suffixes.split()}

# Folders of file systems, of the systems of NASes, and of macOS's archives: previews, indexes and what was deleted.
_SYSTEM_FOLDERS = frozenset(
    ("@eaDir", "@tmp", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "lost+found", "$RECYCLE.BIN")
    + ("System Volume Information", "__MACOSX")
)

#: The name of a file that marks a folder of outputs. Below it nothing is an image of a library, whoever lists it.
OUTPUTS_MARK = ".colorquant-outputs"

#: The formats that are decoded, by Pillow's names. Other plugins of Pillow are never run (EPS starts Ghostscript).
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")


@dataclass(frozen=True)
class Listing:
    """What lies below a folder: paths relative to it, with forward slashes, sorted.

    Attributes
    ----------
    images : names of image files.
    ignored : names of files that are not images, and of links that are not followed.
    unreadable : names of folders whose contents nobody knows, and of photographs in formats that are not read, each
        with the reason. The folders are not empty, and what was known of them is not gone.
    """

    images: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def list_images(folder: StrPath, pattern: str = "*", without: Collection[StrPath] = (), exclude: str = "") -> Listing:
    """The images below a folder, the files that are ignored, and the folders and photographs that cannot be read.

    An image is a file whose name has one of ``IMAGE_SUFFIXES``, in upper or lower case. Ignored are all other files,
    symbolic links to folders and out of the folder, and names that are not UTF-8, which databases and JVMs cannot
    store. Hidden files and folders, the folders of file systems and NASes (``lost+found``, ``@eaDir``, ``#recycle``),
    folders with ``OUTPUTS_MARK``, and files that do not match the pattern or that are excluded, are skipped.

    Parameters
    ----------
    folder : str or path-like
        Path or URI.
    pattern : str
        For the relative path, as ``fnmatch`` matches it: ``*`` also matches slashes.
    without : collection of str or path-like
        Folders that are skipped with all their contents.
    exclude : str
        Patterns as ``pattern``, separated by semicolons, of files and folders that are skipped.

    Raises
    ------
    OSError
        Where the folder itself cannot be read.
    """
    found = Listing()
    walk = _Walk(location(folder), without) if not is_remote(folder) else None
    excluded = [part.strip() for part in exclude.split(";") if part.strip()]
    for name, inside in walk.files() if walk else _names_in_bucket(folder, without):
        if not fnmatchcase(name, pattern) or _matches(name, excluded):
            continue
        suffix, is_usable = PurePosixPath(name).suffix.lower(), inside and _is_utf8(name)
        if suffix in _UNREAD_SUFFIXES and is_usable:
            kind = _UNREAD_SUFFIXES[suffix]
            found.unreadable[name] = f"{kind} is a format that is not read; save it as JPEG or PNG, or exclude it"
        else:
            (found.images if suffix in IMAGE_SUFFIXES and is_usable else found.ignored).append(name)
    # Whatever the pattern: a file behind them might match it.
    linked, unreadable = (walk.linked, walk.unreadable) if walk else ([], {})
    found.ignored.extend(name for name in linked if not _matches(name, excluded))
    # "away/*" excludes the folder "away" too.
    for name, reason in unreadable.items():
        if not _matches(name, excluded) and not _matches(f"{name}/", excluded):
            found.unreadable[name] = reason
    return Listing(sorted(found.images), sorted(found.ignored), dict(sorted(found.unreadable.items())))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def is_below(name: str, folders: Iterable[str]) -> bool:
    """Whether a relative path is one of some others, or lies below one. The names decide: no disk is asked."""
    return any(name == folder or name.startswith(f"{folder}/") for folder in folders)


def is_within(path: StrPath, folder: StrPath) -> bool:
    """Whether a path is a folder or lies below it: on a disk after following links, in a bucket by its name."""
    if is_remote(path) or is_remote(folder):
        return _as_prefix(path).startswith(_as_prefix(folder))
    return _real(location(path)).is_relative_to(_real(location(folder)))


def _as_prefix(folder: StrPath) -> str:
    return f"{str(folder).rstrip('/')}/"


def _is_utf8(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


class _Walk:
    """A walk through the folders of a disk. ``linked`` and ``unreadable`` are complete when ``files`` has ended."""

    def __init__(self, folder: Path, without: Collection[StrPath]) -> None:
        self._folder, self._root = folder, _real(folder)
        self._skipped = {_real(location(other)) for other in without if not is_remote(other)}
        self.linked: list[str] = []
        self.unreadable: dict[str, str] = {}

    def files(self) -> Iterator[tuple[str, bool]]:
        """Each file's relative path, and whether the file is below the folder after following links."""
        if any(self._root.is_relative_to(other) for other in self._skipped):
            return
        left = [self._folder]
        while left:
            for entry in self._entries(left.pop()):
                path = Path(entry.path)
                name = path.relative_to(self._folder).as_posix()
                try:
                    is_folder = entry.is_dir()
                except OSError as error:
                    if not entry.is_symlink():
                        self._cannot_read(name, error)
                        continue
                    is_folder = False  # A link that leads nowhere is a file, and its job says so.
                if is_folder and entry.name in _SYSTEM_FOLDERS:
                    continue
                if not is_folder:
                    yield name, _real(path).is_relative_to(self._root)
                elif _real(path) not in self._skipped:
                    left.append(path) if not entry.is_symlink() else self.linked.append(name)

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as found:
                entries = list(found)
            # Whoever names a marked folder itself means it.
            if folder != self._folder and any(entry.name == OUTPUTS_MARK for entry in entries):
                return []
            return [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            if folder == self._folder:
                raise
            self._cannot_read(folder.relative_to(self._folder).as_posix(), error)
            return []

    def _cannot_read(self, name: str, error: OSError) -> None:
        self.unreadable[name] = error.strerror or str(error)


def _real(path: Path) -> Path:
    """The path after following links. Unlike ``Path.resolve``, it raises nothing for links in a circle."""
    return Path(os.path.realpath(path))


def _names_in_bucket(folder: StrPath, without: Collection[StrPath]) -> Iterator[tuple[str, bool]]:
    root, skipped = _as_prefix(folder), tuple(map(_as_prefix, without))
    names = sizes_below(folder)
    marked = tuple(name.removesuffix(OUTPUTS_MARK) for name in names if name.endswith(f"/{OUTPUTS_MARK}"))
    for name, size in names.items():
        if name.endswith("/") and size == 0:
            continue  # The mark of a folder, as consoles of stores make it.
        *folders, file = name.split("/")
        is_hidden = any(part.startswith(".") for part in (*folders, file)) or not _SYSTEM_FOLDERS.isdisjoint(folders)
        if not f"{root}{name}".startswith(skipped) and not name.startswith(marked) and not is_hidden:
            yield name, is_nameable(name)
