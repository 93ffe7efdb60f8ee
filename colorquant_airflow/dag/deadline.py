"""The deadline of runs: COMPRESSION_DEADLINE minutes after a run was queued, the notifier tells that it is not done."""

from importlib.metadata import entry_points

from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference  # type: ignore[attr-defined]  # Its stub has none.

from colorquant_airflow.durations import minutes

# The callback runs in the triggerer, whatever the executor is and however busy. The triggerer parses no DAG file, so it
# must find the module by itself: an installed package, or a file of the folder ``plugins``.
_INSTALLED = "colorquant_airflow.dag.notification.notify_of_late_run"
_OF_PLUGINS = "image_compression_deadline.notify_of_late_run"


def deadline() -> DeadlineAlert | None:
    """The alert of a DAG; None where COMPRESSION_DEADLINE is not set. Raises ValueError for anything but minutes."""
    interval = minutes("COMPRESSION_DEADLINE", None, "deadline")
    if interval is None:
        return None
    is_installed = any(point.value.startswith("colorquant_airflow.") for point in entry_points(group="airflow.plugins"))
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=interval,
        callback=AsyncCallback(_INSTALLED if is_installed else _OF_PLUGINS),
        name="COMPRESSION_DEADLINE",
    )
