"""Buckets as they are, on a real S3 server (moto's): large, versioned, busy, and those that refuse some requests."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from colorquant.errors import InvalidPlan, StoreUnavailable, UnsupportedImage
from colorquant.jobs.plan import RunRequest, plan_run
from colorquant.storage import paths as storage
from colorquant.storage import sha256_of
from tests.store_front import in_front_of
from tests.test_compress_image import compress_in_process


@pytest.fixture
def client(s3: dict[str, str]) -> Any:
    """A client of the S3 server of the tests."""
    import boto3

    return boto3.client("s3")


def _plan(images: str, output: str = "s3://results/out", **more: Any) -> Any:
    return plan_run(RunRequest(run_id="run", images=images, ks=[4], output=output, **more))


def test_a_listing_of_more_than_a_page_is_complete(client: Any) -> None:
    names = [f"{number:04d}.png" for number in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: client.put_object(Bucket="library", Key=f"in/{name}", Body=b"x"), names))
    assert list(storage.sizes_below("s3://library/in")) == names
    assert list(storage.files_below("s3://library/in")) == names


@pytest.mark.parametrize("folder", ["s3://library", "s3://library/"])
def test_a_bucket_itself_is_a_folder(client: Any, folder: str, photographs: Path) -> None:
    """With names that URLs, forms and file systems write in other ways."""
    names = ["a b+c%2B.png", "Äpfel/ü ß.png", "A\u0308pfel/u\u0308.png"]
    for name in names:
        client.put_object(Bucket="library", Key=name, Body=(photographs / "one.png").read_bytes())
    for mark in ("empty.png/", "Äpfel/"):
        client.put_object(Bucket="library", Key=mark, Body=b"")
    plan = _plan(folder, folder.replace("library", "results"), publish="s3://results/site")
    assert sorted(job.name for job in plan.jobs) == sorted(names)
    assert not plan.ignored
    assert {job.image for job in plan.jobs} == {f"s3://library/{name}" for name in names}
    assert all(job.output.startswith("s3://results/compressed/") for job in plan.jobs)
    for job in plan.jobs:
        compress_in_process(job.arguments())
        assert job.is_done()
    again = _plan(folder, folder.replace("library", "results"))
    assert all(job.is_done() for job in again.jobs)
    assert not [key for key in storage.sizes_below("s3://results") if key.startswith((".tmp", "/"))]


def test_of_a_versioned_bucket_the_newest_objects_count(client: Any) -> None:
    client.create_bucket(Bucket="versioned")
    client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    for content in (b"old", b"newer"):
        storage.put("s3://versioned/in/a.png", content)
        storage.put("s3://versioned/in/gone.png", content)
    storage.remove("s3://versioned/in/gone.png")
    assert storage.sizes_below("s3://versioned/in") == {"a.png": 5}
    assert storage.read("s3://versioned/in/a.png") == b"newer"
    with pytest.raises(FileNotFoundError):
        storage.read("s3://versioned/in/gone.png")
    before = storage.version_of("s3://versioned/in/a.png")
    storage.put("s3://versioned/in/a.png", b"other")
    assert storage.version_of("s3://versioned/in/a.png") != before
    storage.probe("s3://versioned/out")
    assert storage.sizes_below("s3://versioned/out") == {}


def test_an_archived_object_is_one_failed_job_that_is_not_tried_again(client: Any, photographs: Path) -> None:
    for name in ("archived.png", "good.png"):
        client.put_object(
            Bucket="library",
            Key=f"in/{name}",
            Body=(photographs / "one.png").read_bytes(),
            StorageClass="DEEP_ARCHIVE" if name == "archived.png" else "STANDARD",
        )
    archived, good = _plan("s3://library/in").jobs
    compress_in_process(good.arguments())
    assert good.is_done()
    with pytest.raises(UnsupportedImage, match="cannot be read: .*an archive: restore the object"):  # Exit status 65.
        compress_in_process(archived.arguments())


def _behind(address: str, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
    # Not by AWS_ENDPOINT_URL: s3fs keeps a client for the same options.
    monkeypatch.setenv(storage.STORES["s3"].options, json.dumps({"endpoint_url": address} | more))


def test_a_store_that_is_busy_is_asked_again_later(client: Any, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.put("s3://library/in/a.png", b"content")
    with in_front_of(endpoint, "--busy=1") as address:
        _behind(address, monkeypatch)
        begun = time.monotonic()
        assert storage.read("s3://library/in/a.png") == b"content"
        assert time.monotonic() - begun > 0.2, "without a pause a busy store stays busy"
        storage.put("s3://library/in/b.png", b"other")
        assert list(storage.sizes_below("s3://library/in")) == ["a.png", "b.png"]
        assert sha256_of("s3://library/in/b.png")


def test_a_store_that_stays_busy_is_not_a_refusal(client: Any, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_front_of(endpoint, "--busy=1000") as address:
        _behind(address, monkeypatch, config_kwargs={"retries": {"max_attempts": 1}})
        monkeypatch.setattr("s3fs.S3FileSystem.retries", 2)
        with pytest.raises(StoreUnavailable, match="Service Unavailable|reduce your request rate") as caught:
            storage.read("s3://library/in/a.png")
    assert not storage.is_refusal(caught.value), "so the job is tried again"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--deny", "PUT"], "The output folder 's3://results/out' cannot be written: .*(Access Denied|Forbidden)"),
        (["--deny", "DELETE"], "The output folder 's3://results/out' cannot be written: .*(Access Denied|Forbidden)"),
        (["--deny-lists"], "The image folder 's3://library/in' cannot be read: .*(Access Denied|Forbidden)"),
    ],
)
def test_a_bucket_that_may_not_be_written_emptied_or_listed_is_refused_before_any_job(
    client: Any, endpoint: str, monkeypatch: pytest.MonkeyPatch, options: list[str], sentence: str
) -> None:
    storage.put("s3://library/in/a.png", b"content")
    with in_front_of(endpoint, *options) as address:
        _behind(address, monkeypatch)
        with pytest.raises(InvalidPlan, match=sentence) as caught:
            _plan("s3://library/in")
    assert str(caught.value).count("\n") == 0
