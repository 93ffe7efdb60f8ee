"""Every name of Airflow and of its Spark provider that is not public and that this project relies on.

Public, and stable between minor releases, are ``airflow.sdk``, ``airflow.plugins_manager``, the REST API, and the
documented names of providers. All other names may move with any release. Only this module uses such names. For each
there is a test that fails and names it when an upgrade has moved it (``tests/colorquant_airflow/test_private.py``).

The modules of Airflow are imported on first use: a task does not need those of the API server.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from colorquant.lazy import imported_on_first_use

if TYPE_CHECKING:
    import subprocess

    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.common.db.common import SessionDep
    from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
    from airflow.listeners import hookimpl
    from airflow.models.dagrun import DagRun
    from airflow.models.pool import Pool
    from airflow.models.xcom import XComModel
    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
    from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
    from airflow.timetables.trigger import CronTriggerTimetable
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

__all__ = [
    "CronTriggerTimetable",
    "DagAccessEntity",
    "DagRun",
    "DagRunType",
    "GetUserDep",
    "Pool",
    "SessionDep",
    "XComModel",
    "before_log",
    "connection_id",
    "create_session",
    "hook_of",
    "hookimpl",
    "make_hook",
    "requires_access_dag",
    "skip_task",
    "submit_command",
    "submit_process",
    "take_environment",
    "use_conf",
]

#: Names of Airflow, and the modules below ``airflow`` that define them.
AIRFLOW_NAMES = {
    # The web application of the API server: sessions of the database, and who may read what.
    "DagAccessEntity": "api_fastapi.auth.managers.models.resource_details",
    "GetUserDep": "api_fastapi.core_api.security",
    "SessionDep": "api_fastapi.common.db.common",
    "requires_access_dag": "api_fastapi.core_api.security",
    # Tables of the metadata database, and a session outside of the API server.
    "create_session": "utils.session",
    "DagRun": "models.dagrun",
    "Pool": "models.pool",
    "XComModel": "models.xcom",
    # What marks a method as a listener's.
    "hookimpl": "listeners",
    # The SDK's class of this name accepts any text; this one can check it.
    "CronTriggerTimetable": "timetables.trigger",
    # The SDK accepts these run types, and has no public name for them.
    "DagRunType": "utils.types",
}

__getattr__ = imported_on_first_use("airflow", AIRFLOW_NAMES)


def skip_task(task_id: str) -> None:
    """Let Airflow skip an unmapped task after the one that runs, which then goes on.

    Public is only an exception for that, with which a task returns nothing to map over.
    """
    from airflow.sdk.execution_time.comms import SkipDownstreamTasks
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    SUPERVISOR_COMMS.send(SkipDownstreamTasks(tasks=[task_id]))


def connection_id(operator: "SparkSubmitOperator") -> str:
    """The ``conn_id`` that the operator was made with."""
    return operator._conn_id


def hook_of(operator: "SparkSubmitOperator") -> "SparkSubmitHook | None":
    """The hook that the operator uses; None before it has one."""
    return operator._hook


def make_hook(operator: "SparkSubmitOperator") -> "SparkSubmitHook":
    """Make the hook that the operator's ``execute`` will use. It has a copy of the operator's ``conf``."""
    operator._hook = operator._get_hook()
    return operator._hook


def submit_command(hook: "SparkSubmitHook", application: str) -> list[str]:
    """The command line by which the hook submits an application."""
    return hook._build_spark_submit_command(application)


def take_environment(hook: "SparkSubmitHook") -> dict[str, str]:
    """Take the operator's ``env_vars`` out of the hook, which would add this process's whole environment to them."""
    taken, hook._env_vars = hook._env_vars or {}, None
    return {name: str(value) for name, value in taken.items()}


def use_conf(hook: "SparkSubmitHook", conf: Mapping[str, str]) -> None:
    """Let the hook submit with these Spark settings in place of those that it was made with."""
    hook._conf = dict(conf)


def submit_process(hook: "SparkSubmitHook | None") -> "subprocess.Popen[str] | None":
    """The process of spark-submit; None before the hook has started it, or without a hook."""
    return None if hook is None else hook._submit_sp


def before_log(
    hook: "SparkSubmitHook", act: Callable[[], None], keep: Callable[[Iterator[str]], Iterator[str]] = iter
) -> None:
    """Have the hook call ``act`` as soon as ``submit_process`` is known, before it reads spark-submit's output.

    ``keep`` gets the lines of the output, and passes them on to the hook.
    """
    read_log = hook._process_spark_submit_log

    def act_and_read_log(lines: Iterator[str]) -> None:
        act()
        read_log(keep(lines))

    hook._process_spark_submit_log = act_and_read_log  # type: ignore[method-assign,assignment]
