"""PySpark's worker daemon, with what every worker of this package needs done before it forks: once, and not in each."""

import gc

from colorquant.light_imports import lighten

lighten()

from pyspark.daemon import manager  # noqa: E402  (needs the path as it is now)

import colorquant.spark.source  # noqa: E402, F401  (for what it imports; starts no thread)
from colorquant.quantizer import load_kernels  # noqa: E402

if __name__ == "__main__":
    load_kernels()
    # A worker collects garbage after every task: 35 ms if it looks through all that is imported.
    gc.freeze()
    manager()
