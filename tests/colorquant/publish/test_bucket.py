"""Publishing to a folder of a bucket, against a real S3 server (moto's) in a process of its own."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from colorquant.errors import PublishFailed
from colorquant.publish import bucket as published_bucket
from colorquant.publish.folder import main, publish, refuse_others, verify
from colorquant.publish.manifest import MANIFEST, UNFINISHED, Candidate, Edition, Manifest
from colorquant.storage import paths as storage
from colorquant.storage.atomic import sha256_of
from colorquant.storage.listing import OUTPUTS_MARK, list_images
from tests.more_stores import Emulator

SITE = "s3://results/site"
WHEN = "2026-01-02T03:04:05+00:00"


def _candidate(image: str, content: bytes, k: int | None = 4, where: str | Path = "s3://library") -> Candidate:
    source = storage.resolve(where, f"sources/{image}{'' if k is None else '.png'}")
    if storage.is_remote(source):
        storage.put(source, content)
    else:
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(content)
    folder = storage.resolve(where, "sources")
    return Candidate(image=image, source=source, folder=folder, sha256=sha256_of(source), k=k, reason="because")


def _publish(*candidates: Candidate, run_id: str = "run", folder: str | Path = SITE, anyway: bool = True) -> Manifest:
    edition = Edition(run_id=run_id, planned_at=WHEN, written_at=WHEN, anyway=anyway)
    return publish(candidates, storage.location(folder), edition).manifest


def _objects() -> dict[str, bytes]:
    """The contents of the published folder, without the mark that they are outputs."""
    return {name: storage.read(f"{SITE}/{name}") for name in storage.sizes_below(SITE) if name != OUTPUTS_MARK}


@pytest.mark.usefixtures("s3")
def test_files_from_a_disk_and_a_bucket_get_there_and_the_next_run_replaces_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    owl, cat = _candidate("birds/owl é.jpg", b"smaller", where=tmp_path), _candidate("cat.jpg", b"original", k=None)
    manifest = _publish(owl, cat)
    objects = _objects()
    assert {name: objects[name] for name in objects if name != MANIFEST} == {
        "birds/owl é.png": b"smaller",
        "cat.jpg": b"original",
    }
    assert Manifest.read(storage.location(SITE) / MANIFEST) == manifest
    assert verify(storage.location(SITE)) == []
    assert main([SITE]) == 0
    assert "2 files" in capsys.readouterr().out

    assert list_images("s3://results").images == [], "a run with another output folder takes none for its own"
    storage.put(f"{SITE}/of-others.txt", b"mine")
    _publish(cat, _candidate("dog.png", b"dog"), run_id="second")
    assert _objects().keys() == {"cat.jpg", "dog.png", "of-others.txt", MANIFEST}
    assert verify(storage.location(SITE)) == ["of-others.txt is not in the manifest"]


@pytest.mark.usefixtures("s3")
def test_an_original_gets_there_without_its_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SecretMaker"
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, "PNG", exif=exif)
    item = dataclasses.replace(_candidate("a.png", stream.getvalue(), k=None), metadata="stripped")
    (file,) = _publish(item).files
    assert b"SecretMaker" not in _objects()["a.png"]
    assert (file.sha256, file.bytes) == (sha256_of(f"{SITE}/a.png"), len(_objects()["a.png"]))
    monkeypatch.setattr(published_bucket, "put", lambda path, content: pytest.fail("it is there already"))
    _publish(item)
    assert verify(storage.location(SITE)) == []


@pytest.mark.usefixtures("s3")
def test_what_has_not_changed_is_not_written_again_and_what_is_damaged_is(monkeypatch: pytest.MonkeyPatch) -> None:
    same, damaged = _candidate("same.png", b"same"), _candidate("damaged.png", b"whole")
    _publish(same, damaged)
    storage.put(f"{SITE}/damaged.png", b"other")
    written: list[str] = []
    real = published_bucket.put
    monkeypatch.setattr(published_bucket, "put", lambda path, content: (written.append(path.name), real(path, content)))
    _publish(same, damaged)
    assert written == ["damaged.png"]
    assert verify(storage.location(SITE)) == []


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("damage", ["has changed", "is missing"])
def test_a_source_that_is_not_what_was_planned_costs_itself_and_its_published_file_is_kept(damage: str) -> None:
    _publish(_candidate("a.png", b"old"), _candidate("b.png", b"old b"), _candidate("away/c.png", b"c"))
    bad = _candidate("b.png", b"b")
    storage.remove(bad.source) if damage == "is missing" else storage.put(bad.source, b"other")
    edition = Edition(run_id="run", planned_at=WHEN, written_at=WHEN, unreadable=["away"])
    done = publish([_candidate("a.png", b"new"), bad], storage.location(SITE), edition)
    assert len(done.problems) == 1 and damage in done.problems[0]
    objects = _objects()
    assert {name: objects[name] for name in objects if name != MANIFEST} == {
        "a.png": b"new",
        "b.png": b"old b",
        "away/c.png": b"c",
    }
    assert verify(storage.location(SITE)) == []


@pytest.mark.usefixtures("s3")
def test_an_older_run_and_one_that_drops_files_publish_nothing() -> None:
    _publish(*(_candidate(f"{number}.png", b"a") for number in range(4)), run_id="new")
    before = _objects()
    older = Edition(run_id="old", planned_at="2026-01-01T00:00:00+00:00", written_at=WHEN)
    with pytest.raises(PublishFailed, match="run 'new'.* has published there, and this run, 'old', is older"):
        publish([_candidate("0.png", b"b")], storage.location(SITE), older)
    with pytest.raises(PublishFailed, match="3 of 4 published images would disappear"):
        _publish(_candidate("0.png", b"b"), anyway=False)
    assert _objects() == before


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("name", [MANIFEST, UNFINISHED])
def test_a_folder_with_the_manifest_of_a_web_app_is_refused(name: str) -> None:
    storage.put(f"{SITE}/{name}", b'{"name": "A web app", "icons": []}')
    before = _objects()
    with pytest.raises(PublishFailed, match="was not published by this project"):
        _publish(_candidate("a.png", b"a"))
    with pytest.raises(PublishFailed, match="was not published by this project"):
        refuse_others(storage.location(SITE))
    assert _objects() == before


@pytest.mark.usefixtures("s3")
def test_an_object_of_others_in_our_folder_is_not_overwritten() -> None:
    _publish(_candidate("a.png", b"a"))
    storage.put(f"{SITE}/b.png", b"mine")
    edition = Edition(run_id="run", planned_at=WHEN, written_at=WHEN)
    done = publish([_candidate("a.png", b"a"), _candidate("b.png", b"b")], storage.location(SITE), edition)
    assert len(done.problems) == 1 and "an object of somebody else" in done.problems[0]
    assert _objects()["b.png"] == b"mine"


@pytest.mark.usefixtures("s3")
def test_a_folder_of_others_is_refused() -> None:
    storage.put(f"{SITE}/precious", b"mine")
    with pytest.raises(PublishFailed, match="was not published by this project"):
        _publish(_candidate("a.png", b"a"))
    assert _objects() == {"precious": b"mine"}


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("first", [True, False])
def test_a_run_that_dies_is_finished_by_the_next_one_which_leaves_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    if not first:
        _publish(_candidate("old.png", b"old"))

    def die(path: Any, content: bytes) -> None:
        if path.name == "c.png":
            raise KeyboardInterrupt
        storage.put(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(published_bucket, "put", die)
        with pytest.raises(KeyboardInterrupt):
            _publish(_candidate("b.png", b"b"), _candidate("c.png", b"c"))
    assert {"b.png", UNFINISHED} <= _objects().keys()
    assert verify(storage.location(SITE)) != []
    _publish(_candidate("d.png", b"d"), run_id="next")
    assert _objects().keys() == {"d.png", MANIFEST}
    assert verify(storage.location(SITE)) == []


@pytest.mark.usefixtures("s3")
def test_two_runs_at_the_same_time_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(path: Any, content: bytes) -> None:
        storage.put(path, content)
        other = Manifest.read(storage.location(SITE) / UNFINISHED)
        dataclasses.replace(other, run_id="another").write(storage.location(SITE) / UNFINISHED)

    monkeypatch.setattr(published_bucket, "put", meanwhile)
    with pytest.raises(PublishFailed, match="another run is publishing"):
        _publish(_candidate("a.png", b"a"))
    assert MANIFEST not in _objects()


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("image", ["../a.png", "x/../../a.png", "/a.png", "a//b.png", "./a.png"])
def test_a_path_that_leads_out_of_the_folder_is_refused(image: str, tmp_path: Path) -> None:
    escaping = dataclasses.replace(_candidate("a.png", b"a", where=tmp_path), image=image)
    for folder in (SITE, tmp_path / "site"):
        with pytest.raises(PublishFailed, match="cannot be published"):
            _publish(escaping, folder=folder)
    assert list(storage.sizes_below("s3://results")) == []


@pytest.mark.usefixtures("s3")
def test_a_name_that_looks_like_an_objects_version_is_refused_in_a_bucket() -> None:
    with pytest.raises(PublishFailed, match="cannot be published to a bucket"):
        _publish(dataclasses.replace(_candidate("a.png", b"a"), image="a?versionId=1/b.png"))


@pytest.mark.usefixtures("s3")
def test_outputs_of_a_bucket_are_published_to_a_disk(tmp_path: Path) -> None:
    _publish(_candidate("a.jpg", b"a"), folder=tmp_path / "site")
    assert (tmp_path / "site" / "a.png").read_bytes() == b"a"
    assert verify(tmp_path / "site") == []


@pytest.mark.stores
def test_a_bucket_of_another_store_is_published_to_alike(store: Emulator, tmp_path: Path) -> None:
    site, where = f"{store.scheme}://results/site", f"{store.scheme}://library"
    owl = _candidate("birds/owl é.jpg", b"smaller", where=tmp_path)
    cat = _candidate("cat.jpg", b"original", k=None, where=where)
    manifest = _publish(owl, cat, folder=site)
    assert storage.read(f"{site}/birds/owl é.png") == b"smaller"
    assert Manifest.read(storage.location(site) / MANIFEST) == manifest
    assert verify(storage.location(site)) == []
    _publish(cat, _candidate("dog.png", b"dog", where=where), run_id="second", folder=site)
    assert storage.sizes_below(site).keys() == {"cat.jpg", "dog.png", MANIFEST, OUTPUTS_MARK}
    storage.put(f"{site}/of-others.txt", b"mine")
    assert verify(storage.location(site)) == ["of-others.txt is not in the manifest"]
    storage.put(f"{store.scheme}://results/full/precious", b"mine")
    with pytest.raises(PublishFailed, match="exists and was not published by this project"):
        _publish(cat, folder=f"{store.scheme}://results/full")
