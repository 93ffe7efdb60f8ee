"""Names of outputs, made from the relative paths of the images. Standard library only."""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath


def output_names(suffixes: Mapping[str, str]) -> dict[str, str]:
    """The output's relative path for each image's relative path; all are different.

    The suffix is replaced: ``a/cat.jpg`` becomes ``a/cat.png``. An image whose suffix stays the same keeps its path.
    Where several images would get the same name, each of them gets the new suffix after its own: ``cat.jpg.png``.

    Parameters
    ----------
    suffixes : mapping of str to str
        For each image's relative path, with forward slashes, the suffix of its output, with its dot.
    """
    short = {name: _with_suffix(name, suffix) for name, suffix in suffixes.items()}
    wanted = Counter(map(_folded, short.values()))
    names = {name: name for name in suffixes if short[name] == name}
    taken = set(map(_folded, names.values()))
    for name in sorted(suffixes.keys() - names.keys()):
        path = short[name] if wanted[_folded(short[name])] == 1 else name + suffixes[name]
        while _folded(path) in taken:
            path += suffixes[name]
        names[name] = path
        taken.add(_folded(path))
    return names


def _folded(path: str) -> str:
    """What is equal for names that are one file on some file systems.

    These differ in the case of letters only, or in how letters with accents are composed (NFC, NFD).
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def _with_suffix(name: str, suffix: str) -> str:
    path = PurePosixPath(name)
    return name if path.suffix.lower() == suffix.lower() else path.with_suffix(suffix).as_posix()
