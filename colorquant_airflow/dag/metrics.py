"""Figures of a run for Airflow's metrics: StatsD or OpenTelemetry, where the deployment has set them up."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from colorquant.report import Summary


def send_metrics(dag_id: str, summary: "Summary") -> None:
    """Send the totals of a report. Without metrics in Airflow's settings, nothing is sent.

    What is of one run is counted: jobs by their state, and the seconds of those that the run computed. What is of the
    whole library is a gauge, which the next run replaces.
    """
    from airflow.sdk.observability import stats

    tags = {"dag_id": dag_id}
    totals = summary.totals
    for state in ("done", "reused", "failed"):
        stats.incr(f"image_compression.jobs_{state}", getattr(totals, state), tags=tags)
    stats.incr("image_compression.seconds", round(totals.seconds), tags=tags)
    regressed = summary.changes.count("regressed") if summary.changes else 0
    gauges = {"images": totals.images, "images_compressed": totals.images_compressed, "regressed": regressed}
    if chosen := totals.chosen:
        gauges |= {"bytes_before": chosen.original_bytes, "bytes_after": chosen.bytes}
        gauges |= {"low_quality": chosen.low_quality or 0}
    for name, value in gauges.items():
        stats.gauge(f"image_compression.{name}", value, tags=tags)
