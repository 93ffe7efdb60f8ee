"""What a publication would change is what it then changes."""

from pathlib import Path

import pytest
from PIL import ExifTags, Image

from colorquant.errors import PublishFailed
from colorquant.publish import Candidate, Difference, Edition, Manifest, difference, publish
from colorquant.storage import sha256_of


def _edition(run_id: str, **more: object) -> Edition:
    return Edition(run_id=run_id, planned_at=f"2026-01-0{run_id[-1]}T00:00:00+00:00", written_at="", **more)  # type: ignore[arg-type]


def _candidate(folder: Path, image: str, content: bytes = b"", k: int | None = 4, **more: str) -> Candidate:
    source = folder / f"{image}{'' if k is None else '.png'}"
    if content:
        source.write_bytes(content)
    return Candidate(image=image, source=source, folder=folder, sha256=sha256_of(source), k=k, reason="", **more)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "sources").mkdir()
    return tmp_path / "sources"


def test_it_names_what_comes_changes_and_goes(sources: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    first = [_candidate(sources, name, name.encode()) for name in ("gone.jpg", "same.jpg", "other.jpg")]
    assert difference(first, site, _edition("run 1")) == Difference(
        published=0, added=("gone.jpg", "same.jpg", "other.jpg"), changed=(), removed=()
    )
    publish(first, site, _edition("run 1"))
    assert difference(first, site, _edition("run 2")).nothing
    second = [
        first[1],
        _candidate(sources, "other.jpg", b"better"),
        _candidate(sources, "new.jpg", b"new"),
    ]
    found = difference(second, site, _edition("run 2"))
    assert found == Difference(published=3, added=("new.jpg",), changed=("other.jpg",), removed=("gone.jpg",))
    assert found.sentence() == "Of 3 published images: 1 removed, 1 changed, 1 added."


def test_an_original_is_compared_as_it_would_be_published(sources: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "somebody"
    Image.new("RGB", (8, 8), "navy").save(sources / "a.jpg", exif=exif)
    site, stripped = tmp_path / "site", _candidate(sources, "a.jpg", k=None, metadata="stripped")
    publish([stripped], site, _edition("run 1"))
    assert difference([stripped], site, _edition("run 2")).nothing
    kept = _candidate(sources, "a.jpg", k=None, metadata="copyright")
    assert difference([kept], site, _edition("run 2")).changed == ("a.jpg",)


def test_what_cannot_be_published_or_read_stays_as_it_is(sources: Path, tmp_path: Path) -> None:
    (sources / "away").mkdir()
    site, original = tmp_path / "site", _candidate(sources, "a.jpg", b"planned", k=None)
    publish([original, _candidate(sources, "away/b.jpg", b"b")], site, _edition("run 1"))
    (sources / "a.jpg").write_bytes(b"swapped after the plan")
    edition = _edition("run 2", unreadable={"away"})
    assert difference([original], site, edition).nothing
    publish([original], site, edition)
    assert {file.image for file in Manifest.read(site / "manifest.json").files} == {"a.jpg", "away/b.jpg"}


def test_a_person_is_not_asked_for_what_would_be_refused(sources: Path, tmp_path: Path) -> None:
    one = [_candidate(sources, "a.jpg", b"a")]
    publish(one, tmp_path / "site", _edition("run 2"))
    with pytest.raises(PublishFailed, match="this run, 'run 1', is older"):
        difference(one, tmp_path / "site", _edition("run 1"))


def test_only_what_a_person_has_seen_may_disappear(sources: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    three = [_candidate(sources, name, name.encode()) for name in ("a.jpg", "b.jpg", "c.jpg")]
    publish(three, site, _edition("run 1"))
    with pytest.raises(PublishFailed, match="1 of 3 published images would disappear, more than a fifth: 'b.jpg'"):
        publish(three[:1], site, _edition("run 2", may_drop=["c.jpg"]))
    publish(three[:1], site, _edition("run 2", may_drop=["b.jpg", "c.jpg"]))
    assert [file.image for file in Manifest.read(site / "manifest.json").files] == ["a.jpg"]
