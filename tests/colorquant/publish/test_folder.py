"""The published folder: the old files or the new ones, and a manifest that tells every difference."""

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest

from colorquant.errors import PublishFailed
from colorquant.publish import folder as published
from colorquant.publish.folder import main, publish, verify
from colorquant.publish.manifest import MANIFEST, Candidate, Manifest
from colorquant.storage.atomic import sha256_of


def _candidate(root: Path, image: str, content: bytes, k: int | None = 4) -> Candidate:
    source = root / "sources" / f"{image}{'' if k is None else '.png'}"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_bytes(content)
    return Candidate(image=image, source=source, sha256=None if k is None else sha256_of(source), k=k, reason="because")


def _publish(root: Path, *candidates: Candidate, run_id: str = "run") -> Manifest:
    return publish(candidates, root / "site", run_id, "2026-01-02T03:04:05+00:00")


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


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_source_that_is_not_what_was_measured_publishes_nothing(tmp_path: Path, damage: str) -> None:
    _publish(tmp_path, _candidate(tmp_path, "a.png", b"old"))
    bad = _candidate(tmp_path, "b.png", b"b")
    bad.source.unlink() if damage == "missing" else bad.source.write_bytes(b"other")
    with pytest.raises(PublishFailed, match=damage):
        _publish(tmp_path, _candidate(tmp_path, "a.png", b"new"), bad)
    assert (tmp_path / "site" / "a.png").read_bytes() == b"old"
    assert verify(tmp_path / "site") == []
    assert len(list((tmp_path / "site.versions").glob("version-*"))) == 1


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
        publish([], tmp_path / "other", "run", "now")
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
