"""PySpark's worker daemon, with the imports of this package done before it forks: once, and not in every worker."""

from colorquant.light_imports import lighten

lighten()

from pyspark.daemon import manager  # noqa: E402  (needs the path as it is now)

import colorquant.spark  # noqa: E402, F401  (for what it imports; starts no thread)

if __name__ == "__main__":
    manager()
