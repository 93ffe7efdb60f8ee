"""What is private of PySpark and py4j: for each name a test that fails by it when an upgrade moves it."""

import json
import subprocess
import sys
from pathlib import Path

import py4j.protocol
import pyspark.daemon
import pytest
from pyspark import SparkContext
from pyspark.sql import types

from colorquant.light_imports import _is_pyspark_archive
from colorquant.spark.application import reason_of
from colorquant.spark.private import GATEWAY_PORT, error_of_worker, remove_numpy_converters

PROJECT = Path(__file__).resolve().parents[3]

_SEEN_BY_A_DRIVER = """
import json, os, sys
path, environment = list(sys.path), dict(os.environ)
from pyspark import SparkConf
from colorquant.spark.private import connect_to_jvm
before = SparkConf().get("spark.app.name")
connect_to_jvm()
print("SEEN " + json.dumps([path, sorted(environment), before, SparkConf().get("spark.app.name")]))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, bare_environment: dict[str, str]) -> tuple:
    """What the Python of a driver finds: its path, its variables, and its application's name before and after."""
    script = tmp_path_factory.mktemp("driver") / "driver.py"
    script.write_text(_SEEN_BY_A_DRIVER)
    run = subprocess.run(
        ["spark-submit", "--master", "local[1]", "--name", "a name", "--conf", "spark.ui.enabled=false", str(script)],
        env=bare_environment | {"PYTHONPATH": str(PROJECT / "spark_apps"), "PYSPARK_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=180,
    )
    (line,) = [line for line in run.stdout.splitlines() if line.startswith("SEEN ")] or [run.stderr]
    return tuple(json.loads(line.removeprefix("SEEN ")))


def test_gateway_port_is_what_spark_submit_sets(seen: tuple) -> None:
    assert GATEWAY_PORT in seen[1]


def test_ensure_initialized_gives_a_conf_the_settings_of_spark_submit(seen: tuple) -> None:
    assert seen[2:] == (None, "a name")


def test_spark_submit_puts_archives_of_pyspark_and_py4j_on_the_path(seen: tuple) -> None:
    """Which ``light_imports`` takes off it."""
    assert {Path(entry).name.split("-")[0] for entry in seen[0] if _is_pyspark_archive(entry)} == {
        "pyspark.zip",
        "py4j",
    }


def test_input_converter_holds_the_converters_of_numpy_which_are_taken_out() -> None:
    assert {"NumpyScalarConverter", "NumpyArrayConverter"} <= vars(types).keys()
    named = [type(each).__name__ for each in py4j.protocol.INPUT_CONVERTER]
    assert {"NumpyScalarConverter", "NumpyArrayConverter", "DatetimeConverter"} <= set(named)
    converters = list(py4j.protocol.INPUT_CONVERTER)
    try:
        remove_numpy_converters()
        left = [type(each).__name__ for each in py4j.protocol.INPUT_CONVERTER]
    finally:
        py4j.protocol.INPUT_CONVERTER[:] = converters
    assert left == [name for name in named if not name.startswith("Numpy")]


def test_daemon_manager_is_there() -> None:
    assert callable(pyspark.daemon.manager)


def test_spark_context_has_ensure_initialized() -> None:
    assert callable(SparkContext._ensure_initialized)


_IN_WORKERS = """
import os, sys
from colorquant.errors import Undecodable
from colorquant.spark import start_context
from colorquant.spark.application import reason_of, refusal_of

def fail(what):
    if what == "refused":
        raise Undecodable("'a.tif' is damaged: at 7; copy it again.")
    if what == "refused, of two lines":
        raise Undecodable("'a.tif' is damaged (one,\\ntwo).") from ValueError("a codec's")
    try:
        raise Undecodable("'a.tif' is damaged.")
    except Undecodable:
        raise MemoryError("too little")

context = start_context("test")
for what in ("refused", "refused, of two lines", "failed while it refused"):
    try:
        context.parallelize([what], 1).foreach(fail)
    except Exception as error:
        print("ERROR", refusal_of(error), "|", reason_of(error))
parents = context.parallelize([0], 1).map(lambda _: open(f"/proc/{os.getppid()}/cmdline").read()).collect()
print("DAEMON", *parents)
try:
    context._jvm.java.lang.Integer.parseInt("x")
except Exception as error:
    print("JVM", refusal_of(error), "|", reason_of(error).split(":")[0])
"""


@pytest.fixture(scope="module")
def printed(bare_environment: dict[str, str]) -> str:
    """What a driver says of errors that real workers raise."""
    run = subprocess.run(
        [sys.executable, "-c", _IN_WORKERS],
        env=bare_environment | {"PYTHONPATH": str(PROJECT / "spark_apps"), "SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_any_class_of_unsupported_image_that_a_worker_raises_is_a_refusal(printed: str) -> None:
    errors = [line for line in printed.splitlines() if line.startswith("ERROR")]
    assert errors[0].split(" | ")[0] == "ERROR 'a.tif' is damaged: at 7; copy it again."
    assert errors[1].split(" | ")[0] == "ERROR 'a.tif' is damaged (one, two)."


def test_an_error_while_a_worker_refuses_an_image_is_a_failure(printed: str) -> None:
    errors = [line for line in printed.splitlines() if line.startswith("ERROR")]
    assert errors[2] == "ERROR None | Py4JJavaError: MemoryError: too little"


def test_an_error_of_the_jvm_is_none_of_a_worker(printed: str) -> None:
    assert "JVM None | Py4JJavaError" in printed
    assert error_of_worker(ValueError("it\n\tat somewhere")) is None


def test_daemon_module_is_what_spark_starts(printed: str) -> None:
    (daemon,) = [line for line in printed.splitlines() if line.startswith("DAEMON")]
    assert "colorquant.spark.worker_daemon" in daemon


_STOPPED = """An error occurred while calling o33.parallelize.
: java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.
This stopped SparkContext was created at:

org.apache.spark.api.java.JavaSparkContext.<init>(JavaSparkContext.scala:53)
java.base/jdk.internal.reflect.NativeConstructorAccessorImpl.newInstance0(Native Method)
java.base/java.lang.Thread.run(Thread.java:840)

The currently active SparkContext was created at:

java.base/java.lang.Thread.run(Thread.java:840)
         \n\tat org.apache.spark.SparkContext.assertNotStopped(SparkContext.scala:122)
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_STOPPED, "java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext."),
        (
            "An error occurred while calling z:a.b.\n: org.apache.spark.SparkException: Job aborted: lost task\n"
            "Driver stacktrace:\n\tat a.b(C.scala:1)",
            "org.apache.spark.SparkException: Job aborted: lost task",
        ),
        ("no space left", "no space left"),
        ("first\nlast (of two)", "last (of two)"),
        ("java.base/java.lang.Thread.run(Thread.java:840)", ""),
        ("", ""),
    ],
)
def test_the_reason_is_what_the_jvm_says_and_not_a_frame_of_its_stack(text: str, reason: str) -> None:
    assert reason_of(RuntimeError(text)) == f"RuntimeError: {reason}"
