"""The application of a library as ``mapInArrow`` or ``mapInPandas`` over a table of batches, for ``map_in_arrow``.

    spark-submit benchmarks/corpus_as_table.py --images FOLDER --output FOLDER --run NAME --k 16 --map arrow
    python benchmarks/corpus_as_table.py ... --remote local[2] [--own-workers]
    python benchmarks/corpus_as_table.py ... --remote sc://host:15002

Plan, batches and the work of a batch are those of ``compress_corpus.py``: only what brings a batch to a worker and its
counts back is another. With ``--remote`` it is a client of Spark Connect, which has no SparkContext; the master
``local[2]`` starts a server in the same command. This file stands alone, since Spark pickles its functions by value.
"""

import argparse
import json
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "spark_apps"))

_CORES = 2
_NAMES_IN_A_TASK = 16


def main() -> None:
    """Compress the library that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--images", "--output", "--run", "--k"):
        parser.add_argument(name, required=True)
    parser.add_argument("--map", choices=["arrow", "pandas"], default="arrow")
    parser.add_argument("--remote", help="of Spark Connect; without it, spark-submit has started this")
    parser.add_argument(
        "--own-workers", action="store_true", help="with --remote local[N]: workers by this project's daemon"
    )
    parser.add_argument("--conf", type=json.loads, default={}, help="with --remote local[N]: Spark's settings, as JSON")
    arguments = parser.parse_args()
    from colorquant.light_imports import lighten

    lighten()
    from colorquant.compress import make_batches
    from colorquant.jobs import Plan, RunRequest, mark_outputs, plan_run, planning, run_folder

    began = time.perf_counter()
    session = _session(arguments)
    print(f"session after {time.perf_counter() - began:.2f} s", flush=True)
    request = RunRequest(run_id=arguments.run, images=arguments.images, ks=arguments.k.split(), output=arguments.output)
    folder = run_folder(arguments.output, arguments.run)
    with planning(arguments.output, folder):
        plan: Plan = plan_run(request, look_at_all=_map_on(session, arguments))
        mark_outputs(arguments.output)
        plan.write(folder / "plan.json")
    print(f"plan after {time.perf_counter() - began:.2f} s", flush=True)
    _compress(session, make_batches(plan.pending(), _CORES), arguments, began)
    session.stop()


def _session(arguments: argparse.Namespace) -> Any:
    from pyspark.sql import SparkSession

    if not arguments.remote:
        from colorquant.spark import start_context

        return SparkSession(start_context("library as a table", retry_tasks=True))
    import colorquant

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.remote(arguments.remote)
    if is_server_of_ours := arguments.remote.startswith("local"):
        for name, value in arguments.conf.items():
            builder = builder.config(name, value)
    if arguments.own_workers:
        # Connect gives the workers of its clients no ``spark.executorEnv``: they have the environment of the server.
        os.environ["PYTHONPATH"] = str(Path(colorquant.__file__).resolve().parents[1])
        builder = builder.config("spark.python.daemon.module", "colorquant.spark.worker_daemon")
    session = builder.getOrCreate()
    if not (is_server_of_ours and arguments.own_workers):
        # As managed Spark needs it: nothing of this project is on the machines of the server.
        from colorquant.spark import package_archive

        with tempfile.TemporaryDirectory() as folder:
            session.addArtifacts(str(package_archive(Path(folder))), pyfile=True)
    return session


def _map_on(session: Any, arguments: argparse.Namespace) -> Callable[[Callable[[str], Any], list[str]], list[Any]]:
    """``look_at_all`` of ``plan_run``: a map over names, on the workers."""
    from colorquant.storage import access, adopt

    def look_at_all(function: Callable[[str], Any], names: list[str]) -> list[Any]:
        variables = access()

        def look(content: bytes) -> bytes:
            adopt(variables)
            return pickle.dumps([function(name) for name in pickle.loads(content)])

        slices = [names[start : start + _NAMES_IN_A_TASK] for start in range(0, len(names), _NAMES_IN_A_TASK)]
        table = _applied(session, list(map(pickle.dumps, slices)), look, arguments.map)
        found = {row["number"]: row["content"] for row in table.collect()}
        return [each for number in range(len(slices)) for each in pickle.loads(found[number])]

    return look_at_all


def _compress(session: Any, batches: list[Any], arguments: argparse.Namespace, began: float) -> None:
    from colorquant.compress import Counts, compress_batch
    from colorquant.limits import Limits
    from colorquant.storage import access, adopt

    spark = {
        "application_id": session.conf.get("spark.app.id"),
        "master": session.conf.get("spark.master"),
        "version": session.version,
        "partitions": 1,
        "jobs": 1,
    }
    variables, limits = access(), Limits.of_environment()

    def compress(content: bytes) -> bytes:
        from pyspark import TaskContext

        adopt(variables)
        task = TaskContext.get()
        assert task is not None
        counts = compress_batch(pickle.loads(content), spark, False, task.attemptNumber(), limits)
        return pickle.dumps((task.partitionId(), counts))

    table = _applied(session, list(map(pickle.dumps, batches)), compress, arguments.map)
    # A client gets rows as partitions end, in their order: this is its progress. Without Connect each partition would
    # be a job of its own.
    rows = table.toLocalIterator() if arguments.remote else table.collect()
    total, partitions, arrived = Counts(), set(), []
    for row in rows:
        partition, counts = pickle.loads(row["content"])
        total += counts
        partitions.add(partition)
        arrived.append(time.perf_counter() - began)
    print(f"{total}, {len(batches)} batches in {len(partitions)} partitions")
    print(f"rows after {arrived[0]:.2f}, {arrived[len(arrived) // 2]:.2f} and {arrived[-1]:.2f} s", flush=True)


def _applied(session: Any, contents: list[bytes], function: Callable[[bytes], bytes], kind: str) -> Any:
    """A table of what a function returns of each content; each is a partition, and so a task, in this order."""
    import pyarrow as pa

    def in_arrow(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number, content in zip(batch["number"].to_pylist(), batch["content"].to_pylist(), strict=True):
                row = {"number": number, "content": function(content)}
                yield pa.RecordBatch.from_pylist([row], pa.schema([("number", pa.int32()), ("content", pa.binary())]))

    def in_pandas(frames: Iterable[Any]) -> Iterator[Any]:
        import pandas as pd

        for frame in frames:
            for number, content in zip(frame["number"], frame["content"], strict=True):
                yield pd.DataFrame({"number": [number], "content": [function(content)]})

    numbers = pa.array(range(len(contents)), pa.int32())
    table = session.createDataFrame(pa.table({"number": numbers, "content": pa.array(contents, pa.binary())}))
    table = table.repartitionById(len(contents), "number")
    schema = "number int, content binary"
    return table.mapInPandas(in_pandas, schema) if kind == "pandas" else table.mapInArrow(in_arrow, schema)


if __name__ == "__main__":
    main()
