"""Object storage, against a real S3 server (moto's) in a process of its own."""

import errno
import gc
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest

from colorquant.decode import read_image
from colorquant.errors import InvalidPlan, StoreUnavailable, UnsupportedImage
from colorquant.jobs import JobFailure
from colorquant.jobs.plan import Plan, RunRequest, plan_run, run_folder
from colorquant.report import read_summary, summarize_run
from colorquant.storage import paths as storage
from colorquant.storage.atomic import write_atomically
from colorquant.storage.stores import CREDENTIALS_SECONDS, without_queries
from tests.metadata_service import REFUSING, plan_twice, silent
from tests.object_store import SECRET
from tests.test_compress_image import compress_in_process

PROJECT = Path(__file__).resolve().parents[3]


def _upload(folder: Path, uri: str) -> None:
    for path in folder.rglob("*.*"):
        storage.put(f"{uri}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def _objects(bucket: str) -> dict[str, bytes]:
    return {name: storage.read(f"s3://{bucket}/{name}") for name in storage.sizes_below(f"s3://{bucket}")}


@pytest.mark.parametrize("name", ["a.png", "sub folder/b c.png", "we#ird?x=1&y {{ ds }}%20é+.png"])
def test_an_object_of_any_name_is_written_found_and_read(s3: dict[str, str], name: str) -> None:
    uri = f"s3://library/in/{name}"
    storage.put(uri, b"content")
    assert str(storage.location(uri)) == uri
    assert str(storage.location("s3://library/in") / name) == uri
    assert storage.read(uri) == b"content"
    assert storage.sizes_below("s3://library/in") == {name: 7}
    assert storage.location(uri).is_file()
    assert storage.location("s3://library/in").is_dir()
    storage.remove(uri)
    storage.remove(uri)
    assert not storage.location(uri).exists()
    with pytest.raises(FileNotFoundError):
        storage.read(uri)


def test_paths_and_uris_are_told_apart(tmp_path: Path) -> None:
    assert storage.location((tmp_path / "a b").as_uri()) == tmp_path / "a b"
    assert storage.location("here/a:b.png") == Path.cwd() / "here" / "a:b.png"
    assert str(storage.resolve("s3://b/out/runs/r", "../../compressed/a.png")) == "s3://b/out/compressed/a.png"
    assert storage.resolve(tmp_path, "../x").resolve() == tmp_path.parent / "x"
    for uri, message in {
        "ftp://bucket/a": "ftp:// is not a supported storage",
        "abfs://container/a": "abfs:// is written az:// here",
        "gs://user@bucket/a": "belong to the environment or to a connection",
        "az:///a": "names no bucket",
        "az://container/a.png?versionid=1": "looks like a version",
        "s3:///a": "names no bucket",
        "s3://bucket/a.png?versionId=1": "looks like a version",
        f"s3://user:{SECRET}@bucket/a": "belong to the environment or to a connection",
    }.items():
        with pytest.raises(storage.InvalidLocation, match=message) as caught:
            storage.location(uri)
        assert SECRET not in str(caught.value)
        with pytest.raises(InvalidPlan, match=message):
            plan_run(RunRequest(run_id="run", images=uri, ks=[4], output="out"))


@pytest.mark.parametrize(
    ("scheme", "library", "extra"), [("s3", "s3fs", "s3"), ("gs", "gcsfs", "gcs"), ("az", "adlfs", "azure")]
)
def test_where_the_library_of_a_store_is_not_installed_the_extra_is_named(
    scheme: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(storage.InvalidLocation, match=rf"needs the package {library}, .*'colorquant\[{extra}\]'"):
        storage.location(f"{scheme}://bucket/a")
    with pytest.raises(InvalidPlan, match=f"images: {scheme}://.* needs the package {library}"):
        plan_run(RunRequest(run_id="run", images=f"{scheme}://bucket/a", ks=[4], output="out"))


def test_an_object_is_written_in_pieces(s3: dict[str, str]) -> None:
    write_atomically("s3://library/in/parts.csv", (bytes([number]) * 3_000_000 for number in range(4)))
    assert storage.read("s3://library/in/parts.csv") == b"".join(bytes([number]) * 3_000_000 for number in range(4))


def test_of_an_upload_that_fails_nothing_appears_even_later(
    s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library completes an upload when its file is collected, also where the store refused to give it up."""
    monkeypatch.setattr("s3fs.core.S3File.discard", lambda upload: os.stat("/no such store"))

    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 20_000_000:
                raise OSError("the disk fails")
            return super().read(size)

    with pytest.raises(OSError, match="the disk fails"):
        storage.put_stream("s3://library/in/half.tif", Breaking(bytes(30_000_000)))
    gc.collect()
    assert not storage.is_file("s3://library/in/half.tif")


def test_the_start_of_an_empty_object_is_empty(s3: dict[str, str]) -> None:
    storage.put("s3://library/in/empty.png", b"")
    assert storage.read_start("s3://library/in/empty.png", 4) == b""
    with pytest.raises(FileNotFoundError):
        storage.read_start("s3://library/in/missing.png", 4)


def test_messages_have_no_queries_of_urls() -> None:
    """Google's library asks whose a token is, and names the whole address where nobody answers."""
    said = without_queries("Max retries exceeded with url: /tokeninfo?access_token=ya29.SECRET (Caused by X('a?b'))")
    assert said == "Max retries exceeded with url: /tokeninfo?... (Caused by X('a?b'))"


def test_a_plan_in_parts_is_written_and_read_in_a_bucket(s3: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colorquant.jobs.plan.MAX_IN_MEMORY", 2)
    for number in range(3):
        storage.put(f"s3://library/in/{number}.png", b"x")
    plan = plan_run(RunRequest(run_id="run", images="s3://library/in/", ks=[4], output="s3://results/out/"))
    plan.write(run_folder("s3://results/out", "run") / "plan.json")
    read = Plan.read(run_folder("s3://results/out", "run") / "plan.json")
    assert read.part_files() and [job.name for job in read.jobs] == ["0.png", "1.png", "2.png"]
    assert tuple(read.jobs) == tuple(plan.jobs)


def test_objects_that_no_path_names_are_listed_as_ignored(s3: dict[str, str]) -> None:
    import boto3

    for key in ("in/a.png", "in/a//b.png", "in/folder.png/", "in/b.png?versionId=1", "in/.hidden/c.png", "in2/d.png"):
        boto3.client("s3").put_object(Bucket="library", Key=key, Body=b"x")
    for mark in ("in/", "in/album.png/", "in/sub/"):
        boto3.client("s3").put_object(Bucket="library", Key=mark, Body=b"")
    plan = plan_run(RunRequest(run_id="run", images="s3://library/in/", ks=[4], output="s3://results/out/"))
    assert not {"", "album.png/", "sub/"} & set(plan.ignored), "marks of folders are no files"
    assert [(job.name, job.image) for job in plan.jobs] == [("a.png", "s3://library/in/a.png")]
    assert plan.jobs[0].output.startswith("s3://results/out/compressed/a.png/")
    assert "a//b.png" in plan.ignored
    assert len(plan.ignored) >= 2


def test_what_earlier_runs_left_inside_the_image_folder_is_no_image(s3: dict[str, str]) -> None:
    for key in ("in/a.png", "in/out/compressed/a.png/1/k004.png", "in/out/runs/r/a.png.png", "in/site/a.png"):
        storage.put(f"s3://library/{key}", b"x")
    storage.put("s3://library/in/site2/a.png", b"x")
    plan = plan_run(
        RunRequest(
            run_id="run",
            images="s3://library/in/",
            ks=[4],
            output="s3://library/in/out/",
            publish="s3://library/in/site/",
        )
    )
    assert [job.name for job in plan.jobs] == ["a.png", "site2/a.png"]
    with pytest.raises(InvalidPlan, match="contains the image folder"):
        plan_run(
            RunRequest(
                run_id="run",
                images="s3://library/in/site",
                ks=[4],
                output="s3://library/out",
                publish="s3://library/in/site",
            )
        )


def test_what_travels_to_workers_and_into_messages_holds_no_credentials(
    s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = storage.location("s3://library/in")
    assert SECRET.encode() not in pickle.dumps(place)
    assert SECRET not in repr(place)
    monkeypatch.setenv("COMPRESSION_ALLOWED_ROOTS", "/photos,s3://library")
    assert storage.access() == s3 | {"COMPRESSION_ALLOWED_ROOTS": "/photos,s3://library"}


def test_wrong_credentials_and_a_missing_bucket_are_a_sentence(
    s3: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(InvalidPlan, match="'s3://nowhere/in' is not a folder"):
        plan_run(RunRequest(run_id="run", images="s3://nowhere/in", ks=[4], output="s3://results/out"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv(storage.STORES["s3"].options, json.dumps({"skip_instance_cache": True}))
    with pytest.raises(InvalidPlan, match="cannot be read: .*credentials"):
        plan_run(RunRequest(run_id="run", images="s3://library/other", ks=[4], output="s3://results/out"))


@pytest.mark.parametrize("service", ["refusing", "silent"])
def test_where_amazons_metadata_service_is_of_no_use_one_sentence_says_so(service: str, tmp_path: Path) -> None:
    with nullcontext(REFUSING) if service == "refusing" else silent() as address:
        metadata = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{address}"}
        answers = plan_twice("s3://library/in", metadata | {"AWS_ENDPOINT_URL": f"http://{REFUSING}"}, tmp_path)
    for answer in answers:
        assert answer.kind == "refused" and answer.seconds < CREDENTIALS_SECONDS
        assert "cannot be read: " in answer.sentence and "Unable to locate credentials" in answer.sentence


def test_what_a_store_refuses_for_good_is_not_tried_again(s3: dict[str, str], photographs: Path) -> None:
    """An archived object can be listed, and must be restored before it can be read."""
    import boto3

    _upload(photographs, "s3://library/in")
    client = boto3.client("s3")
    client.copy_object(Bucket="library", Key="in/one.png", CopySource="library/in/one.png", StorageClass="GLACIER")
    with pytest.raises(StoreUnavailable, match="an archive: restore the object") as caught:
        storage.read("s3://library/in/one.png")
    assert storage.is_refusal(caught.value)
    with pytest.raises(UnsupportedImage, match="'s3://library/in/one.png' cannot be read: .*an archive"):
        read_image("s3://library/in/one.png")
    with pytest.raises(UnsupportedImage, match="cannot be read"):
        read_image("s3://library/in/gone.png")
    plan = plan_run(RunRequest(run_id="run", images="s3://library/in", ks=[4], output="s3://results/out"))
    assert [job.image_sha256 is None for job in plan.jobs] == [True, False]


@pytest.mark.parametrize(
    ("error", "lasts"),
    [
        (PermissionError("Access Denied"), True),  # As s3fs raises it, without a number.
        (OSError(errno.EINVAL, "The authorization header is malformed; the region is wrong"), True),
        (OSError(errno.EBUSY, "Please reduce your request rate"), False),
        (TimeoutError("Your socket connection was not read from"), False),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), False),
        (type("ProfileNotFound", (Exception,), {})("no profile"), True),
        (type("EndpointConnectionError", (Exception,), {})("no route"), False),
    ],
)
def test_which_answers_of_a_store_may_change(error: Exception, lasts: bool) -> None:
    with pytest.raises(StoreUnavailable) as caught, storage.asking("s3://library/in"):
        raise error
    assert storage.is_refusal(caught.value) == lasts
    assert not storage.is_refusal(OSError(errno.EINVAL, "of a disk")), "which may say it of a broken mount"


def test_a_library_on_s3_is_compressed_reported_on_and_reused(
    s3: dict[str, str], photographs: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    (photographs / "broken.png").write_text("no image")
    _upload(photographs, "s3://library/in")
    command = [
        *("spark-submit", "--master", "local[2]", "--conf", "spark.ui.enabled=false"),
        *("--conf", f"spark.pyspark.python={sys.executable}", str(PROJECT / "spark_apps" / "compress_corpus.py")),
        *("--images=s3://library/in", "--ks=3 9", "--output=s3://results/out", "--run=run"),
    ]
    printed, command_lines = _run_and_look(command, bare_environment | s3)
    assert "3 of 3 images" in printed and "2 jobs failed" in printed
    assert SECRET not in printed and SECRET not in command_lines
    folder = run_folder("s3://results/out", "run")
    plan = Plan.read(folder / "plan.json")
    for job in plan.jobs:
        if job.name == "broken.png":
            assert "is not an image" in JobFailure.read(job.failure).reason
            continue
        assert job.is_done()
        local = [f"--image={photographs / job.name}", f"--output={tmp_path}/o.png", f"--result={tmp_path}/r.json"]
        compress_in_process([*job.arguments(), *local])
        assert storage.read(job.output) == (tmp_path / "o.png").read_bytes()
    summarize_run(plan, folder)
    summary = read_summary(folder / "summary.json")
    assert (summary.totals.done, summary.totals.failed) == (4, 2)
    names = {name.rsplit("/", 1)[-1] for name in storage.sizes_below(str(folder))}
    assert {"summary.html", "summary.csv"} <= names
    # The page shows the outputs, not places for missing ones.
    assert storage.read(folder / "summary.html").count(b"data:image/") >= 6
    before = _objects("results")
    assert not [name for name, content in before.items() if SECRET.encode() in content]

    again, _ = _run_and_look(command, bare_environment | s3)
    assert "6 jobs, 4 of them done already" in again
    assert {name: _objects("results")[name] for name in before if "/compressed/" in name} == {
        name: content for name, content in before.items() if "/compressed/" in name
    }


def test_the_dag_of_single_jobs_takes_the_credentials_from_an_airflow_connection(
    s3: dict[str, str], photographs: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    _upload(photographs, "s3://library/in")
    connection = {
        "conn_type": "aws",
        "login": "user",
        "password": SECRET,
        "extra": {"endpoint_url": s3["AWS_ENDPOINT_URL"], "region_name": "us-east-1"},
    }
    conf = {
        **{"images": "s3://library/in", "output": "s3://results/out", "ks": ["5"]},
        "storage_connection": "object_store",
    }
    environment = bare_environment | {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_SPARK_DEFAULT": '{"conn_type": "spark", "host": "local[2]"}',
        "AIRFLOW_CONN_OBJECT_STORE": json.dumps(connection),
        "COMPRESSION_ALLOWED_ROOTS": "s3://library/in,s3://results/out",
        "COMPRESSION_ALLOWED_CONNECTIONS": "object_store",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for preparation in (["db", "migrate"], ["pools", "set", "spark", "2", "test"]):
        subprocess.run(["airflow", *preparation], env=environment, check=True, capture_output=True, timeout=300)
    file = str(PROJECT / "dags" / "kmeans_image_compression.py")
    command = ["airflow", "dags", "test", "kmeans_image_compression", "-f", file, "--conf", json.dumps(conf)]
    printed, command_lines = _run_and_look(command, environment)
    assert "2 done, 0 reused, 0 failed" in printed
    assert "s3://library/in/one.png" in command_lines
    assert SECRET not in printed and SECRET not in command_lines
    objects = _objects("results")
    outputs = [name.rsplit("/", 1)[-1] for name in objects if "/compressed/" in f"/{name}"]
    assert sorted(name for name in outputs if not name.startswith(("pictures-", "sheet-"))) == [
        *(".colorquant-outputs", "k005.json", "k005.json", "k005.png", "k005.png")
    ]
    assert [name for name in objects if name.endswith("summary.html")]
    assert not [name for name, content in objects.items() if SECRET.encode() in content]


def _run_and_look(command: list[str], environment: dict[str, str]) -> tuple[str, str]:
    """What a command prints, and the command lines of all its descendants, as every user of the machine sees them."""
    seen: set[str] = set()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    reader: Any = _reading(process)
    while process.poll() is None:
        for child in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            try:
                seen.add(" ".join(child.cmdline()))
            except psutil.Error:
                continue
        time.sleep(0.1)
    printed = reader()
    assert process.returncode == 0, printed
    return printed, "\n".join(seen)


def _reading(process: subprocess.Popen[str]) -> Any:
    """Read a process's output beside what else is done; the result is asked for by a call."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1)
    assert process.stdout is not None
    future = pool.submit(process.stdout.read)
    pool.shutdown(wait=False)
    return future.result


@pytest.mark.parametrize("megabytes", [128])
def test_an_object_is_hashed_in_pieces(s3: dict[str, str], megabytes: int) -> None:
    """Measured in processes of their own, on a small object and on a large one."""
    # Not getrusage, whose peak is also that of the process that started this one.
    code = (
        "import re, sys; from colorquant.storage import sha256_of; print(sha256_of(sys.argv[1])); "
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    peaks = []
    for size in (1, megabytes << 20):
        storage.put("s3://library/object", bytes(size))
        run = subprocess.run(
            [sys.executable, "-c", code, "s3://library/object"],
            env=os.environ | {"PYTHONPATH": str(PROJECT / "spark_apps")},
            capture_output=True,
            text=True,
            check=True,
        )
        sha256, peak = run.stdout.split()
        assert sha256 == hashlib.sha256(bytes(size)).hexdigest()
        peaks.append(int(peak) >> 10)
    assert peaks[1] - peaks[0] < megabytes / 2, peaks
