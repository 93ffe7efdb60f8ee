"""The published folder: the old files or the new ones, and a manifest that tells every difference."""

import dataclasses
import errno
import io
import itertools
import json
import multiprocessing
import os
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from colorquant.errors import PublishFailed
from colorquant.publish import folder as published
from colorquant.publish.folder import main, publish, verify
from colorquant.publish.manifest import MANIFEST, Candidate, Edition, Manifest
from colorquant.storage.atomic import sha256_of


def _candidate(root: Path, image: str, content: bytes, k: int | None = 4) -> Candidate:
    source = root / "sources" / f"{image}{'' if k is None else '.png'}"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_bytes(content)
    folder = root / "sources"
    return Candidate(image=image, source=source, folder=folder, sha256=sha256_of(source), k=k, reason="because")


_hours = itertools.count()


def _edition(run_id: str = "run", **more: Any) -> Edition:
    """A run, planned an hour after the one before; it may drop files."""
    planned_at = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=next(_hours))).isoformat()
    return Edition(
        **{"run_id": run_id, "planned_at": planned_at, "written_at": "2026-01-02T03:04:05+00:00", "anyway": True} | more
    )


def _publish(root: Path, *candidates: Candidate, **edition: Any) -> Manifest:
    done = publish(candidates, root / "site", _edition(**edition))
    assert done.problems == []
    return done.manifest


def _content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_keep_their_relative_path_and_the_ending_says_what_they_are(tmp_path: Path) -> None:
    manifest = _publish(
        tmp_path,
        _candidate(tmp_path, "birds/owl.jpg", b"smaller"),
        _candidate(tmp_path, "cat.jpg", b"original", k=None),
        _candidate(tmp_path, "dog.png", b"dog"),
    )
    files = _content((tmp_path / "site").resolve())
    assert {name: files[name] for name in files if name != "manifest.json"} == {
        "birds/owl.png": b"smaller",
        "cat.jpg": b"original",
        "dog.png": b"dog",
    }
    assert Manifest.read(tmp_path / "site" / MANIFEST) == manifest
    assert [(file.path, file.k) for file in manifest.files] == [
        ("birds/owl.png", 4),
        ("cat.jpg", None),
        ("dog.png", 4),
    ]
    assert verify(tmp_path / "site") == []
    assert oct((tmp_path / "site").resolve().stat().st_mode)[-3:] == "755"


def test_the_next_run_replaces_the_folder_and_what_it_left_out_is_gone(tmp_path: Path) -> None:
    old = _candidate(tmp_path, "old.png", b"old")
    same = _candidate(tmp_path, "same.png", b"same")
    _publish(tmp_path, old, same)
    first = (tmp_path / "site").resolve()
    _publish(tmp_path, same, _candidate(tmp_path, "new.png", b"new"))
    assert _content((tmp_path / "site").resolve()).keys() == {"same.png", "new.png", "manifest.json"}
    # Who has the old version open still reads it; what has not changed is not stored twice.
    assert (first / "old.png").read_bytes() == b"old"
    assert (first / "same.png").samefile(tmp_path / "site" / "same.png")
    _publish(tmp_path, same)
    assert not first.exists()
    assert not same.source.samefile(tmp_path / "site" / "same.png"), "an edit on the site would damage the output"


def test_a_damaged_file_of_the_old_version_is_not_carried_over(tmp_path: Path) -> None:
    same = _candidate(tmp_path, "same.png", b"same")
    _publish(tmp_path, same)
    (tmp_path / "site" / "same.png").write_bytes(b"damaged")
    _publish(tmp_path, same)
    assert (tmp_path / "site" / "same.png").read_bytes() == b"same"


@pytest.mark.parametrize("damage", ["changed", "missing", "half-uploaded", "link"])
@pytest.mark.parametrize("k", [4, None])
def test_a_source_that_is_not_what_was_planned_costs_itself_and_its_published_file_is_kept(
    tmp_path: Path, damage: str, k: int | None
) -> None:
    _publish(tmp_path, _candidate(tmp_path, "a.png", b"old"), _candidate(tmp_path, "b.png", b"old b", k))
    bad, new = _candidate(tmp_path, "b.png", b"new b", k), _candidate(tmp_path, "c.png", b"c", k)
    for source in (bad.source, new.source):
        source.unlink()
        if damage == "link":
            (tmp_path / source.name).write_bytes(b"new b")  # The very bytes, but outside the folder.
            source.symlink_to(tmp_path / source.name)
        elif damage != "missing":
            source.write_bytes(b"other" if damage == "changed" else b"new")
    done = publish([_candidate(tmp_path, "a.png", b"new"), bad, new], tmp_path / "site", _edition())
    why = {"missing": "is missing", "link": "cannot be read"}.get(damage, "has changed")
    assert [problem.split(why)[0] for problem in done.problems] == ["'b.png' ", "'c.png' "]
    assert done.problems[0].endswith("its published file is kept.")
    assert done.problems[1].endswith("nothing is published of it.")
    assert _content((tmp_path / "site").resolve()).keys() == {"a.png", "b.png", MANIFEST}
    assert (tmp_path / "site" / "a.png").read_bytes() == b"new"
    assert (tmp_path / "site" / "b.png").read_bytes() == b"old b"
    assert verify(tmp_path / "site") == []


def _photograph(root: Path, image: str, **metadata: Any) -> Candidate:
    """An original of a camera, and its candidate."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "SecretMaker", 6
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, "JPEG", exif=exif)
    original = _candidate(root, image, stream.getvalue(), k=None)
    return dataclasses.replace(original, original_sha256=original.sha256, **metadata)


def test_an_original_is_published_without_its_metadata_and_the_manifest_has_both_hashes(tmp_path: Path) -> None:
    item = _photograph(tmp_path, "a.jpg", metadata="stripped")
    (file,) = _publish(tmp_path, item).files
    published = tmp_path / "site" / "a.jpg"
    assert b"SecretMaker" in item.source.read_bytes() and b"SecretMaker" not in published.read_bytes()
    assert (file.sha256, file.original_sha256) == (sha256_of(published), item.sha256)
    assert file.bytes == published.stat().st_size and file.sha256 != item.sha256
    with Image.open(published) as image:
        assert image.getexif()[ExifTags.Base.Orientation] == 6
    assert verify(tmp_path / "site") == []

    before = published.resolve()
    _publish(tmp_path, item)
    assert before.samefile(published), "what has not changed is not stored twice"
    _publish(tmp_path, dataclasses.replace(item, metadata="original"))
    assert published.read_bytes() == item.source.read_bytes()


def test_an_original_that_cannot_be_stripped_costs_itself_only(tmp_path: Path) -> None:
    text = dataclasses.replace(_candidate(tmp_path, "a.jpg", b"GPS 59.9 N", k=None), metadata="stripped")
    done = publish([text, _candidate(tmp_path, "b.png", b"b")], tmp_path / "site", _edition())
    assert [problem.split(" of a known")[0] for problem in done.problems] == ["'a.jpg' is not an image"]
    assert _content((tmp_path / "site").resolve()).keys() == {"b.png", MANIFEST}


def test_an_original_that_is_gone_is_named_although_it_was_published_as_planned(tmp_path: Path) -> None:
    original = _candidate(tmp_path, "a.png", b"a", k=None)
    _publish(tmp_path, original)
    original.source.unlink()
    done = publish([original], tmp_path / "site", _edition())
    assert len(done.problems) == 1 and "is missing" in done.problems[0]
    assert (tmp_path / "site" / "a.png").read_bytes() == b"a"
    unread = dataclasses.replace(_candidate(tmp_path, "a.png", b"a", k=None), sha256=None)
    assert "could not be read when the run was planned" in publish([unread], tmp_path / "site", _edition()).problems[0]
    assert (tmp_path / "site" / "a.png").read_bytes() == b"a"


def test_what_was_published_of_a_folder_that_cannot_be_read_is_kept(tmp_path: Path) -> None:
    _publish(tmp_path, *(_candidate(tmp_path, name, b"x") for name in ("a.png", "away/b.jpg", "awayward.png")))
    _publish(tmp_path, _candidate(tmp_path, "a.png", b"new"), unreadable=["away"])
    assert _content((tmp_path / "site").resolve()).keys() == {"a.png", "away/b.png", MANIFEST}
    assert verify(tmp_path / "site") == []
    _publish(tmp_path, _candidate(tmp_path, "a.png", b"new"), unreadable=["away"], anyway=False)


def test_an_older_run_does_not_replace_what_a_newer_one_published(tmp_path: Path) -> None:
    old, new = _edition("old", anyway=False), _edition("new", anyway=False)
    candidates = [_candidate(tmp_path, "a.png", b"a")]
    publish(candidates, tmp_path / "site", old)
    publish(candidates, tmp_path / "site", new)
    for cleared in (old, dataclasses.replace(old, planned_at=None)):
        with pytest.raises(PublishFailed, match="run 'new', planned at .* this run, 'old', is older.*publish_anyway"):
            publish(candidates, tmp_path / "site", cleared)
    publish(candidates, tmp_path / "site", new)
    assert Manifest.read(tmp_path / "site" / MANIFEST).run_id == "new"
    publish(candidates, tmp_path / "site", dataclasses.replace(old, anyway=True))
    assert Manifest.read(tmp_path / "site" / MANIFEST).run_id == "old"


def test_a_run_that_would_drop_more_than_a_fifth_publishes_nothing(tmp_path: Path) -> None:
    candidates = [_candidate(tmp_path, f"{number}.png", b"a") for number in range(10)]
    _publish(tmp_path, *candidates)
    _publish(tmp_path, *candidates[2:], anyway=False)
    with pytest.raises(PublishFailed, match="2 of 8 published images would disappear, .*: '2.png', '3.png'"):
        _publish(tmp_path, *candidates[4:], anyway=False)
    assert len(_content((tmp_path / "site").resolve())) == 9
    _publish(tmp_path, *candidates[4:])


def test_versions_and_links_of_others_are_never_removed(tmp_path: Path) -> None:
    versions = tmp_path / "site.versions"
    for name in ("version-mine", "version-empty"):
        (versions / name).mkdir(parents=True)
    (versions / "version-mine" / "precious").write_text("mine")
    (versions / "version-x.link").symlink_to("elsewhere")
    (versions / "version-file").write_text("mine")
    (versions / "version-app").mkdir()
    (versions / "version-app" / MANIFEST).write_text('{"name": "A web app", "icons": []}')
    before = set(versions.iterdir())
    for content in (b"1", b"2", b"3"):
        _publish(tmp_path, _candidate(tmp_path, "a.png", content))
    assert before < set(versions.iterdir())
    assert (versions / "version-mine" / "precious").read_text() == "mine"
    assert len(list(versions.glob("version-*"))) == len(before) + 2


def test_a_link_to_a_version_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "site.versions" / "version-7").mkdir(parents=True)
    (tmp_path / "site.versions" / "version-7" / MANIFEST).write_text('{"name": "A web app"}')
    (tmp_path / "site").symlink_to("site.versions/version-7")
    with pytest.raises(PublishFailed, match="was not published by this project"):
        _publish(tmp_path, _candidate(tmp_path, "a.png", b"a"))
    assert os.readlink(tmp_path / "site") == "site.versions/version-7"


def test_a_manifest_of_the_first_version_is_ours(tmp_path: Path) -> None:
    _publish(tmp_path, _candidate(tmp_path, "a.png", b"a"))
    manifest = tmp_path / "site" / MANIFEST
    content = json.loads(manifest.read_text())
    del content["published_by"], content["planned_at"]
    manifest.write_text(json.dumps(content | {"schema_version": 1}))
    _publish(tmp_path, _candidate(tmp_path, "a.png", b"b"))
    assert Manifest.read(manifest).published_by == "kmeans-image-compression"


def test_a_lock_that_is_a_link_is_refused_and_no_lock_is_ever_emptied(tmp_path: Path) -> None:
    (tmp_path / "site.versions").mkdir()
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "site.versions" / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(PublishFailed, match="lock is a link, which this project did not make"):
        _publish(tmp_path, _candidate(tmp_path, "a.png", b"a"))
    assert (tmp_path / "precious").read_text() == "mine"
    (tmp_path / "site.versions" / ".lock").unlink()
    (tmp_path / "site.versions" / ".lock").write_text("mine")
    _publish(tmp_path, _candidate(tmp_path, "a.png", b"a"))
    assert (tmp_path / "site.versions" / ".lock").read_text() == "mine"


def test_a_name_that_grows_too_long_costs_its_file_only(tmp_path: Path) -> None:
    long = "n" * 250
    two = [_candidate(tmp_path, "a.png", b"a"), _candidate(tmp_path, f"{long}.jp2", b"long", k=None)]
    grown = dataclasses.replace(two[1], source=two[0].source, sha256=two[0].sha256, k=4, image=f"{long}.jp")
    grown = dataclasses.replace(grown, source=tmp_path / "sources" / "a.png.png", image=f"{long}.jp")
    third = dataclasses.replace(grown, image=f"{long}.jpg")
    done = publish([*two, grown, third], tmp_path / "site", _edition())
    assert len(done.problems) == 2
    assert all("a name too long for the file system" in problem for problem in done.problems)
    assert _content((tmp_path / "site").resolve()).keys() == {"a.png", f"{long}.jp2", MANIFEST}


def test_a_name_that_is_another_ones_on_the_target_is_named_and_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that folds names finds the first file by the second name: so does this one, by a patch."""
    composed, decomposed = "\N{LATIN SMALL LETTER E WITH ACUTE}.png", "e\N{COMBINING ACUTE ACCENT}.png"
    twins = [_candidate(tmp_path, composed, b"composed"), _candidate(tmp_path, decomposed, b"decomposed")]
    done = publish(twins, tmp_path / "site", _edition())
    assert done.problems == [] and verify(tmp_path / "site") == []

    real = published._write
    monkeypatch.setattr(
        published, "_write", lambda target, pieces: real(Path(str(target).replace(decomposed, composed)), pieces)
    )
    monkeypatch.setattr(published, "_link", lambda *_: False)
    done = publish(twins, tmp_path / "site", _edition())
    assert len(done.problems) == 1 and "the name of another file" in done.problems[0]
    assert (tmp_path / "site" / composed).read_bytes() == b"composed"


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_links_is_refused_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def symlink(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "symlink", symlink)
    with pytest.raises(PublishFailed, match="its file system has no symbolic links"):
        published.refuse_others(tmp_path / "new" / "site")
    assert list(tmp_path.iterdir()) == []


def test_a_mount_point_is_refused_before_anything_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path / "site")
    with pytest.raises(PublishFailed, match="is a mount point"):
        published.refuse_others(tmp_path / "site")


def test_without_hard_links_unchanged_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    same, gone = _candidate(tmp_path, "same.png", b"same"), _candidate(tmp_path, "gone.png", b"gone")
    _publish(tmp_path, same, gone)
    gone.source.unlink()
    done = publish([same, gone], tmp_path / "site", _edition())
    assert len(done.problems) == 1
    assert verify(tmp_path / "site") == [] and (tmp_path / "site" / "gone.png").read_bytes() == b"gone"


def test_a_folder_of_others_is_refused_and_an_empty_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    _publish(tmp_path, _candidate(tmp_path, "a.png", b"a"))
    assert verify(tmp_path / "site") == []
    shutil.rmtree(tmp_path / "site.versions")
    (tmp_path / "site").unlink()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "precious").write_text("mine")
    with pytest.raises(PublishFailed, match="was not published by this project"):
        _publish(tmp_path, _candidate(tmp_path, "a.png", b"a"))
    assert _content(tmp_path / "site") == {"precious": b"mine"}


def test_a_link_to_a_folder_of_others_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("mine")
    (tmp_path / "site").symlink_to("mine")
    with pytest.raises(PublishFailed, match="site exists and was not published by this project"):
        _publish(tmp_path, _candidate(tmp_path, "a.png", b"a"))
    assert os.readlink(tmp_path / "site") == "mine"
    assert _content(tmp_path / "site") == {"index.html": b"mine"}


def test_a_link_to_somebody_elses_version_is_refused(tmp_path: Path) -> None:
    """Another folder that was published from here is not this one."""
    _publish(tmp_path, _candidate(tmp_path, "a.png", b"a"))
    (tmp_path / "other").symlink_to(os.readlink(tmp_path / "site"))
    with pytest.raises(PublishFailed, match="was not published by this project"):
        publish([], tmp_path / "other", _edition())
    assert verify(tmp_path / "site") == []


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_to_an_empty_folder_stays_and_is_published_to_again(tmp_path: Path, is_there: bool) -> None:
    """``site`` leads to another disk, as web servers have it: the files go to that disk."""
    (tmp_path / "disk").mkdir()
    if is_there:
        (tmp_path / "disk" / "files").mkdir()
    (tmp_path / "site").symlink_to(Path("disk", "files"))
    for content in (b"old", b"new"):
        _publish(tmp_path, _candidate(tmp_path, "a.png", content))
        assert os.readlink(tmp_path / "site") == "disk/files"
        assert (tmp_path / "site" / "a.png").read_bytes() == content
    assert verify(tmp_path / "site") == []
    assert not (tmp_path / "site.versions").exists()


def test_links_that_lead_to_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "site").symlink_to("other")
    (tmp_path / "other").symlink_to("site")
    with pytest.raises(PublishFailed, match="leads nowhere"):
        _publish(tmp_path, _candidate(tmp_path, "a.png", b"a"))


def _publish_and_die(root: Path, step: str) -> None:
    real = getattr(os, step)

    def die(*arguments: object, **options: object) -> None:
        if step == "sync" or str(arguments[1]).endswith("site"):
            os.kill(os.getpid(), signal.SIGKILL)
        real(*arguments, **options)

    setattr(os, step, die)
    _publish(root, _candidate(root, "a.png", b"new"))


@pytest.mark.parametrize("step", ["sync", "replace"])
def test_a_killed_run_leaves_the_old_files_and_the_next_one_cleans_up(tmp_path: Path, step: str) -> None:
    _publish(tmp_path, _candidate(tmp_path, "a.png", b"old"))
    process = multiprocessing.get_context("fork").Process(target=_publish_and_die, args=(tmp_path, step))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / "site" / "a.png").read_bytes() == b"old"
    assert verify(tmp_path / "site") == []
    _publish(tmp_path, _candidate(tmp_path, "a.png", b"newer"))
    assert (tmp_path / "site" / "a.png").read_bytes() == b"newer"
    assert len(list((tmp_path / "site.versions").glob("version-*"))) == 2


def test_a_reader_never_misses_a_file_while_runs_publish(tmp_path: Path) -> None:
    candidates = [_candidate(tmp_path, "a.png", b"a"), _candidate(tmp_path, "b.png", b"b")]
    _publish(tmp_path, *candidates)
    process = multiprocessing.get_context("fork").Process(
        target=lambda: [_publish(tmp_path, *candidates, run_id=str(number)) for number in range(20)]
    )
    process.start()
    reads = 0
    while process.is_alive():
        assert (tmp_path / "site" / "a.png").read_bytes() == b"a"
        reads += 1
    process.join()
    assert process.exitcode == 0 and reads
    assert Manifest.read(tmp_path / "site" / MANIFEST).run_id == "19"


def test_verify_tells_each_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _publish(tmp_path, *(_candidate(tmp_path, f"{name}.png", name.encode()) for name in ("a", "b", "c")))
    site = tmp_path / "site"
    assert main([str(site)]) == 0
    assert "3 files" in capsys.readouterr().out
    (site / "a.png").unlink()
    (site / "b.png").write_bytes(b"other")
    (site / "surplus").write_bytes(b"")
    assert verify(site) == [
        "a.png is missing",
        "surplus is not in the manifest",
        "b.png has changed (its SHA-256 differs)",
    ]
    assert main([str(site)]) == 1
    assert "a.png is missing" in capsys.readouterr().err
    (site / "manifest.json").write_text("{}")
    assert "schema_version None is unknown" in verify(site)[0]
    assert "manifest.json cannot be read" in verify(tmp_path / "nothing")[0]


def test_a_path_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    escaping = _candidate(tmp_path, "a.png", b"a")
    with pytest.raises(PublishFailed, match="cannot be published"):
        _publish(tmp_path, Candidate(**{**vars(escaping), "image": "../a.png"}))
    assert published.MANIFEST == "manifest.json"
