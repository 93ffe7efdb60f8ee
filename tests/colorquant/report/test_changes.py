"""Night over night: nights with images that come, go, change and break, and with other settings."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from colorquant.jobs.plan import RunRequest, plan_run, run_folder
from colorquant.jobs.records import CompressionResult
from colorquant.report import read_summary, summarize_run
from colorquant.report.changes import Move
from colorquant.report.summary import Summary
from colorquant.settings import Settings
from colorquant.storage.atomic import sha256_of
from tests.unprivileged import close


class Nights:
    """Runs on one library, one a day."""

    def __init__(self, library: Any) -> None:
        self.library, self.count = library, 0

    def next(self, ks: tuple[int, ...] = (2, 8), settings: Settings | None = None, pattern: str = "*") -> Summary:
        self.count += 1
        run_id, folders = f"night {self.count}", (str(self.library.images), str(self.library.output))
        plan = plan_run(
            RunRequest(
                run_id=run_id,
                images=folders[0],
                ks=ks,
                output=folders[1],
                settings=settings or Settings(),
                pattern=pattern,
            )
        )
        for job in plan.pending():
            try:
                self.library.compress(job)
            except OSError:
                self.library.fail(job, "no image")
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=self.count)
        return summarize_run(plan, self.folder(run_id), at)

    def folder(self, run_id: str) -> Path:
        return run_folder(self.library.output, run_id)


@pytest.fixture
def nights(library: Any) -> Nights:
    library.add("a.png")
    library.add("b.png")
    return Nights(library)


def test_the_first_run_has_nothing_to_compare_with(nights: Nights) -> None:
    assert nights.next().changes is None


def test_a_quiet_night_says_that_nothing_changed(nights: Nights) -> None:
    nights.next()
    changes = nights.next().changes
    assert changes is not None
    assert changes.nothing
    assert changes.run_id == "night 1"
    assert "Nothing has changed" in (nights.folder("night 2") / "summary.html").read_text()
    assert changes.sentence() == "Since run night 1: nothing changed."


def test_images_that_come_go_change_break_and_are_mended_are_told(nights: Nights, picture: Any) -> None:
    nights.library.add("d.png")
    nights.next()
    before = (nights.library.images / "b.png").read_bytes()
    removed_output = next((nights.library.output / "compressed" / "a.png").rglob("*.png"))
    (nights.library.images / "a.png").unlink()
    nights.library.add_bytes("b.png", b"no image")
    nights.library.add("c <b>.png")
    nights.library.add("d.png", picture(seed=5))
    changes = nights.next().changes
    assert changes is not None
    assert (changes.added, changes.removed) == (("c <b>.png",), ("a.png",))
    assert changes.failed == (("b.png", 2), ("b.png", 8))
    assert [(move.image, move.k, move.same_image) for move in changes.moved] == [
        ("d.png", 2, False),
        ("d.png", 8, False),
    ]
    assert changes.recomputed == 2
    assert changes.regressed == [], "another original has another quality: that is no regression"
    assert removed_output.exists(), "outputs of a removed image are kept"
    page = (nights.folder("night 2") / "summary.html").read_text()
    assert "c &lt;b&gt;.png" in page
    assert "Newly failed" in page

    nights.library.add_bytes("b.png", before)
    changes = nights.next().changes
    assert changes is not None
    assert changes.mended == (("b.png", 2), ("b.png", 8))
    assert changes.moved == ()


def test_what_lies_in_a_folder_that_cannot_be_read_is_neither_removed_nor_added(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.library.add("away/x.png")
    nights.library.add("awayward.png")
    nights.next()
    (nights.library.images / "awayward.png").unlink()
    with monkeypatch.context() as patched:
        close(patched, nights.library.images / "away")
        summary = nights.next()
    assert summary.changes and summary.changes.removed == ("awayward.png",)
    assert summary.unreadable == {"away": "Permission denied"}
    assert "NOT READ away: Permission denied" in summary.table()
    page = (nights.folder("night 2") / "summary.html").read_text()
    assert '<h2 id="unreadable-title">Not read</h2>' in page and '<b class="filename">away</b>' in page
    changes = nights.next().changes
    assert changes and changes.added == ()


def test_a_loss_of_quality_of_the_same_original_is_warned_of(nights: Nights) -> None:
    """Other software has made a worse output: here a record that says so, of an output that is one byte longer."""
    nights.next()
    record = next((nights.library.output / "compressed" / "a.png").rglob("k008.json"))
    result = CompressionResult.read(record)
    with open(result.output, "ab") as stream:
        stream.write(b"\0")
    worse = dataclasses.replace(
        result, psnr_db=(result.psnr_db or 0) - 0.5, ssim=result.ssim - 0.01, output_sha256=sha256_of(result.output)
    )
    worse.write(record)
    changes = nights.next().changes
    assert changes is not None
    (move,) = changes.regressed
    assert (move.image, move.k, move.same_image) == ("a.png", 8, True)
    assert move.psnr_db_before is not None and move.psnr_db is not None
    assert move.psnr_db_before - move.psnr_db == pytest.approx(0.5)
    assert "WARNING: the quality of 1 outputs regressed." in changes.sentence()
    assert (
        "<b>Warning:</b> the quality of 1 output regressed" in (nights.folder("night 2") / "summary.html").read_text()
    )


def test_another_setting_is_named(nights: Nights) -> None:
    nights.next()
    changes = nights.next(settings=Settings(seed=7)).changes
    assert changes is not None
    assert changes.settings == {"seed": (0, 7)}
    assert changes.recomputed == 4


def test_it_compares_with_the_latest_run_before_it_on_the_same_folder(nights: Nights, tmp_path: Path) -> None:
    nights.next()
    nights.next(ks=(2,))
    other = tmp_path / "other images"
    other.mkdir()
    (other / "x.png").write_bytes((nights.library.images / "a.png").read_bytes())
    elsewhere = plan_run(RunRequest(run_id="elsewhere", images=str(other), ks=(2,), output=str(nights.library.output)))
    nights.library.compress(elsewhere.jobs[0])
    summarize_run(elsewhere, nights.folder("elsewhere"), datetime(2026, 1, 3, 12, tzinfo=UTC))
    (nights.folder("broken") / "x").parent.mkdir(parents=True)
    (nights.folder("broken") / "summary.json").write_text("{")
    changes = nights.next().changes
    assert changes is not None
    assert changes.run_id == "night 2"
    assert changes.recomputed == 0
    # A run that is summarized again has itself beside it, and later ones.
    again = plan_run(
        RunRequest(run_id="night 2", images=str(nights.library.images), ks=(2,), output=str(nights.library.output))
    )
    changes = summarize_run(again, nights.folder("night 2"), datetime(2026, 1, 3, tzinfo=UTC)).changes
    assert changes is not None
    assert changes.run_id == "night 1"


def test_a_run_of_some_images_is_compared_with_none_of_all(nights: Nights) -> None:
    """It would tell the others as removed, and the next run of all would tell them as added."""
    nights.next()
    assert nights.next(pattern="a.png").changes is None
    (nights.library.images / "b.png").unlink()
    changes = nights.next().changes
    assert changes is not None
    assert (changes.run_id, changes.added, changes.removed) == ("night 1", (), ("b.png",))
    changes = nights.next(pattern="a.png").changes
    assert changes is not None
    assert changes.run_id == "night 2" and changes.nothing


def test_what_is_written_can_be_read(nights: Nights) -> None:
    nights.next()
    nights.library.add("b.png", None)
    (nights.library.images / "a.png").unlink()
    written = nights.next(settings=Settings(seed=1))
    path = nights.folder("night 2") / "summary.json"
    assert read_summary(path) == written
    old = json.loads(path.read_text())
    del old["changes"], old["pattern"]
    path.write_text(json.dumps(old))
    summary = read_summary(path)
    assert (summary.changes, summary.pattern) == (None, None), "summaries of before can still be read"


@pytest.mark.parametrize(
    ("before", "now", "ssim_lost", "regressed"),
    [
        (30.0, 29.95, 0.0, False),
        (30.0, 29.8, 0.0, True),
        (30.0, 31.0, 0.0, False),
        (30.0, 30.0, 0.002, True),
        (None, 60.0, 0.0, True),
        (60.0, None, 0.0, False),
        (None, None, 0.0, False),
    ],
)
def test_a_regression_is_more_than_the_tolerance(
    before: float | None, now: float | None, ssim_lost: float, regressed: bool
) -> None:
    move = Move(
        image="a.png",
        k=4,
        same_image=True,
        ratio_before=2.0,
        ratio=3.0,
        psnr_db_before=before,
        psnr_db=now,
        ssim_before=0.9,
        ssim=0.9 - ssim_lost,
    )
    assert move.regressed == regressed
    assert not dataclasses.replace(move, same_image=False).regressed
