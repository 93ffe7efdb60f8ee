"""Where an image's output lies: below a folder, by the image's own relative path. Standard library only."""

from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath


def output_names(endings: Mapping[str, str]) -> dict[str, str]:
    """The output's relative path for each image's relative path; no two are the same.

    The ending says what the file holds: ``a/cat.jpg`` becomes ``a/cat.png``. An image whose ending stays keeps its
    path. Where others would then share a name, each of them keeps its own whole name before the new ending, as in
    ``cat.jpg.png``.

    Parameters
    ----------
    endings : for each image's relative path (with forward slashes) the ending of its output, with its dot.
    """
    short = {name: _with_ending(name, ending) for name, ending in endings.items()}
    # Names that differ in the case of letters only are one file on some file systems.
    wanted = Counter(path.casefold() for path in short.values())
    names = {name: name for name in endings if short[name] == name}
    taken = {path.casefold() for path in names.values()}
    for name in sorted(endings.keys() - names.keys()):
        path = short[name] if wanted[short[name].casefold()] == 1 else name + endings[name]
        while path.casefold() in taken:
            path += endings[name]
        names[name] = path
        taken.add(path.casefold())
    return names


def _with_ending(name: str, ending: str) -> str:
    path = PurePosixPath(name)
    return name if path.suffix.lower() == ending.lower() else path.with_suffix(ending).as_posix()
