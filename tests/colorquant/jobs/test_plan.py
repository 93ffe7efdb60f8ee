import contextlib
import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from colorquant.errors import InvalidPlan, TooManyJobs
from colorquant.jobs.folders import mark_outputs
from colorquant.jobs.plan import Plan, RunRequest, parse_ks, plan_run, run_folder
from colorquant.publish import Candidate, Edition, publish
from colorquant.settings import Settings
from colorquant.storage.listing import list_images
from tests.unprivileged import close


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode(errors="surrogateescape"))


def _plan(images: Path, output: Path, ks: Iterable[str | int] = (4,), max_jobs: int | None = None, **more: Any) -> Plan:
    request = RunRequest(**{"run_id": "run", "images": str(images), "ks": ks, "output": str(output)} | more)
    return plan_run(request, max_jobs)


def test_a_job_for_each_image_and_k(tmp_path: Path) -> None:
    _touch(tmp_path / "in", "b.JPG", "a.png", "sub/a.png", "notes.md", ".hidden.png", ".git/a.png")
    plan = _plan(tmp_path / "in", tmp_path / "out", ["16", 4])
    assert [job.label for job in plan.jobs] == [
        f"{name} k={k}" for name in ("a.png", "b.JPG", "sub/a.png") for k in (4, 16)
    ]
    assert plan.ignored == ("notes.md",)
    assert plan.pending() == list(plan.jobs)


def test_no_two_jobs_share_a_file(tmp_path: Path) -> None:
    """Same stem, same content, other folder, other case of letters: each has its own output."""
    _touch(tmp_path / "in", "cat.jpg", "cat.png", "x/cat.png", "Cat.png")
    (tmp_path / "in" / "copy.png").write_bytes((tmp_path / "in" / "cat.png").read_bytes())
    jobs = _plan(tmp_path / "in", tmp_path / "out", [2, 3]).jobs
    paths = [path for job in jobs for path in (job.output, job.result, job.failure)]
    assert len(set(paths)) == len(paths) == 30


def test_changed_content_or_settings_lead_to_other_outputs_and_another_run_to_the_same(tmp_path: Path) -> None:
    _touch(tmp_path / "in", "a.png")

    def outputs(run_id: str = "run", seed: int = 0) -> str:
        plan = _plan(tmp_path / "in", tmp_path / "out", run_id=run_id, settings=Settings(seed=seed))
        return plan.jobs[0].output

    first = outputs()
    assert outputs(run_id="another") == first
    assert outputs(seed=1) != first
    (tmp_path / "in" / "a.png").write_bytes(b"changed")
    assert outputs() != first


def test_what_is_compared_leads_to_the_same_outputs(tmp_path: Path) -> None:
    _touch(tmp_path / "in", "a.png")
    plain, compared = (
        _plan(tmp_path / "in", tmp_path / "out", settings=Settings(compare=compare)) for compare in ((), ("avif",))
    )
    assert plain.jobs[0].output == compared.jobs[0].output
    assert plain.jobs[0].result == compared.jobs[0].result
    compared.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json").jobs[0].settings.compare == ("avif",)


def test_the_plan_survives_being_written_and_read(tmp_path: Path) -> None:
    _touch(tmp_path / "in", "a.png", os.fsdecode(b"not utf-8 \xff.png"), "new\nline.png", "{{ ds }}.png")
    plan = _plan(tmp_path / "in", tmp_path / "out")
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan


@pytest.mark.parametrize(
    ("ks", "message"),
    [
        ([], "No k is given"),
        (None, "No k is given"),
        (["0"], "'0' is not a palette size"),
        ([257], "257 is not a palette size"),
        (["4.5"], "'4.5' is not a palette size"),
        (["sixteen"], "'sixteen' is not a palette size"),
        ([None], "None is not a palette size"),
        (["-4"], "'-4' is not a palette size"),
        (["٤"], "is not a palette size"),
        ([True], "True is not a palette size"),
    ],
)
def test_a_wrong_k_is_refused_by_name(ks: list, message: str) -> None:
    with pytest.raises(InvalidPlan, match=message):
        parse_ks(ks)


def test_ks_are_sorted_and_distinct() -> None:
    assert parse_ks(["16", 4, " 16 ", "004"]) == (4, 16)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "notes.md")
    with pytest.raises(InvalidPlan, match="There is no image in"):
        _plan(tmp_path, tmp_path / "out")
    with pytest.raises(InvalidPlan, match="is not a folder"):
        _plan(tmp_path / "missing", tmp_path / "out")


def test_more_jobs_than_the_caller_allows_are_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "a.png", "b.png")
    assert len(_plan(tmp_path, tmp_path / "out", [2, 4], max_jobs=4).jobs) == 4
    assert len(_plan(tmp_path, tmp_path / "out", [2, 4, 8]).jobs) == 6
    with pytest.raises(TooManyJobs, match="has 6 jobs to do, and at most 5 are allowed") as caught:
        _plan(tmp_path, tmp_path / "out", [2, 4, 8], max_jobs=5)
    assert (caught.value.count, caught.value.limit) == (6, 5)


def test_links_are_followed_inside_the_folder_only(tmp_path: Path) -> None:
    _touch(tmp_path, "in/a.png", "outside/secret.png")
    (tmp_path / "in" / "inside.png").symlink_to("a.png")
    (tmp_path / "in" / "outside.png").symlink_to(tmp_path / "outside" / "secret.png")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "in" / "here").symlink_to(".")
    listing = list_images(tmp_path / "in")
    assert listing.images == ["a.png", "inside.png"]
    assert listing.ignored == ["folder", "here", "outside.png"]
    assert listing.unreadable == {}


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_a_folder_that_cannot_be_read_is_not_an_empty_one(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _touch(tmp_path / "in", "a.png", "away/b.png", "there/c.png")
    close(monkeypatch, tmp_path / "in" / "away", number=number)
    plan = _plan(tmp_path / "in", tmp_path / "out", pattern="*.png")
    assert [job.name for job in plan.jobs] == ["a.png", "there/c.png"]
    assert plan.unreadable == {"away": os.strerror(number)}
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan
    with pytest.raises(InvalidPlan, match=r"There is no image .* These are not read: 'away' \("):
        _plan(tmp_path / "in", tmp_path / "out", pattern="away/*")


def test_a_type_that_nobody_can_tell_is_not_absence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems tell a type by stat only, and that may fail where the listing did not."""
    _touch(tmp_path / "in", "a.png")

    class Entry:
        name, path = "away", str(tmp_path / "in" / "away")

        def is_dir(self) -> bool:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        def is_symlink(self) -> bool:
            return False

    class Entries(contextlib.nullcontext[list[Any]]):
        pass

    real = list(os.scandir(tmp_path / "in"))
    monkeypatch.setattr(os, "scandir", lambda folder: Entries([*real, Entry()]))
    assert list_images(tmp_path / "in").unreadable == {"away": os.strerror(errno.EIO)}


def test_an_image_folder_that_cannot_be_read_is_refused_or_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _touch(tmp_path / "in", "a.png")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(InvalidPlan, match="The image folder .* cannot be read: Too many levels of symbolic links"):
        _plan(tmp_path / "circle", tmp_path / "out")
    with pytest.raises(InvalidPlan, match="The image folder .* cannot be read: File name too long"):
        _plan(tmp_path / ("n" * 300), tmp_path / "out")
    with pytest.raises(InvalidPlan, match="The output folder .* cannot be read: Too many levels of symbolic links"):
        _plan(tmp_path / "in", tmp_path / "circle")
    with pytest.raises(InvalidPlan, match="is not a path: no name"):
        _plan(tmp_path / "a\0b", tmp_path / "out")
    with monkeypatch.context() as patched:
        close(patched, tmp_path / "in")
        with pytest.raises(InvalidPlan, match="The image folder .* cannot be read: Permission denied"):
            _plan(tmp_path / "in", tmp_path / "out")
    close(monkeypatch, tmp_path / "in", number=errno.ESTALE)
    with pytest.raises(OSError, match="Stale"):  # The mount may come back.
        _plan(tmp_path / "in", tmp_path / "out")


def test_what_cannot_be_read_is_planned_without_being_opened(tmp_path: Path) -> None:
    """A FIFO would block a reader for ever; the job says what is wrong with it."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dangling.png").symlink_to("missing.png")
    (tmp_path / "circle.png").symlink_to("circle.png")
    jobs = _plan(tmp_path, tmp_path / "out").jobs
    assert {job.name: job.image_sha256 for job in jobs} == dict.fromkeys(["circle.png", "dangling.png", "pipe.png"])


def test_runs_have_folders_of_their_own_inside_the_output_folder(tmp_path: Path) -> None:
    ids = ["a:b", "a+b", "a_b", "../../etc", "..", "x" * 250, "x" * 251, "manual__2026-01-01T00:00:00+00:00"]
    folders = {run_folder(tmp_path, run_id) for run_id in ids}
    assert len(folders) == len(ids)
    for folder in folders:
        assert folder.resolve().parent == tmp_path / "runs"
        folder.mkdir(parents=True)


def test_a_forced_plan_does_again_what_is_done_and_says_so_to_the_jobs(tmp_path: Path) -> None:
    _touch(tmp_path / "in", "a.png")
    for force in (False, True):
        plan = _plan(tmp_path / "in", tmp_path / "out", force=force)
        (submission,) = plan.submissions()
        assert ("--force" in submission["application_args"]) == force
        assert all(isinstance(argument, str) for argument in submission["application_args"])


def test_a_search_for_k_is_one_job_for_each_image_and_target(tmp_path: Path) -> None:
    _touch(tmp_path / "in", "a.png", "b.png")
    plan = _plan(tmp_path / "in", tmp_path / "out", ["auto"], target="0.95")
    assert (plan.ks, plan.target) == ((), "ssim=0.95")
    assert [job.label for job in plan.jobs] == ["a.png ssim=0.95", "b.png ssim=0.95"]
    assert all("--target=ssim=0.95" in job.arguments() for job in plan.jobs)
    other = _plan(tmp_path / "in", tmp_path / "out", ["auto"], target="0.9")
    assert not {job.output for job in plan.jobs} & {job.output for job in other.jobs}
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan


@pytest.mark.parametrize(
    ("ks", "target", "message"),
    [
        (["auto"], "", "give a target"),
        (["auto", "4"], "0.9", "'auto' is not a palette size"),
        ([4], "best", "target: 'best'"),
    ],
)
def test_a_search_without_a_target_and_a_wrong_target_are_refused(
    tmp_path: Path, ks: list[str], target: str, message: str
) -> None:
    _touch(tmp_path, "a.png")
    with pytest.raises(InvalidPlan, match=message):
        _plan(tmp_path, tmp_path / "out", ks, target=target)


def test_a_pattern_chooses_images_by_their_path(tmp_path: Path) -> None:
    _touch(tmp_path / "in", "a.png", "2026/a.png", "2026/b/c.jpg", "2026/notes.md", "2025/a.png")
    plan = _plan(tmp_path / "in", tmp_path / "out", pattern="2026/*")
    assert [job.name for job in plan.jobs] == ["2026/a.png", "2026/b/c.jpg"]
    assert plan.ignored == ("2026/notes.md",)
    with pytest.raises(InvalidPlan, match=r"no image that matches '\*.gif'"):
        _plan(tmp_path / "in", tmp_path / "out", pattern="*.gif")


def test_what_earlier_runs_left_inside_the_image_folder_is_no_image(tmp_path: Path) -> None:
    """An output and a published folder may lie there: their images would be compressed again, more every night."""
    images = tmp_path / "images"
    _touch(images, "a.png", "compressed/mine.png", "site/like it.png")
    plan = _plan(images, images / "output", run_id="first", publish=str(images / "site.org"))
    assert [job.name for job in plan.jobs] == ["a.png", "compressed/mine.png", "site/like it.png"]
    _touch(images, "output/runs/first/contact_sheets/a.png.png", "output/runs/first/summary.html")
    _touch(Path(plan.jobs[0].output).parent, "k004.png", "sheet-0.png")
    site = images / "site.org"
    (original,) = plan.jobs[:1]
    candidate = Candidate(
        image="a.png", source=images / "a.png", folder=images, sha256=original.image_sha256, k=None, reason=""
    )
    now = "2026-01-02T03:04:05+00:00"
    publish([candidate], site, Edition(run_id="first", planned_at=now, written_at=now))
    assert (site / "a.png").exists()
    again = _plan(images, images / "output", run_id="second", publish=str(site))
    assert [job.name for job in again.jobs] == [job.name for job in plan.jobs]
    assert again.ignored == ()
    mark_outputs(images / "output")  # As a run does with its plan.
    other = _plan(images, tmp_path / "elsewhere", run_id="third", publish=str(tmp_path / "other site"))
    assert [job.name for job in other.jobs] == [job.name for job in plan.jobs]
    assert other.ignored == ("site.org",), "a link to a folder"


@pytest.mark.parametrize("output", ["", "images"])
def test_an_output_folder_may_be_or_hold_the_image_folder(tmp_path: Path, output: str) -> None:
    images = tmp_path / "images"
    _touch(images, "a.png")
    for run_id in ("first", "second"):
        (job,) = _plan(images, tmp_path / output, run_id=run_id).jobs
        assert job.name == "a.png"
        _touch(Path(job.output).parent, "k004.png")


def test_images_that_lie_where_the_run_writes_are_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "compressed/a.png", "site/a.png")
    with pytest.raises(InvalidPlan, match="would write to .*compressed, which contains the image folder"):
        _plan(tmp_path / "compressed", tmp_path)
    with pytest.raises(InvalidPlan, match="would write to .*site, which contains the image folder"):
        _plan(tmp_path / "site", tmp_path / "out", publish=str(tmp_path / "site"))


@pytest.mark.parametrize("publish", ["", "out", "out/compressed/site", "out/runs"])
def test_a_published_folder_that_is_one_of_the_outputs_is_refused(tmp_path: Path, publish: str) -> None:
    """An empty output folder would become a link, and a published one would hold the run's records."""
    _touch(tmp_path, "in/a.png")
    (tmp_path / "out").mkdir()
    with pytest.raises(InvalidPlan, match="The published folder .* name another one"):
        _plan(tmp_path / "in", tmp_path / "out", publish=str(tmp_path / publish))
    assert _plan(tmp_path / "in", tmp_path / "out", publish=str(tmp_path / "out" / "site")).jobs


@pytest.mark.parametrize("ks", [None, [], ["auto"], ["fewest"]])
def test_no_palette_size_at_all_is_refused_without_a_target(
    ks: list[str] | None, photographs: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidPlan, match="give "):
        plan_run(RunRequest(run_id="run", images=str(photographs), ks=ks, output=str(tmp_path / "out")))


def test_auto_leaves_settings_free_and_anything_else_fixes_them(photographs: Path, tmp_path: Path) -> None:
    def planned(ks: list[str]) -> Settings:
        request = RunRequest(
            run_id="run",
            images=str(photographs),
            ks=ks,
            output=str(tmp_path / "out"),
            settings=Settings.parse({"rate": 0.2}),
            target="ssim=0.9",
        )
        plan = plan_run(request)
        assert {job.settings for job in plan.jobs} == {plan.settings}
        return plan.settings

    assert planned(["auto"]).free == ("objective", "color_space", "dither", "effort")
    assert planned(["fewest"]) == planned(["16"]) == Settings(rate=0.2)


def test_what_a_run_with_other_folders_left_inside_the_image_folder_is_no_image(tmp_path: Path) -> None:
    """Its outputs would be compressed, and published, as images. The mark tells, not the parameters of this run."""
    output = tmp_path / "in" / "smaller"
    _touch(tmp_path / "in", "a.png", "smaller/compressed/a.png/0/k004.png", "smaller/runs/r/sheet.png", "smaller/b.png")
    mark_outputs(output)
    assert [job.name for job in _plan(tmp_path / "in", tmp_path / "elsewhere").jobs] == ["a.png", "smaller/b.png"]
    # Who names the folder itself means it.
    assert len(_plan(output / "compressed", tmp_path / "elsewhere").jobs) == 1
