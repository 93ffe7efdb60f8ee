"""A publication that waits for a person: what is asked, and what becomes of each answer."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from colorquant.jobs.plan import run_folder
from colorquant.publish.folder import verify
from colorquant.publish.manifest import MANIFEST, Manifest
from colorquant.report import REVIEW, Review
from colorquant_airflow.dag import library_params
from colorquant_airflow.dag.approval import KEEP, PUBLISH, SummarizeOperator
from colorquant_airflow.dag.planning import write_plan
from colorquant_airflow.xcoms import PUBLISHED
from tests.colorquant_airflow.dag.test_publishing import compressed

ADMIN = {"id": "1", "name": "admin"}


class Asked:
    """A run whose task has come to its end or waits; ``question`` is what Airflow keeps for the UI."""

    def __init__(self, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.context, self.question = context, {}  # type: Any, dict[str, Any]
        monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **given: self.question.update(given))
        with DAG("kmeans_image_compression", schedule=None):
            self.operator = SummarizeOperator(task_id="summarize", execution_timeout=timedelta(hours=2))
        context["dag"] = SimpleNamespace(roots=[], dag_id="kmeans_image_compression")
        context["task_instance"] = SimpleNamespace(id="0")
        self.waits = False
        try:
            self.operator.execute(context)
        except TaskAwaitingInput as waiting:
            self.waits = True
            assert (waiting.method_name, waiting.timeout) == ("execute_complete", timedelta(hours=12))

    def answer(self, option: str, by: dict[str, str] | None = ADMIN) -> None:
        event = {"chosen_options": [option], "params_input": {}, "responded_at": datetime.now(UTC)}
        self.operator.execute_complete(self.context, event | {"responded_by_user": by})


@pytest.fixture
def params(photographs: Path, tmp_path: Path) -> dict[str, Any]:
    folders = {"images": str(photographs), "output": str(tmp_path / "out"), "publish": str(tmp_path / "site")}
    return folders | {"ks": [4, 64], "target": "psnr=20", "approval": True}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


def test_nothing_is_published_before_somebody_says_yes(
    params: dict[str, Any], site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(compressed("run", **params), monkeypatch)
    assert asked.waits and not site.exists()
    assert (run_folder(tmp_path / "out", "run") / "summary.html").exists(), "the report is there to look at"
    assert asked.question["options"] == [PUBLISH, KEEP]
    assert asked.question["subject"] == f"Publish to {site}? Of 0 published images: 2 added."
    body = asked.question["body"]
    assert "2 of 2 images compressed, 0 jobs failed." in body
    assert "**Added: 2**" in body and r"- sub folder\/two\.jpg" in body
    assert "/plugin/image-compression/image-compression/runs/kmeans_image_compression/run/review)" in body
    assert "SSIMULACRA2" in body and "/images/1?job=" in body and "/images/1/thumbnail)" in body
    until = datetime.fromisoformat(asked.context["told"][PUBLISHED]["waits"])
    assert timedelta(hours=11) < until - datetime.now(UTC) <= timedelta(hours=12)
    asked.answer(PUBLISH)
    assert verify(site) == [] and len(Manifest.read(site / MANIFEST).files) == 2
    assert asked.context["told"][PUBLISHED]["files"] == 2


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"chosen_options": [KEEP], "params_input": {}, "responded_by_user": ADMIN}, "admin has refused it"),
        (
            {"error": "The response timeout has passed.", "error_type": "timeout"},
            "nobody has approved it within 12 hours",
        ),
    ],
)
def test_refused_or_not_answered_the_old_files_stay_and_the_run_says_so(
    event: dict[str, Any],
    told: str,
    params: dict[str, Any],
    site: Path,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Asked(compressed("old", **params), monkeypatch).answer(PUBLISH)
    (photographs / "one.png").unlink()
    asked = Asked(compressed("new", **params), monkeypatch)
    assert "**Removed: 1**" in asked.question["body"]
    with pytest.raises(AirflowFailException, match=f"Nothing is published: {told}. What was published before stays"):
        asked.operator.execute_complete(asked.context, event | {"responded_at": datetime.now(UTC)})
    assert Manifest.read(site / MANIFEST).run_id == "old" and verify(site) == []
    assert asked.context["told"][PUBLISHED] == {"refused": f"{told}."}
    review = Review.read(run_folder(tmp_path / "out", "new") / REVIEW)
    assert (review.approved, review.answer) == (False, told)


def test_a_publication_that_shrinks_by_half_needs_a_person_and_no_publish_anyway(
    params: dict[str, Any], site: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Asked(compressed("old", **params), monkeypatch).answer(PUBLISH)
    (photographs / "one.png").unlink()
    with pytest.raises(AirflowFailException, match="1 of 2 published images would disappear"):
        Asked(compressed("without", **params | {"approval": False}), monkeypatch)
    asked = Asked(compressed("with", **params), monkeypatch)
    assert asked.question["subject"].endswith("Of 2 published images: 1 removed.")
    asked.answer(PUBLISH)
    assert [file.image for file in Manifest.read(site / MANIFEST).files] == ["sub folder/two.jpg"]


def test_a_run_that_changes_nothing_asks_nobody(
    params: dict[str, Any], site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Asked(compressed("first", **params), monkeypatch).answer(PUBLISH)
    assert not Asked(compressed("second", **params), monkeypatch).waits
    assert Manifest.read(site / MANIFEST).run_id == "second"


def test_a_try_after_an_approved_one_does_not_ask_again_unless_something_else_would_change(
    params: dict[str, Any], site: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from colorquant.publish import folder

    asked = Asked(compressed("run", **params), monkeypatch)
    with monkeypatch.context() as full:
        full.setattr(folder, "_sync", lambda version: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(OSError):
            asked.answer(PUBLISH)
    assert not site.exists()
    assert not Asked(asked.context, monkeypatch).waits
    assert verify(site) == []

    (photographs / "one.png").unlink()
    write_plan(asked.context)
    assert Asked(asked.context, monkeypatch).waits


def test_by_default_nobody_is_asked_and_a_setting_asks_at_every_publication(monkeypatch: pytest.MonkeyPatch) -> None:
    assert library_params()["approval"].value is False
    monkeypatch.setenv("COMPRESSION_APPROVAL", "1")
    assert library_params()["approval"].value is True
