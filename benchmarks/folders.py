"""Which images a benchmark takes, and where its tables go."""

from pathlib import Path

from colorquant.storage import IMAGE_SUFFIXES

TABLES = Path("output/bench")


def images_in(folder: Path) -> list[Path]:
    """The images of a folder by their names, sub-folders left out; sorted."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
