"""What a plan remembers of files: it may save reading, and never change a plan."""

import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from colorquant.errors import InvalidPlan
from colorquant.jobs import plan as planning
from colorquant.jobs.job import Job
from colorquant.jobs.memory import full_check_after
from colorquant.jobs.plan import Plan, RunRequest, plan_run, run_folder
from colorquant.settings import Settings
from colorquant.storage import FileVersion, paths, remove, sizes_below
from colorquant.storage.atomic import sha256_of
from tests.colorquant.report.conftest import Library, photograph

_LATER = 3600.0


class Night:
    """Plans a library, each time an hour later, and counts what is read."""

    def __init__(self, images: str, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images, self.output = images, output
        self.read: list[str] = []
        self.checked: list[str] = []
        self._now = time.time()
        is_done = Job.is_done

        def hashed(path: Any, below: Any = None) -> str:
            self.read.append(str(path).removeprefix(f"{images}/"))
            return sha256_of(path, below)

        def asked(job: Job) -> bool:
            self.checked.append(job.label)
            return is_done(job)

        monkeypatch.setattr(planning, "sha256_of", hashed)
        monkeypatch.setattr(Job, "is_done", asked)

    def plan(self, looked_at: float | None = None, **more: Any) -> Plan:
        self.read.clear()
        self.checked.clear()
        self._now += _LATER
        values: dict[str, Any] = {"run_id": "run", "images": self.images, "ks": [2, 4], "output": self.output} | more
        try:
            plan = plan_run(RunRequest(**values), looked_at=looked_at or self._now)
            plan.write(f"{run_folder(self.output, 'run')}/plan.json")
            return plan
        finally:
            self.read.sort()  # Threads read in any order.


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


@pytest.fixture
def nights(library: Library, monkeypatch: pytest.MonkeyPatch) -> Night:
    for name in ("a.png", "b.png", "sub/c.png"):
        library.add(name)
    return Night(str(library.images), str(library.output), monkeypatch)


def _memory(output: Path) -> Path:
    (path,) = (output / "runs" / "memory").iterdir()
    return path


def test_what_is_unchanged_is_neither_read_nor_checked(library: Library, nights: Night) -> None:
    first = nights.plan()
    assert nights.read == ["a.png", "b.png", "sub/c.png"]
    for job in first.jobs:
        library.compress(job)
    second = nights.plan()
    assert (nights.read, len(nights.checked)) == ([], 6)
    assert second.reused == {job.label for job in first.jobs}
    third = nights.plan()
    assert (nights.read, nights.checked) == ([], [])
    assert (third.jobs, third.reused) == (second.jobs, second.reused)


def test_only_what_has_changed_is_read(library: Library, nights: Night) -> None:
    for job in nights.plan().jobs:
        library.compress(job)
    nights.plan()
    library.add("b.png", photograph(seed=1))
    library.add("d.png")
    os.rename(library.images / "a.png", library.images / "e.png")
    plan = nights.plan()
    assert nights.read == ["b.png", "d.png", "e.png"]
    assert {job.name: job.image_sha256 for job in plan.jobs} == {
        name: sha256_of(library.images / name) for name in ("b.png", "d.png", "e.png", "sub/c.png")
    }
    assert {label for label in plan.reused} == {"sub/c.png k=2", "sub/c.png k=4"}


def test_a_file_of_the_same_size_and_time_is_read_where_anything_else_tells(library: Library, nights: Night) -> None:
    nights.plan()
    before = os.stat(library.images / "a.png")
    content = bytearray((library.images / "a.png").read_bytes())
    content[-20] ^= 1
    (library.images / "a.png").write_bytes(content)  # In place: the same inode.
    os.utime(library.images / "a.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    after = os.stat(library.images / "a.png")
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    plan = nights.plan()
    assert nights.read == ["a.png"]
    assert plan.jobs[0].image_sha256 == sha256_of(library.images / "a.png")


def test_a_change_within_the_tick_of_a_clock_is_seen(
    library: Library, nights: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As git's racy index: a file is written, looked at, and written again before the clock of its disk ticks."""

    def coarse(status: os.stat_result) -> FileVersion:
        changed_at = status.st_mtime // 60 * 60
        return FileVersion(f"{status.st_ino} {status.st_size} {changed_at}", status.st_size, changed_at)

    monkeypatch.setattr(paths, "_of_status", coarse)
    image = library.images / "a.png"
    image.write_bytes(b"first")
    os.utime(image, (6000, 6000))
    nights.plan(looked_at=6001)
    image.write_bytes(b"other")
    os.utime(image, (6002, 6002))
    plan = nights.plan(looked_at=100_000)
    assert "a.png" in nights.read
    assert plan.jobs[0].image_sha256 == sha256_of(image)
    nights.plan(looked_at=200_000)
    assert "a.png" not in nights.read, "by now the clock has ticked"


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "bit", "other version", "of others", "folder"])
def test_a_memory_that_cannot_be_relied_on_is_not(library: Library, nights: Night, tmp_path: Path, damage: str) -> None:
    expected = nights.plan()
    path = _memory(library.output)
    text = path.read_bytes()
    body = text.partition(b"\n")[2]
    match damage:
        case "missing" | "folder":
            path.unlink()
            if damage == "folder":
                path.mkdir()
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(text[:-100])
        case "bit":
            path.write_bytes(text.replace(expected.jobs[0].image_sha256.encode(), b"0" * 64))  # type: ignore[union-attr]
        case "other version":
            body = body.replace(b'"schema_version":1', b'"schema_version":9')
            path.write_bytes(planning.hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        case "of others":
            others = tmp_path / "others"
            shutil.copytree(library.images, others)
            foreign = plan_run(RunRequest(run_id="run", images=str(others), ks=[2], output=str(tmp_path / "out")))
            foreign.write(tmp_path / "plan.json")
            nights.read.clear()
            path.write_bytes(_memory(tmp_path / "out").read_bytes())
    if damage == "folder":
        with pytest.raises(OSError, match="it cannot be written"):
            nights.plan()
    else:
        assert nights.plan().jobs == expected.jobs
    assert nights.read == ["a.png", "b.png", "sub/c.png"]


def test_all_is_read_after_some_plans_and_with_force(nights: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESSION_FULL_CHECK", "3")
    read = []
    for _ in range(7):
        nights.plan()
        read.append(len(nights.read))
    assert read == [3, 0, 0, 3, 0, 0, 3]
    nights.plan()
    nights.plan(force=True)
    assert len(nights.read) == 3
    monkeypatch.setenv("COMPRESSION_FULL_CHECK", "1")
    nights.plan()
    assert len(nights.read) == 3
    for wrong in ("0", "-1", "many", "1e3", "٣"):
        monkeypatch.setenv("COMPRESSION_FULL_CHECK", wrong)
        with pytest.raises(InvalidPlan, match="COMPRESSION_FULL_CHECK=.* is not a whole number from 1 to"):
            nights.plan()
    assert full_check_after({"COMPRESSION_FULL_CHECK": ""}) == 30


def test_outputs_are_checked_again_where_more_is_asked_of_them(library: Library, nights: Night) -> None:
    for job in nights.plan().jobs:
        library.compress(job)
    nights.plan()
    assert len(nights.plan().reused) == 6
    assert not nights.plan(settings=Settings(compare=("webp",))).reused, "no record has the comparison"
    assert nights.read == []


def _events(seed: int, library: Library) -> Iterator[None]:
    """Things that happen to a library and its outputs between two nights."""
    choice = random.Random(seed)
    for number in range(12):
        images = sorted(path for path in library.images.rglob("*.png"))
        outputs = sorted(path for path in library.output.rglob("compressed/**/k00?.*"))
        image, output = choice.choice(images), choice.choice(outputs) if outputs else None
        match choice.randrange(7):
            case 0:
                library.add(f"new {number}.png", photograph(seed=number))
            case 1:
                image.write_bytes(image.read_bytes() + b"\0")
            case 2 if len(images) > 1:
                image.unlink()
            case 3:
                os.utime(image)
            case 4 if output:
                output.unlink()
            case 5 if output:
                output.write_bytes(output.read_bytes()[:-1])
            case _:
                shutil.copy2(choice.choice(images), library.images / f"copy {number % 3}.png")
        yield


@pytest.mark.parametrize("seed", range(4))
def test_a_plan_is_the_same_with_and_without_a_memory(library: Library, nights: Night, seed: int) -> None:
    for _ in _events(seed, library):
        plan = nights.plan()
        kept = _memory(library.output).read_bytes()
        _memory(library.output).unlink()
        without = nights.plan()
        _memory(library.output).write_bytes(kept)
        assert (plan.jobs, plan.reused) == (without.jobs, without.reused)
        for job in plan.pending():
            library.compress(job)


def test_a_library_in_a_bucket_is_planned_by_listings(
    s3: dict[str, str], library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ETags of a listing tell what has changed; no object is read, or asked about one by one."""
    from s3fs import S3FileSystem

    calls: list[str] = []
    call = S3FileSystem._call_s3

    async def counted(self: Any, method: str, *arguments: Any, **more: Any) -> Any:
        calls.append(f"{method} {more.get('Key', '')}")
        return await call(self, method, *arguments, **more)

    monkeypatch.setattr(S3FileSystem, "_call_s3", counted)
    for name in ("a.png", "b.png"):
        paths.put(f"s3://library/in/{name}", library.add(name).read_bytes())
    nights = Night("s3://library/in", "s3://results/out", monkeypatch)
    plan = nights.plan()
    for job in plan.jobs:  # Compressed on a disk, and uploaded.
        local = plan_run(RunRequest(run_id="1", images=str(library.images), ks=[2, 4], output=str(library.output)))
        (same,) = (each for each in local.jobs if each.label == job.label)
        library.compress(same)
        paths.put(job.output, Path(same.output).read_bytes())
        paths.put(job.result, Path(same.result).read_bytes())
    assert nights.plan().reused == {job.label for job in plan.jobs}
    calls.clear()
    quiet = nights.plan()
    assert quiet.reused == {job.label for job in plan.jobs}
    assert (nights.read, nights.checked) == ([], [])
    assert not [each for each in calls if "object " in each and (" in/" in each or "/compressed/" in each)], calls
    paths.put("s3://library/in/a.png", b"changed")
    remove(plan.jobs[2].output)
    changed = nights.plan()
    assert nights.read == ["a.png"]
    assert changed.reused == {"b.png k=4"}
    assert "runs" in {name.split("/")[0] for name in sizes_below("s3://results/out")}
