"""The operator's own rules, with a spark-submit of a few lines; Spark's own is in tests/end_to_end."""

import os
import signal
import subprocess
import threading
import time
from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

import psutil
import pytest
from airflow.providers.apache.spark.operators import spark_submit
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout

from colorquant.jobs import JobFailure
from colorquant_airflow import private, processes
from colorquant_airflow.operators import CompressImageOperator, spark_job

_POPEN = subprocess.Popen


@pytest.fixture
def submit_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spark-submit of our own, first in PATH; the test writes what it does."""
    script = tmp_path / "bin" / "spark-submit"
    script.parent.mkdir()
    script.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[1]"}')
    return script


def _operator(tmp_path: Path, **kwargs: Any) -> CompressImageOperator:
    return CompressImageOperator(
        task_id="compress_image",
        failure=str(tmp_path / "failure.json"),
        name="{{ ds }}.png k=4",
        application_args=["--image={{ ds }}.png", "--k=4"],
        **kwargs,
    )


def test_the_base_replaces_nothing_of_the_providers_operator_but_what_is_public() -> None:
    """A private method of the same name would be called by the provider."""
    ours = {name for name in vars(spark_job.SparkJobOperator) if not name.startswith("__")}
    replaced = {name for name in ours if hasattr(SparkSubmitOperator, name)} - {"_abc_impl"}
    assert replaced == {"on_kill", "template_fields"}


@pytest.mark.parametrize(("exit_code", "is_final"), [(65, True), (2, True), (1, False), (137, False)])
def test_only_what_a_retry_can_mend_is_retried(
    tmp_path: Path, submit_script: Path, exit_code: int, is_final: bool
) -> None:
    submit_script.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    with pytest.raises(AirflowException) as caught:
        _operator(tmp_path).execute({})
    assert isinstance(caught.value, AirflowFailException) == is_final
    failure = JobFailure.read(tmp_path / "failure.json")
    assert failure.exit_code == exit_code
    assert str(exit_code) in failure.reason


def test_the_parent_run_of_openlineage_reaches_spark_submit(
    tmp_path: Path, submit_script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider adds its settings after the hook was made, to a new dict."""
    submit_script.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n')
    add = {"spark.openlineage.parentRunId": "the run"}
    for what in ("parent_job", "transport"):
        name = f"inject_{what}_information_into_spark_properties"
        monkeypatch.setattr(spark_submit, name, lambda conf, context: {**conf, **add})
    operator = _operator(tmp_path, conf={"spark.cores.max": "1"}, openlineage_inject_parent_job_info=True)
    operator.execute({})
    submitted = (tmp_path / "arguments").read_text()
    assert "--conf spark.openlineage.parentRunId=the run" in submitted
    assert "--conf spark.cores.max=1" in submitted and "--conf spark.driver.host=127.0.0.1" in submitted


class _Task:
    """What a context tells of the task instance."""

    run_id, map_index = "run", 3

    def __init__(self, try_number: int) -> None:
        self.try_number = try_number


def _try(tmp_path: Path, number: int, error: type[BaseException] = AirflowException, **kwargs: Any) -> str:
    operator = _operator(tmp_path, kills=str(tmp_path / "kills.json"), **kwargs)
    with pytest.raises(error) as caught:
        operator.execute({"ti": _Task(number)})  # type: ignore[typeddict-item]
    return str(caught.value)


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_an_image_that_killed_its_job_twice_is_refused_before_anything_starts(
    tmp_path: Path, submit_script: Path, signal_number: int
) -> None:
    submit_script.write_text(f"#!/bin/sh\necho try >> {tmp_path}/tries\nkill -{int(signal_number)} $$\n")
    for number in (1, 2):
        assert "has ended" not in _try(tmp_path, number)
        assert JobFailure.read(tmp_path / "failure.json").killed
    assert "has ended the process of its job 2 times" in _try(tmp_path, 3, AirflowFailException)
    failure = JobFailure.read(tmp_path / "failure.json")
    assert (failure.exit_code, failure.retryable) == (65, False)
    assert (tmp_path / "tries").read_text().splitlines() == ["try", "try"]
    # With force the plan gives no path.
    with pytest.raises(AirflowException):
        _operator(tmp_path, kills=None).execute({})
    assert len((tmp_path / "tries").read_text().splitlines()) == 3


@pytest.mark.parametrize("exit_code", [1, 2, 65, 128 + signal.SIGTERM, 128 + signal.SIGINT])
def test_other_failures_are_not_held_against_the_image(tmp_path: Path, submit_script: Path, exit_code: int) -> None:
    submit_script.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    for number in range(3):
        assert "has ended" not in _try(tmp_path, number)
    assert not (tmp_path / "kills.json").exists()


def test_what_the_job_says_of_its_time_and_memory_counts(tmp_path: Path, submit_script: Path) -> None:
    JobFailure.of(65, "a.png takes longer than 7 seconds", killed=True).write(tmp_path / "written.json")
    submit_script.write_text(f"#!/bin/sh\ncp {tmp_path}/written.json {tmp_path}/failure.json\nexit 65\n")
    for number in (1, 2):
        assert _try(tmp_path, number, AirflowFailException) == "a.png takes longer than 7 seconds"
    assert "(last: a.png takes longer than 7 seconds)" in _try(tmp_path, 3, AirflowFailException)


def test_a_time_limit_of_airflow_counts_too(tmp_path: Path, submit_script: Path) -> None:
    submit_script.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexec sleep 1000\n")

    def time_out(*_: Any) -> None:
        raise AirflowTaskTimeout("timed out")

    before = signal.signal(signal.SIGALRM, time_out)
    try:
        signal.setitimer(signal.ITIMER_REAL, 4)
        assert _try(tmp_path, 1, AirflowTaskTimeout) == "timed out"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    failure = JobFailure.read(tmp_path / "failure.json")
    assert failure.killed and "time limit" in failure.reason
    assert (tmp_path / "kills.json").exists()


def test_a_task_that_a_person_stopped_is_not_held_against_the_image(tmp_path: Path, submit_script: Path) -> None:
    submit_script.write_text("#!/bin/sh\nkill -9 $$\n")
    operator = _operator(tmp_path, kills=str(tmp_path / "kills.json"))
    operator._is_stopped = True
    with pytest.raises(AirflowException):
        operator.execute({"ti": _Task(1)})  # type: ignore[typeddict-item]
    assert not (tmp_path / "kills.json").exists()


def test_the_reason_that_the_job_wrote_is_the_tasks_error(tmp_path: Path, submit_script: Path) -> None:
    failure = JobFailure(image="a.png", k=4, reason="a.png is empty", exit_code=65, retryable=False)
    failure.write(tmp_path / "written.json")
    submit_script.write_text(f"#!/bin/sh\ncp {tmp_path}/written.json {tmp_path}/failure.json\nexit 65\n")
    with pytest.raises(AirflowFailException, match="^a.png is empty$"):
        _operator(tmp_path).execute({})


def test_the_reason_of_an_earlier_try_is_not_taken_for_this_ones(tmp_path: Path, submit_script: Path) -> None:
    old = JobFailure(image="a.png", k=4, reason="an old reason", exit_code=65, retryable=False)
    old.write(tmp_path / "failure.json")
    submit_script.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(AirflowException) as caught:
        _operator(tmp_path).execute({})
    assert "an old reason" not in str(caught.value)


def test_names_reach_spark_as_they_are(tmp_path: Path, submit_script: Path) -> None:
    submit_script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\n')
    operator = _operator(tmp_path)
    operator.render_template_fields({"ds": "2026-01-01"})
    operator.execute({})
    assert (tmp_path / "arguments").read_text().splitlines()[-2:] == ["--image={{ ds }}.png", "--k=4"]


def test_a_missing_connection_is_an_error_and_not_a_yarn_cluster(
    tmp_path: Path, submit_script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_SPARK_DEFAULT")
    submit_script.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-called\n")
    with pytest.raises(AirflowFailException, match="no Airflow connection 'spark_default'"):
        _operator(tmp_path).execute({})
    assert not (tmp_path / "was-called").exists()


def test_a_missing_spark_submit_is_named(tmp_path: Path, submit_script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing-here"))
    with pytest.raises(AirflowFailException, match="spark-submit is not on the PATH"):
        _operator(tmp_path).execute({})
    assert not JobFailure.read(tmp_path / "failure.json").retryable


def test_stopping_the_task_ends_every_process_also_those_with_a_group_of_their_own(
    tmp_path: Path, submit_script: Path
) -> None:
    """As Spark does: the JVM starts a Python driver, and PySpark's daemon puts itself into its own process group."""
    submit_script.write_text(
        f"#!/bin/sh\nsetsid sh -c 'sleep 1000 & wait' &\nsleep 1000 &\necho $$ > {tmp_path}/pid\nwait\n"
    )
    operator = _operator(tmp_path)
    started = subprocess.Popen(["spark-submit"], stdout=subprocess.PIPE)
    private.make_hook(operator)._submit_sp = started
    root = psutil.Process(started.pid)
    deadline = time.monotonic() + 20
    while len(root.children(recursive=True)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    family = [root, *root.children(recursive=True)]
    assert len(family) >= 4
    operator.on_kill()
    started.wait(timeout=10)
    assert [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []


def test_a_task_that_was_stopped_has_not_succeeded(tmp_path: Path, submit_script: Path) -> None:
    """Airflow calls on_kill at SIGTERM in the middle of execute, and takes what execute then does for the outcome."""
    submit_script.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexec sleep 1000\n")
    operator = _operator(tmp_path)

    def stop_when_started() -> None:
        while not (tmp_path / "started").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, lambda *_: operator.on_kill())
    threading.Thread(target=stop_when_started, daemon=True).start()
    try:
        with pytest.raises(AirflowException, match="stopped") as caught:
            operator.execute({})
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not isinstance(caught.value, AirflowFailException), "it is to be tried again"
    assert JobFailure.read(tmp_path / "failure.json").retryable


@pytest.mark.parametrize("step", ["spark_connection", "class_archive"])
def test_a_task_that_is_stopped_before_its_job_starts_none(
    step: str, tmp_path: Path, submit_script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit_script.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-called\n")
    operator = _operator(tmp_path)
    real = attrgetter(step)(spark_job)

    def stopped_there(*arguments: Any, **options: Any) -> Any:
        operator.on_kill()
        return real(*arguments, **options)

    monkeypatch.setattr(f"colorquant_airflow.operators.spark_job.{step}", staticmethod(stopped_there))
    with pytest.raises(AirflowException, match="stopped before its job began") as caught:
        operator.execute({})
    assert not isinstance(caught.value, AirflowFailException), "it is to be tried again"
    assert not (tmp_path / "was-called").exists()
    assert JobFailure.read(tmp_path / "failure.json").retryable


def test_a_task_that_is_stopped_while_its_job_starts_ends_it(
    tmp_path: Path, submit_script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is there, and the provider does not know it yet."""
    submit_script.write_text(f"#!/bin/sh\nsleep 10\ntouch {tmp_path}/done\n")
    operator = _operator(tmp_path)
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: Any, **options: Any) -> "subprocess.Popen[str]":
        started.append(_POPEN(*arguments, **options))
        operator.on_kill()
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(AirflowException, match="stopped"):
        operator.execute({})
    assert started[0].poll() is not None
    assert not (tmp_path / "done").exists(), "the job went on"


@pytest.mark.parametrize(
    ("printed", "reason", "is_final"),
    [
        (
            "Exception in thread \"main\" org.apache.spark.SparkException: When running with master 'yarn' either "
            "HADOOP_CONF_DIR or YARN_CONF_DIR must be set in the environment.",
            "set HADOOP_CONF_DIR",
            True,
        ),
        ("Error occurred during initialization of VM\nMultiple garbage collectors selected", "JAVA_TOOL_OPTIONS", True),
        ("26/11/26 ERROR StandaloneSchedulerBackend: All masters are unresponsive! Giving up.", "start it", False),
        (
            "26/11/26 ERROR SparkContext: Error initializing SparkContext.\njava.net.BindException: Cannot assign "
            "requested address: Service 'sparkDriver' failed after 16 retries",
            "SPARK_LOCAL_IP",
            True,
        ),
        (
            'Exception in thread "main" a.B: c\nCaused by: java.net.UnknownHostException: hdfs-host: Name or service '
            "not known",
            "UnknownHostException: hdfs-host: Name or service not known. DNS does not know this host",
            True,
        ),
        (
            "py4j.Py4JError: a\nCaused by: java.lang.IllegalStateException: b\n\tat c",
            "IllegalStateException: b",
            False,
        ),
        ("java.io.FileNotFoundException: tzdb.dat (Too many open files)", "Raise the limit of open files", True),
        ("nothing that names a cause", "its last lines are above", False),
    ],
)
def test_the_line_that_matters_is_the_reason_and_what_cannot_change_is_not_retried(
    printed: str, reason: str, is_final: bool, tmp_path: Path, submit_script: Path
) -> None:
    (tmp_path / "printed").write_text(f"WARNING: first\n{printed}\n" + "\tat a.b.C(D.java:1)\n" * 40 + "shutdown\n")
    submit_script.write_text(f"#!/bin/sh\ncat {tmp_path}/printed >&2\nexit 1\n")
    with pytest.raises(AirflowException) as caught:
        _operator(tmp_path).execute({})
    assert reason in str(caught.value) and "\n" not in str(caught.value)
    assert isinstance(caught.value, AirflowFailException) == is_final
    failure = JobFailure.read(tmp_path / "failure.json")
    assert (failure.reason, failure.retryable) == (str(caught.value), not is_final)


def test_a_master_that_does_not_answer_is_named_and_asked_again_later(
    tmp_path: Path, submit_script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be restarted while a run goes on."""
    submit_script.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-called\n")
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", "spark://127.0.0.1:9")
    with pytest.raises(AirflowException, match="spark://127.0.0.1:9 .* does not answer .Connection refused.") as caught:
        _operator(tmp_path).execute({})
    assert not isinstance(caught.value, AirflowFailException)
    assert JobFailure.read(tmp_path / "failure.json").reason == str(caught.value)
    assert not (tmp_path / "was-called").exists()


_NO_WORKER = "26/11/26 WARN TaskSchedulerImpl: Initial job has not accepted any resources; check your cluster UI"


@pytest.mark.parametrize("exit_code", [0, 1])
def test_a_job_that_waits_for_a_worker_says_so_until_it_goes_on(
    exit_code: int, tmp_path: Path, submit_script: Path
) -> None:
    copied = tmp_path / "meanwhile.json"
    submit_script.write_text(
        f"#!/bin/sh\necho '{_NO_WORKER}'\necho '{_NO_WORKER}'\n"
        f"until [ -s {tmp_path}/failure.json ]; do sleep 0.1; done\ncp {tmp_path}/failure.json {copied}\n"
        f"echo 'java.lang.IllegalStateException: another one'\nexit {exit_code}\n"
    )
    if exit_code == 0:
        _operator(tmp_path).execute({})
        assert not (tmp_path / "failure.json").exists()
    else:
        with pytest.raises(AirflowException, match="IllegalStateException: another one"):
            _operator(tmp_path).execute({})
        assert "another one" in JobFailure.read(tmp_path / "failure.json").reason
    assert "local[1] has no worker with free cores and memory" in JobFailure.read(copied).reason


def test_a_job_that_waits_too_long_is_ended_and_not_tried_again(
    tmp_path: Path, submit_script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_job, "WORKER_TIMEOUT", timedelta(0))
    submit_script.write_text(
        f"#!/bin/sh\necho $$ >{tmp_path}/pid\necho '{_NO_WORKER}'\necho '{_NO_WORKER}'\nexec sleep 600\n"
    )
    with pytest.raises(AirflowFailException, match="has no worker .* at most 0 minutes .COMPRESSION_WORKER_TIMEOUT"):
        _operator(tmp_path).execute({})
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    failure = JobFailure.read(tmp_path / "failure.json")
    assert not failure.retryable and not failure.killed


@pytest.mark.parametrize(("soft", "hard", "allowed"), [(64, 4096, 4096), (64, 300, 300), (5000, 5000, 5000)])
def test_a_job_may_open_the_files_that_spark_needs(
    soft: int, hard: int, allowed: int, tmp_path: Path, submit_script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell of macOS allows 256 files, and Spark's JVM opens some 300 jars."""
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(processes.resource, "getrlimit", lambda which: (soft, hard))
    monkeypatch.setattr(processes.resource, "setrlimit", lambda which, given: limits.append(given))
    submit_script.write_text("#!/bin/sh\n")
    _operator(tmp_path).execute({})
    assert limits == ([] if soft >= allowed else [(allowed, hard)])
