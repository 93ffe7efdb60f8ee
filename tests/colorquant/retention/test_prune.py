"""Old runs go, with the outputs that only they named; whatever is needed, or is somebody else's, stays."""

import dataclasses
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from colorquant.errors import InvalidSetting, PruneRefused
from colorquant.jobs import pauses
from colorquant.jobs.memory import Memory
from colorquant.jobs.plan import Plan, RunRequest, plan_run, run_folder
from colorquant.publish import Edition, Manifest, publish, verify
from colorquant.report import candidates_of, read_repetition, read_summary
from colorquant.report.run import summarize_run
from colorquant.retention import Keep, prune, pruned_before
from colorquant.retention.prune import _in_order
from colorquant.storage import files_below, json_record, paths, sha256_of
from tests.colorquant.report.conftest import Library, photograph
from tests.more_stores import Emulator

PROJECT = Path(__file__).resolve().parents[3]
START = datetime.now(UTC)
KS = (2, 8)


class Nights(Library):
    """A library whose runs are a day apart. Files are as old as this test: a prune is told what day it is."""

    def night(self, number: int, published: Path | None = None, ks: tuple[int, ...] = KS, name: str = "night") -> Plan:
        run_id = f"{name} {number}"
        at = START + timedelta(days=number)
        request = RunRequest(
            run_id=run_id,
            images=str(self.images),
            ks=ks,
            output=str(self.output),
            publish=str(published) if published else None,
            target="psnr=1",
        )
        plan = dataclasses.replace(plan_run(request), planned_at=at.isoformat())
        for job in plan.pending():
            self.compress(job)
        folder = self.folder(run_id)
        plan.write(folder / "plan.json")
        summary = summarize_run(plan, folder, at)
        os.utime(folder / "summary.json", (number, number))
        if published:
            edition = Edition(run_id=run_id, planned_at=plan.planned_at, written_at=summary.written_at)
            publish(candidates_of(plan, summary, folder), published, edition)
        return plan

    def prune(self, number: float, **more: Any) -> Any:
        """Prune on a day."""
        return prune(self.output, now=(START + timedelta(days=number)).timestamp(), **{"delete": True} | more)

    def files(self) -> set[str]:
        return set(files_below(self.output)) - {"runs/pruned.json"}

    def runs(self) -> set[str]:
        return {path.parent.name for path in (self.output / "runs").glob("*/plan.json")}

    def folders(self, *numbers: int) -> set[str]:
        return {self.folder(f"night {number}").name for number in numbers}


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    """Five nights. Image 0 changes each night, image 1 is removed after the second, image 2 stays."""
    library = Nights(tmp_path)
    for number in range(3):
        library.add(f"image {number}.png", photograph(seed=number))
    for number in range(1, 6):
        library.add("image 0.png", photograph(seed=100 + number))
        if number == 3:
            (library.images / "image 1.png").unlink()
        library.night(number)
    return library


def _holds(library: Nights) -> None:
    """Every report that is there has all its outputs, unchanged."""
    for path in (library.output / "runs").glob("*/summary.json"):
        for row in read_summary(path).rows:
            assert row.output is not None
            assert sha256_of(path.parent / row.output) == row.output_sha256, (path, row.image, row.k)


KEEP = Keep(runs=2, days=0, pages=1)


def test_old_runs_go_and_with_them_what_only_they_named(nights: Nights) -> None:
    before = nights.files()
    told = nights.prune(6, keep=KEEP, delete=False)
    assert nights.files() == before, "a dry run"
    size = sum((nights.output / path).stat().st_size for path in told.files)
    done = nights.prune(6, keep=KEEP)
    assert (done.files, done.runs, done.bytes) == (told.files, told.runs, size)
    assert nights.files() == before - told.files.keys()
    assert nights.runs() == nights.folders(4, 5) == {run for run in nights.runs() if run not in done.runs}
    _holds(nights)
    # Image 0 of two nights, and image 2, at two k; image 1 is nowhere.
    assert len([path for path in nights.files() if path.endswith(".png") and "/k0" in path]) == 6
    assert done.outputs == 2 * (3 + 1)
    assert not (nights.output / "compressed" / "image 1.png").exists()
    assert pruned_before(nights.output) == (START + timedelta(days=6)).timestamp()
    assert nights.prune(6, keep=KEEP).files == {}
    nights.night(6)
    _holds(nights)


def test_runs_are_kept_by_number_or_by_age(nights: Nights) -> None:
    assert nights.prune(6, keep=Keep(runs=1, days=3, pages=9)).runs == [
        nights.folder(f"night {number}").name for number in (2, 1)
    ]
    assert nights.runs() == nights.folders(3, 4, 5)
    nights.prune(1000, keep=Keep(runs=2, days=3, pages=9))
    assert nights.runs() == nights.folders(4, 5), "however old they are"


def test_the_run_that_a_kept_one_repeats_stays(nights: Nights) -> None:
    for number in (6, 7, 8):
        nights.night(number)
    assert read_repetition(nights.folder("night 8") / "summary.json").same_run_id == "night 5"  # type: ignore[union-attr]
    nights.prune(9, keep=KEEP)
    assert nights.runs() == nights.folders(5, 7, 8)
    _holds(nights)
    page = (nights.folder("night 5") / "summary.html").read_text()
    assert "was pruned" not in page and "data:image/" in page


def test_pages_of_older_runs_say_that_they_were_pruned_and_figures_stay(nights: Nights) -> None:
    keep = Keep(runs=4, days=0, pages=2)
    before = {n: (nights.folder(f"night {n}") / "summary.json").read_bytes() for n in (2, 3, 4, 5)}
    done = nights.prune(6, keep=keep)
    assert set(done.pages) == nights.folders(2, 3)
    for number in (2, 3, 4, 5):
        folder = nights.folder(f"night {number}")
        page = (folder / "summary.html").read_text()
        assert ("The page of this report was pruned" in page) == (number < 4)
        assert (folder / "summary.csv").exists()
        assert (folder / "summary.json").read_bytes() == before[number]
        for sheet in (link for link in page.split('"') if "/sheet-" in link):
            assert (folder / sheet.replace("%20", " ")).is_file()
    assert len(nights.sheets()) == 3, "those of the pages that are kept"
    assert nights.prune(6, keep=keep).files == {}


def test_what_is_published_stays_until_it_is_not(nights: Nights, tmp_path: Path) -> None:
    """A manifest names outputs of a run that is long gone: its image can no longer be read, say."""
    site = tmp_path / "site"
    plan = nights.night(6, published=site)
    summary = read_summary(nights.folder("night 6") / "summary.json")
    chosen = [(nights.folder("night 6") / choice.output).resolve() for choice in summary.choices if choice.output]
    assert chosen and plan.published_folder == str(site)
    nights.add("image 0.png", photograph(seed=200))
    nights.add("image 2.png", photograph(seed=201))
    nights.night(7)
    nights.night(8)
    nights.prune(9, keep=Keep(runs=1, days=0, pages=1), published=[site])
    assert all(path.is_file() for path in chosen)
    assert verify(site) == []
    nights.prune(9, keep=Keep(runs=1, days=0, pages=1))
    assert not any(path.is_file() for path in chosen), "nobody names the folder any more"


def test_nothing_is_removed_while_a_published_folder_is_away(nights: Nights, tmp_path: Path) -> None:
    """Its disk is not mounted, say: what it needs cannot be looked at."""
    site = tmp_path / "site"
    nights.night(6, published=site)
    site.rename(tmp_path / "away")
    before = nights.files()
    with pytest.raises(PruneRefused, match="site has no manifest, so nobody can tell which outputs it needs"):
        nights.prune(100, keep=Keep(runs=1, days=0, pages=1))
    assert nights.files() == before


def test_a_published_folder_is_known_from_the_runs_that_publish_to_it(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    nights.night(6, published=site)
    before = nights.files()

    def refuse(path: Path) -> Manifest:
        assert path.parent == site
        raise OSError(errno.EIO, "nobody can tell")

    monkeypatch.setattr(Manifest, "read", refuse)
    with pytest.raises(OSError, match="nobody can tell"):
        nights.prune(8, keep=KEEP)
    assert nights.files() == before


def test_what_this_project_did_not_make_stays(nights: Nights) -> None:
    theirs = [
        "runs/notes.txt",
        "runs/backup/plan.json",
        f"runs/{nights.folder('night 1').name}/notes.txt",
        f"runs/{nights.folder('night 1').name}/failures/notes.txt",
        f"runs/copy of {nights.folder('night 2').name}/plan.json",
        "runs/copied-01234567/plan.json",
        "compressed/notes.json",
        "compressed/image 1.png/notes.png",
        "compressed/image 1.png/0123456789ab/notes.json",
        "compressed/image 1.png/not a hash/k004.png",
        "published/image 1.png",
    ]
    (plan,) = [path for path in (nights.output / "runs").glob("night_2*/plan.json")]
    for path in theirs:
        (nights.output / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(plan, nights.output / path)
    for mark in ("runs", "compressed"):
        (nights.output / mark / ".colorquant-outputs").touch()
    (nights.output / "compressed" / "link").symlink_to(nights.images)
    nights.prune(30, keep=KEEP)
    assert nights.runs() >= nights.folders(4, 5)
    assert {*theirs, "runs/.colorquant-outputs", "compressed/.colorquant-outputs"} <= nights.files()
    assert len(list(nights.images.iterdir())) == 2


def test_each_library_keeps_its_newest_runs(nights: Nights, tmp_path: Path) -> None:
    """What is planned once a month must not go because something else is planned every night."""
    (tmp_path / "other").mkdir()
    other = Nights(tmp_path / "other")
    other.output = nights.output
    other.add("other.png", photograph(seed=7))
    other.night(0, name="other")
    nights.prune(30, keep=KEEP)
    assert nights.runs() == nights.folders(4, 5) | {other.folder("other 0").name}
    _holds(nights)


def test_a_run_that_is_not_finished_keeps_its_outputs_for_a_week(nights: Nights) -> None:
    nights.add("image 9.png", photograph(seed=9))
    plan = dataclasses.replace(nights.plan(KS, run_id="night 6"), planned_at=(START + timedelta(days=6)).isoformat())
    plan.write(nights.folder("night 6") / "plan.json")
    for job in plan.pending()[:1]:
        nights.compress(job)
    nights.prune(12, keep=KEEP)
    assert nights.runs() == nights.folders(4, 5, 6), "it does not count as one of the newest"
    assert all(Path(job.output).exists() == (job not in plan.pending()[1:]) for job in plan.jobs)
    nights.prune(14, keep=KEEP)
    assert nights.runs() == nights.folders(4, 5)


def test_a_young_file_stays_whatever_names_it(nights: Nights) -> None:
    shutil.rmtree(nights.output / "runs")
    before = nights.files()
    nights.prune(0.9, keep=KEEP)
    assert nights.files() == before
    nights.prune(1.1, keep=KEEP)
    assert nights.files() == set()


def test_nothing_is_removed_where_a_plan_cannot_be_read(nights: Nights) -> None:
    plan = nights.folder("night 5") / "plan.json"
    plan.write_text(plan.read_text().replace('"schema_version":2', '"schema_version":4'))
    before = nights.files()
    with pytest.raises(PruneRefused, match="A plan cannot be read, .*night_5.*schema_version 4 is unknown"):
        nights.prune(9, keep=KEEP)
    assert nights.files() == before


def test_a_run_that_is_being_planned_stops_a_prune(nights: Nights) -> None:
    before = nights.files()
    folder = nights.folder("night 6")
    with pauses.planning(nights.output, folder), pytest.raises(PruneRefused, match="night_6.* is being planned"):
        nights.prune(0.9, keep=KEEP)
    assert not folder.exists()
    assert nights.files() == before, "and the prune has given back its lease"
    with pytest.raises(KeyboardInterrupt), pauses.planning(nights.output, folder):
        raise KeyboardInterrupt
    assert not folder.exists()


def test_a_run_waits_with_its_plan_for_a_prune_to_end(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = pauses.Lease(nights.output)
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            lease.__exit__()

    monkeypatch.setattr(pauses.time, "sleep", sleep)
    with lease, pauses.planning(nights.output, nights.folder("night 6")):
        assert len(waited) == 3


def test_the_lease_of_a_killed_prune_ends(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = pauses.Lease(nights.output)
    killed.renew()
    with pytest.raises(PruneRefused, match="Another prune is running"):
        nights.prune(9, keep=KEEP)
    later = time.time() + 1000
    monkeypatch.setattr(pauses.time, "time", lambda: later)
    with pytest.raises(PruneRefused, match="was stopped for so long"):
        killed.renew()
    nights.prune(9, keep=KEEP)
    assert nights.runs() == nights.folders(4, 5)


# What reads and writes an output folder, in the modules of both sides.
_PRUNE = sys.modules["colorquant.retention.prune"]
_STEPS = [
    *((_PRUNE, name) for name in ("files_below", "read", "write_atomically", "remove")),
    *((json_record, name) for name in ("read", "write_atomically")),
    (pauses, "remove"),
]
_LIMIT = 60.0  # Of a wait, in seconds: a test that is well waits for none.


def _before_each_step(patch: pytest.MonkeyPatch, happen: Callable[[str], None]) -> None:
    """Call a function with the name of each step of a plan or a prune, before it is done.

    A prune is told that it is days later, and so the file of a plan is as old as this day.
    """

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any, **more: Any) -> Any:
            happen(name)
            return real(*given, **more)

        return step

    def found(folder: Path) -> dict[str, Any]:
        day = (START + timedelta(days=6)).timestamp()
        return {
            path: dataclasses.replace(version, changed_at=day) if path.endswith(pauses.PLANNING) else version
            for path, version in files_below(folder).items()
        }

    patch.setattr(_PRUNE, "files_below", found)
    for module, name in _STEPS:
        patch.setattr(module, name, watched(name, getattr(module, name)))


@pytest.fixture
def few(tmp_path: Path) -> Nights:
    """Three nights of one image that changes: a prune that keeps two has something to remove and a page to shorten."""
    library = Nights(tmp_path)
    for number in (1, 2, 3):
        library.add("image.png", photograph(seed=number))
        library.night(number, ks=(2,))
    return library


def _content(output: Path) -> set[str]:
    return set(files_below(output)) - {"runs/pruning.json"}


def _prune_while_a_plan_begins(output: Path, at: int) -> tuple[int, bool, bool]:
    """Prune, and begin a plan before a step; the number of all steps, whether the prune ended, and the plan waited.

    What the plan sees when it begins to look must still be there when the prune has ended.
    """
    steps, over, leave, told, waited = 0, threading.Event(), threading.Event(), threading.Event(), False
    seen: set[str] = set()
    main = threading.get_ident()

    def poll(seconds: float) -> None:
        nonlocal waited
        waited = True
        told.set()
        assert over.wait(_LIMIT)

    def plan() -> None:
        with pauses.planning(output, run_folder(output, "night 4")):
            seen.update(_content(output))
            told.set()
            assert leave.wait(_LIMIT)

    def happen(name: str) -> None:
        nonlocal steps
        if threading.get_ident() == main:
            if steps == at:
                planned.append(pool.submit(plan))
                assert told.wait(_LIMIT)
            steps += 1

    planned: list[Any] = []
    ended = True
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(pauses, "time", SimpleNamespace(time=time.time, sleep=poll))
        _before_each_step(patch, happen)
        try:
            try:
                prune(output, keep=KEEP, delete=True, now=(START + timedelta(days=6)).timestamp())
            except PruneRefused as refused:
                assert "night_4" in str(refused)
                ended = False
            told.clear()
            over.set()
            if waited:
                assert told.wait(_LIMIT), "the plan goes on when the prune is over"
            assert not planned or _content(output) == seen
        finally:
            over.set()
            leave.set()
        for each in planned:
            each.result(_LIMIT)
    return steps, ended, waited


def test_of_a_prune_and_a_plan_that_begins_at_any_step_of_it_the_second_sees_the_first(
    few: Nights, tmp_path: Path
) -> None:
    def pruned(at: int) -> tuple[int, bool, bool]:
        output = tmp_path / f"begun at {at}"
        shutil.copytree(few.output, output)
        return _prune_while_a_plan_begins(output, at)

    steps, ended, _ = pruned(-1)
    assert ended and steps > 20
    outcomes = [pruned(at)[1:] for at in range(steps)]
    assert all(waited for ended, waited in outcomes if ended), "else neither saw the other"
    # Before the prune has left its file the plan goes on at once; then it waits.
    assert outcomes[0] == (False, False) and outcomes[-1] == (True, True)
    assert [waited for _, waited in outcomes] == sorted(waited for _, waited in outcomes)


def test_a_prune_that_begins_at_any_step_of_a_plan_sees_it(few: Nights, tmp_path: Path) -> None:
    def outcome(at: int) -> str:
        output, steps, outcome = tmp_path / f"begun at {at}", 0, "not begun"
        shutil.copytree(few.output, output)
        folder = run_folder(output, "night 4")

        def happen(name: str) -> None:
            nonlocal steps, outcome
            steps += 1
            if steps - 1 != at:
                return
            try:
                prune(output, keep=KEEP, delete=True, now=(START + timedelta(days=6)).timestamp())
                outcome = f"done before {name}"
            except PruneRefused as refused:
                assert "is being planned" in str(refused)
                outcome = f"refused before {name}"

        with pytest.MonkeyPatch.context() as patch:
            _before_each_step(patch, happen)
            with pauses.planning(output, folder):
                happen("the plan")
        assert not folder.exists()
        return outcome

    steps = ["done before write_atomically", *(f"refused before {step}" for step in ("read", "the plan", "remove"))]
    assert [outcome(at) for at in range(5)] == [*steps, "not begun"]


def test_a_prune_that_lasts_longer_than_its_lease_keeps_it(few: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = clock = time.time()
    monkeypatch.setattr(pauses, "time", SimpleNamespace(time=lambda: clock))

    def happen(name: str) -> None:
        nonlocal clock
        if name == "remove" and (few.output / "runs" / "pruning.json").exists():
            with pytest.raises(PruneRefused, match="Another prune is running"), pauses.Lease(few.output):
                pass
            clock += 400

    _before_each_step(monkeypatch, happen)
    done = few.prune(6, keep=KEEP)
    assert done.runs and clock - begun > 2 * pauses._LEASE_SECONDS
    assert "runs/pruning.json" not in few.files()


def test_of_two_prunes_that_begin_at_once_one_removes_nothing(few: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have looked for the file of the other one before either left its own."""
    before = few.files()
    other = pauses.Lease(few.output)
    real = _PRUNE._found  # type: ignore[attr-defined]

    def found(*given: Any) -> Any:
        other.renew()
        return real(*given)

    monkeypatch.setattr(_PRUNE, "_found", found)
    with pytest.raises(PruneRefused, match="Another prune has begun at the same time"):
        few.prune(6, keep=KEEP)
    assert few.files() == before | {"runs/pruning.json"}, "which is the other one's"
    other.confirm()


_KILLED = """
import os, signal, sys
from colorquant.retention import Keep, prune
from colorquant.retention import prune as module
module = sys.modules["colorquant.retention.prune"]
left, remove = int(sys.argv[3]), module.remove
def killing(path):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    remove(path)
module.remove = killing
prune(sys.argv[1], keep=Keep(runs=2, days=0, pages=1), delete=True, now=float(sys.argv[2]))
"""


def test_a_prune_that_ends_anywhere_leaves_no_plan_without_its_parts() -> None:
    """Such a plan cannot be read, and no later prune would remove anything."""
    parts = [f"parts/{kind}-{number:05d}-0123abcd.jsonl" for kind in ("choices", "images", "rows") for number in (0, 1)]
    removed = _in_order([*parts, "plan.json", "summary.csv", "summary.html", "summary.json", "rows/1.html"])
    for done in range(len(removed)):
        left = set(removed[done:])
        assert "plan.json" not in left or {part for part in parts if "images" in part} <= left
        assert "summary.json" not in left or len(left) == len(removed)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_prune_that_is_killed_leaves_a_consistent_rest(nights: Nights, share: float, tmp_path: Path) -> None:
    now = (START + timedelta(days=6)).timestamp()
    whole = tmp_path / "whole"
    shutil.copytree(nights.output, whole, symlinks=True)
    told = nights.prune(6, keep=KEEP, delete=False)
    after = int(share * len(told.files))
    code = [sys.executable, "-c", _KILLED, str(nights.output), str(now), str(after)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "spark_apps")}
    assert subprocess.run(code, env=environment).returncode == -signal.SIGKILL
    left = nights.files()
    assert len(left & told.files.keys()) == len(told.files) - after
    _holds(nights)
    # The next night goes on as if nothing had happened, and the next prune does the rest.
    (nights.output / "runs" / "pruning.json").unlink()
    nights.prune(6, keep=KEEP)
    kept = nights.files()
    nights.output = whole
    nights.prune(6, keep=KEEP)
    assert kept == nights.files()


def test_a_bucket_is_pruned_alike(s3: dict[str, str], tmp_path: Path, nights: Nights) -> None:
    _prune_a_bucket("s3", tmp_path, nights)


@pytest.mark.stores
def test_a_bucket_of_another_store_too(store: Emulator, tmp_path: Path, nights: Nights) -> None:
    _prune_a_bucket(store.scheme, tmp_path, nights)


def _prune_a_bucket(scheme: str, tmp_path: Path, nights: Nights) -> None:
    output = f"{scheme}://results/out"
    images = f"{scheme}://library/in"
    paths.put(f"{images}/same.png", nights.add("same.png", photograph(seed=1)).read_bytes())
    kept = Keep(runs=1, days=0, pages=1)
    for number in (1, 2, 3):
        paths.put(f"{images}/new.png", nights.add("new.png", photograph(seed=50 + number)).read_bytes())
        request = RunRequest(run_id=f"night {number}", images=images, ks=[2], output=output)
        plan = dataclasses.replace(plan_run(request), planned_at=(START + timedelta(days=number)).isoformat())
        for job in plan.pending():
            local = dataclasses.replace(
                job,
                image=str(nights.images / job.name),
                output=str(tmp_path / "o.png"),
                result=str(tmp_path / "o.json"),
            )
            nights.compress(local)
            paths.put(job.output, Path(local.output).read_bytes())
            text = Path(local.result).read_text().replace(str(local.output), job.output)
            paths.put(job.result, text.encode())
        plan.write(run_folder(output, plan.run_id) / "plan.json")
        summarize_run(plan, run_folder(output, plan.run_id), START + timedelta(days=number))
    paths.put(f"{output}/compressed/new.png/notes.txt", b"theirs")
    now = (START + timedelta(days=9)).timestamp()
    before = files_below(output)
    told = prune(output, keep=kept, now=now)
    assert files_below(output).keys() == before.keys()
    with (
        pauses.planning(output, run_folder(output, "night 4")),
        pytest.raises(PruneRefused, match="is being planned"),
    ):
        prune(output, keep=kept, delete=True)
    done = prune(output, keep=kept, delete=True, now=now)
    assert done.files == told.files and len(done.runs) == 2 and done.outputs == 2
    assert files_below(output).keys() == before.keys() - done.files.keys() | {"runs/pruned.json"}
    summary = read_summary(run_folder(output, "night 3") / "summary.json")
    for row in summary.rows:
        assert sha256_of(paths.resolve(run_folder(output, "night 3"), row.output or "")) == row.output_sha256


def test_how_much_is_kept_is_a_setting() -> None:
    assert Keep.of_environment({}) == Keep(runs=7, days=7, pages=3)
    given = {"COMPRESSION_KEEP_RUNS": "30", "COMPRESSION_KEEP_DAYS": "0", "COMPRESSION_KEEP_PAGES": ""}
    assert Keep.of_environment(given) == Keep(runs=30, days=0, pages=3)
    for name, text in (("RUNS", "0"), ("DAYS", "-1"), ("PAGES", "many"), ("RUNS", "10000000")):
        with pytest.raises(InvalidSetting):
            Keep.of_environment({f"COMPRESSION_KEEP_{name}": text})


def test_the_memory_of_a_library_that_is_no_longer_planned_goes(nights: Nights) -> None:
    memory = Memory(library=("/gone", "*", ""))
    memory.write_to(nights.output)
    count = len(list((nights.output / "runs" / "memory").iterdir()))
    nights.prune(34, keep=KEEP)
    assert len(list((nights.output / "runs" / "memory").iterdir())) == count
    nights.prune(36, keep=KEEP)
    assert not (nights.output / "runs" / "memory").exists()


def test_nothing_is_left_of_a_pruned_run(nights: Nights) -> None:
    """Whatever it was: one with palettes in common, one that asked a person, one in a single application."""
    folder = nights.folder("night 1")
    for name in ("palettes.json", "review.json", "progress.json", "application.json"):
        (folder / name).write_text("{}")
    nights.prune(40, keep=Keep(runs=2))
    assert not folder.exists()
