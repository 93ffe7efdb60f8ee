"""The figures of a run reach the metrics that Airflow's settings name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.observability import stats

from colorquant.jobs.plan import run_folder
from colorquant.report import read_summary
from colorquant_airflow.dag.reporting import summarize
from tests.colorquant_airflow.dag.test_publishing import compressed


class Received:
    """A backend of Airflow's metrics that keeps what it gets."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def incr(self, stat: str, count: int = 1, *, tags: dict[str, str], **_: Any) -> None:
        assert tags == {"dag_id": "kmeans_image_compression"}
        self.values[stat] = count

    def gauge(self, stat: str, value: float, *, tags: dict[str, str], **_: Any) -> None:
        assert tags == {"dag_id": "kmeans_image_compression"}
        self.values[stat] = value


@pytest.fixture
def received() -> Iterator[Received]:
    backend = Received()
    stats.initialize(factory=lambda: backend, export_legacy_names=False)  # type: ignore[arg-type,return-value]
    yield backend
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger

    stats.initialize(factory=NoStatsLogger, export_legacy_names=False)


def test_the_totals_of_the_report_are_counted(received: Received, photographs: Path, tmp_path: Path) -> None:
    context = compressed("run", images=str(photographs), output=str(tmp_path), ks=[4], target="psnr=15")
    summarize(context)
    totals = read_summary(run_folder(tmp_path, "run") / "summary.json").totals
    assert totals.chosen is not None and totals.chosen.bytes < totals.chosen.original_bytes
    assert received.values == {
        "image_compression.jobs_done": 2,
        "image_compression.jobs_reused": 0,
        "image_compression.jobs_failed": 0,
        "image_compression.seconds": round(totals.seconds),
        "image_compression.images": 2,
        "image_compression.images_compressed": 2,
        "image_compression.regressed": 0,
        "image_compression.bytes_before": totals.chosen.original_bytes,
        "image_compression.bytes_after": totals.chosen.bytes,
        "image_compression.low_quality": totals.chosen.low_quality,
    }
