"""The plan of a large library is in files, and says the same as one in memory."""

import dataclasses
import json
import pickle
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from colorquant.compress import make_batches
from colorquant.compress.library import make_stretches
from colorquant.errors import InvalidRecord, PruneRefused
from colorquant.jobs import plan as plan_module
from colorquant.jobs.job import Job
from colorquant.jobs.memory import _SETTLED_SECONDS, now
from colorquant.jobs.plan import Plan, RunRequest, plan_run, run_folder
from colorquant.jobs.planned_jobs import PlannedJobs
from colorquant.retention import prune
from colorquant.storage import parts as parts_module
from tests.colorquant.report.conftest import Library

NIGHT = 86_400.0


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a few images exceed."""
    monkeypatch.setattr(plan_module, "MAX_IN_MEMORY", 3)
    for module in (plan_module, parts_module):
        monkeypatch.setattr(module, "PART_RECORDS", 4)


@pytest.fixture
def large(tmp_path: Path) -> Library:
    """A library of eleven images, in sub-folders too, whose names sort otherwise than the walk finds them."""
    library = Library(tmp_path)
    for name in ("a/b.png", "a-b.png", "é.png", "z/z/z.png", "Z.png", "a/c.png"):
        library.add(name)
    for number in range(5):
        library.add_bytes(f"m{number}.png", b"x" * (number + 1))
    return library


def _plan(library: Library, run_id: str, nights: int = 1, ks: tuple[int, ...] = (2, 8)) -> Plan:
    request = RunRequest(run_id=run_id, images=str(library.images), ks=ks, output=str(library.output))
    plan = plan_run(request, looked_at=now() + nights * NIGHT)
    plan.write(run_folder(library.output, run_id) / "plan.json")
    return plan


def _name(jobs: tuple[Job, ...]) -> str:
    return jobs[0].name


def _both(library: Library, nights: int = 1) -> Iterator[Plan]:
    """The plan in memory, and the same in parts: as made, and as read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "MAX_IN_MEMORY", 10**9)
        yield _plan(library, "run", nights)
    plan = _plan(library, "run", nights)
    assert isinstance(plan.jobs, PlannedJobs)
    yield plan
    yield Plan.read(run_folder(library.output, "run") / "plan.json")


def test_a_plan_in_parts_says_what_one_in_memory_says(large: Library, in_parts: None) -> None:
    for job in _plan(large, "before").jobs:
        if job.name.startswith("a") or (job.name == "é.png" and job.k == 8):
            large.compress(job)
    inside, made, read = _both(large)
    assert isinstance(inside.jobs, tuple) and len(inside.reused) == 7
    for plan in (made, read, pickle.loads(pickle.dumps(read))):
        assert tuple(plan.jobs) == inside.jobs and len(plan.jobs) == len(inside.jobs)
        assert [plan.jobs[index] for index in (0, 5, -1)] == [inside.jobs[index] for index in (0, 5, -1)]
        assert plan.jobs[3:17:2] == inside.jobs[3:17:2]
        assert set(plan.reused) == inside.reused and len(plan.reused) == len(inside.reused)
        assert [job.label in plan.reused for job in plan.jobs] == [job.label in inside.reused for job in inside.jobs]
        assert "no such image.png k=2" not in plan.reused and None not in plan.reused
        assert plan.pending() == inside.pending()
        assert plan.numbered({"a/c.png", "é.png", "0"}) == inside.numbered({"a/c.png", "é.png", "0"})
    same = {field.name for field in dataclasses.fields(Plan)} - {"jobs", "reused", "planned_at", "memory"}
    assert all(getattr(inside, name) == getattr(read, name) for name in same - {"palette_news"})


def test_a_later_plan_reads_only_what_changed(large: Library, in_parts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for job in _plan(large, "first").jobs:
        large.compress(job) if not job.name.startswith("m") else large.fail(job, "no image")
    _plan(large, "second")
    looked: list[str] = []
    see = plan_module._look_at
    monkeypatch.setattr(plan_module, "_look_at", lambda *call: looked.append(call[2][0]) or see(*call))
    third = _plan(large, "third")
    # What is not done is looked at each time, without reading the image.
    assert looked == [f"m{number}.png" for number in range(5)] and len(third.reused) == 12
    looked.clear()
    large.add("a/c.png", None)
    (large.images / "a-b.png").unlink()
    assert len(_plan(large, "fourth").reused) == 10 and "a/c.png" in looked and "a/b.png" not in looked
    # The memory of a library that has become small again, or that was small, is good too.
    for limit in (10**9, 3):
        looked.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plan_module, "MAX_IN_MEMORY", limit)
            _plan(large, f"fifth {limit}")
        assert "a/b.png" not in looked


def test_a_damaged_memory_costs_time_only(large: Library, in_parts: None) -> None:
    for job in _plan(large, "first").jobs:
        large.compress(job) if not job.name.startswith("m") else None
    before = _plan(large, "second")
    (folder,) = (path for path in (large.output / "runs" / "memory").iterdir() if path.is_dir())
    damaged = sorted(folder.iterdir())[1]
    damaged.write_bytes(damaged.read_bytes().replace(b"a", b"b"))
    after = _plan(large, "third")
    assert set(after.reused) == set(before.reused) and [job.output for job in after.jobs] == [
        job.output for job in before.jobs
    ]
    damaged.unlink()
    assert set(_plan(large, "fourth").reused) == set(before.reused)


def test_a_part_that_is_gone_or_changed_is_named(large: Library, in_parts: None) -> None:
    path = run_folder(large.output, "run") / "plan.json"
    _plan(large, "run")
    parts = sorted((path.parent / "parts").iterdir())
    text = parts[0].read_bytes()
    parts[0].write_bytes(text.replace(b'"a-b.png"', b'"a+b.png"'))
    with pytest.raises(InvalidRecord, match=parts[0].name):
        list(Plan.read(path).jobs)
    parts[0].unlink()
    with pytest.raises(InvalidRecord, match="is gone"):
        list(Plan.read(path).jobs)


def test_a_plan_in_memory_is_not_taken_for_one_in_parts(large: Library, in_parts: None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "MAX_IN_MEMORY", 10**9)
        _plan(large, "run")
    path = run_folder(large.output, "run") / "plan.json"
    path.write_text(path.read_text().replace('"schema_version":2', '"schema_version":3'))
    with pytest.raises(InvalidRecord, match="are not empty"):
        Plan.read(path)


def test_a_prune_refuses_where_a_part_is_gone(large: Library, in_parts: None) -> None:
    _plan(large, "run")
    part = min((run_folder(large.output, "run") / "parts").iterdir())
    part.unlink()
    with pytest.raises(PruneRefused, match=f"{part.name}, so nobody can tell"):
        prune(large.output, now=now() + 3 * NIGHT)


@pytest.mark.parametrize("name", ["../x.png", "/etc/passwd", "a//b.png", "a/./b.png"])
def test_a_plan_does_not_lead_out_of_its_folders(large: Library, in_parts: None, name: str) -> None:
    _plan(large, "run")
    folder = run_folder(large.output, "run")
    writer = parts_module.PartWriter(folder / "parts", "images")
    writer.add(name, [name, None, 0, []])
    content = json.loads((folder / "plan.json").read_text())
    content["parts"] = [dataclasses.asdict(part) for part in writer.finish()]
    (folder / "plan.json").write_text(json.dumps(content, separators=(",", ":")))
    with pytest.raises(InvalidRecord, match="is not the name of a file below a folder"):
        list(Plan.read(folder / "plan.json").jobs)


def test_stretches_have_every_pending_image_once(large: Library, in_parts: None) -> None:
    for job in _plan(large, "before").jobs:
        if job.name in ("a-b.png", "a/c.png") or (job.name == "Z.png" and job.k == 8):
            large.compress(job)
    inside, plan, _ = _both(large)
    assert isinstance(plan.jobs, PlannedJobs)
    expected = sorted((image for batch in make_batches(inside.pending(), 2) for image in batch), key=_name)
    for cores in (1, 2, 100):
        stretches = make_stretches(plan.jobs, cores)
        images = [plan.jobs.pending_images(each) for each in stretches]
        assert sorted((image for found in images for image in found), key=_name) == expected
        for stretch, found in zip(stretches, images, strict=True):
            assert (stretch.images, stretch.image_bytes) == (len(found), sum(jobs[0].image_bytes for jobs in found))
        sizes = [stretch.image_bytes for stretch in stretches]
        assert sizes == sorted(sizes, reverse=True)


def test_a_prune_keeps_what_plans_in_parts_need(large: Library, in_parts: None) -> None:
    for job in _plan(large, "run").jobs:
        if not job.name.startswith("m"):
            large.compress(job)
    later = now() + 3 * NIGHT
    assert not prune(large.output, now=later).files
    folder = run_folder(large.output, "run")
    assert any(
        path.startswith(f"runs/{folder.name}/parts/") for path in prune(large.output, now=now() + 99 * NIGHT).files
    )


@pytest.mark.parametrize("seed", range(5))
def test_parts_are_a_sequence(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    words = sorted({"".join(source.choices("ab/é\udc80\n", k=5)) for _ in range(source.randrange(1, 40))})
    writer = parts_module.PartWriter(tmp_path, "words", source.randrange(1, 9))
    for word in words:
        writer.add(word, word)
    found = parts_module.Parts(tmp_path, writer.finish(), str, str)
    assert list(found) == words and len(found) == len(words)
    for _ in range(20):
        start, stop = source.randrange(-50, 50), source.randrange(-50, 50)
        assert found[start:stop] == words[start:stop]
        if start >= 0 and stop >= 0:
            assert list(found.between(start, stop)) == words[start:stop]
    for index, word in enumerate(words):
        assert found[index] == found[index - len(words)] == word
        assert word in found.part(found.part_with(word))
    with pytest.raises(IndexError):
        found[len(words)]


assert _SETTLED_SECONDS < NIGHT
