"""What benchmarks measured, as CSV files."""

import csv
import sys
from collections.abc import Iterable
from pathlib import Path

Row = dict[str, str | int | float]


def recorded(rows: Iterable[Row], path: Path) -> list[Row]:
    """All rows, each of which is in the file as soon as it is measured: a run that is stopped leaves what it had.

    The names of the images are told on the way.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    written: list[Row] = []
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        for row in rows:
            if not written:
                writer.writerow(row)
            if not written or row["image"] != written[-1]["image"]:
                print(f"{path.stem}: {row['image']}", file=sys.stderr, flush=True)
            writer.writerow(row.values())
            file.flush()
            written.append(row)
    return written
