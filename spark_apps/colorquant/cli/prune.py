"""Remove old runs, and the outputs that no kept run and no published folder names.

    colorquant prune output              what would be removed, and how many bytes
    colorquant prune output --delete     removes it

Kept are the newest runs of each library (a folder of images with its patterns), runs of the last days, runs that are
not finished, and what others left in the folder. Exit codes: 0 done, or told; 1 nothing could be removed, or not all;
2 wrong arguments.
"""

import argparse
import sys
from dataclasses import replace

from colorquant.cli.options import Parser, whole
from colorquant.errors import InvalidRequest, PruneRefused
from colorquant.jobs import EXIT_FAILED
from colorquant.retention import Keep, prune
from colorquant.text import printable

_NAME = "colorquant prune"


def main(argv: list[str] | None = None) -> int:
    """Prune the output folder that the command line names; return the exit code."""
    parser = Parser(__doc__, prog=_NAME)
    parser.add_argument("output", help="folder of results and reports: a path or a URI such as s3://bucket/folder")
    parser.add_argument(
        "--published",
        action="append",
        default=[],
        help="a published folder whose outputs are kept, besides those that the runs name; may be repeated",
    )
    parser.add_argument("--keep-runs", type=whole(1, 10**6), help="newest runs of each library to keep")
    parser.add_argument("--keep-days", type=whole(0, 10**6), help="days for which runs are kept, however many")
    parser.add_argument("--keep-pages", type=whole(1, 10**6), help="newest runs whose pages of the report are kept")
    parser.add_argument(
        "--delete", action="store_true", help="remove; by default it is only told what would be removed"
    )
    arguments = parser.parse_args(argv)
    try:
        pruning = prune(arguments.output, arguments.published, _keep(arguments), arguments.delete)
    except InvalidRequest as error:
        parser.error(str(error))
    except (PruneRefused, OSError) as error:
        print(printable(f"{_NAME}: {error}"), file=sys.stderr)
        return EXIT_FAILED
    print(pruning.text(arguments.output, arguments.delete))
    if pruning.files and not arguments.delete:
        print("Nothing was removed: --delete removes it.")
    return 0


def _keep(arguments: argparse.Namespace) -> Keep:
    given = {name: getattr(arguments, f"keep_{name}") for name in ("runs", "days", "pages")}
    return replace(Keep.of_environment(), **{name: value for name, value in given.items() if value is not None})
