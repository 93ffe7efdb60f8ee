"""PySpark's worker daemon, which first does once what each worker forked from it would have to do: imports, kernels."""

import gc

from colorquant.light_imports import lighten

lighten()

import colorquant.spark.source  # noqa: E402, F401  (for what it imports; starts no thread)
from colorquant.quantizer import load_kernels  # noqa: E402
from colorquant.spark.private import run_worker_daemon  # noqa: E402

if __name__ == "__main__":
    load_kernels()
    # A worker collects garbage after every task: 35 ms if the collector visits all that is imported.
    gc.freeze()
    run_worker_daemon()
