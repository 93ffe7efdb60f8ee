"""Google Cloud Storage and Azure Blob Storage, against emulators in processes of their own (`make test-stores`)."""

import errno
import gc
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from colorquant.errors import InvalidPlan, StoreUnavailable, UnsupportedImage
from colorquant.jobs.plan import Plan, RunRequest, plan_run, run_folder
from colorquant.report import read_summary, summarize_run
from colorquant.storage import list_images, sha256_of, stores
from colorquant.storage import paths as storage
from tests.metadata_service import REFUSING, halting, plan_twice, silent
from tests.more_stores import KEY, Emulator
from tests.store_front import in_front_of
from tests.test_compress_image import compress_in_process

pytestmark = pytest.mark.stores
PROJECT = Path(__file__).resolve().parents[3]
NAMES = ["a b+c%2B.png", "Äpfel/ü ß.png", "A\u0308pfel/u\u0308.png", "we#ird?x=1&y {{ ds }}%20é+.png", "a.png#12.png"]


def test_an_object_of_any_name_is_written_found_and_read(store: Emulator) -> None:
    for name in (*NAMES, "ends with #12"):
        uri = f"{store.scheme}://library/in/{name}"
        storage.put(uri, b"content")
        assert str(storage.location(uri)) == uri
        assert str(storage.location(f"{store.scheme}://library/in") / name) == uri
        assert storage.read(uri) == b"content"
        assert storage.sizes_below(f"{store.scheme}://library/in") == {name: 7}
        assert list(storage.files_below(f"{store.scheme}://library")) == [f"in/{name}"]
        assert storage.is_file(uri) and not storage.is_file(f"{store.scheme}://library/in")
        assert storage.is_folder(f"{store.scheme}://library/in")
        assert not storage.is_folder(f"{store.scheme}://library/i")
        with storage.open_stream(uri) as stream:
            assert stream.read(3) == b"con"
            assert stream.seek(-1, os.SEEK_END) == 6
            assert stream.read() == b"t"
        storage.remove(uri)
        storage.remove(uri)
        for read in (storage.read, storage.open_stream, storage.version_of, sha256_of):
            with pytest.raises(FileNotFoundError):
                read(uri)


def test_an_object_that_is_replaced_while_it_is_read_is_not_mixed(store: Emulator) -> None:
    uri = f"{store.scheme}://library/object"
    content = os.urandom(storage._BLOCK_BYTES + 5)
    storage.put(uri, content)
    before = storage.version_of(uri)
    with storage.open_stream(uri) as stream:
        assert stream.read() == content
        stream.seek(0)
        assert stream.read(10) == content[:10]
        storage.put(uri, content[::-1])
        assert storage.version_of(uri) != before
        with pytest.raises(OSError, match="it was replaced while it was read"):
            stream.read()


def test_a_bucket_itself_is_a_folder_and_its_marks_are_no_images(store: Emulator, photographs: Path) -> None:
    for name in NAMES:
        store.put("library", name, (photographs / "one.png").read_bytes())
    for name in ("empty.png", "album.png/", "Äpfel/", "sub/"):
        store.put("library", name, b"")
    listed = list_images(f"{store.scheme}://library")
    assert (listed.images, listed.ignored) == (sorted([*NAMES, "empty.png"]), [])
    root = f"{store.scheme}://library/"
    output, site = f"{store.scheme}://results", f"{store.scheme}://results/site"
    plan = plan_run(RunRequest(run_id="run", images=root, ks=[4], output=output, publish=site, exclude="empty.png"))
    assert sorted(job.name for job in plan.jobs) == sorted(NAMES)
    for job in plan.jobs:
        compress_in_process(job.arguments())
        assert job.is_done()
    folder = run_folder(output, "run")
    summarize_run(plan, folder)
    assert read_summary(folder / "summary.json").totals.done == len(NAMES)
    again = plan_run(RunRequest(run_id="again", images=root, ks=[4], output=output, exclude="empty.png"))
    assert all(job.is_done() for job in again.jobs)
    assert not [key for key in storage.sizes_below(output) if key.startswith((".tmp", "/"))]


def test_a_listing_of_more_than_a_page_is_complete(store: Emulator) -> None:
    names = [f"{number:04d}.png" for number in range(1005)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: store.put("library", f"in/{name}", b"x"), names))
    assert list(storage.sizes_below(f"{store.scheme}://library/in")) == names


def test_a_bucket_that_does_not_exist_is_refused(store: Emulator) -> None:
    with pytest.raises(InvalidPlan) as caught:
        _plan(store, images=f"{store.scheme}://nowhere/in", output=f"{store.scheme}://nowhere/out")
    assert "nowhere/in' is not a folder" in str(caught.value)
    assert "nowhere/out' cannot be written" in str(caught.value)


def _plan(store: Emulator, **more: str) -> Plan:
    folders = {"images": f"{store.scheme}://library/in", "output": f"{store.scheme}://results/out"}
    return plan_run(RunRequest(run_id="run", ks=[4], **(folders | more)))  # type: ignore[arg-type]


def _behind(store: Emulator, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in store.behind(address).items():
        monkeypatch.setenv(name, value)


def test_a_store_that_is_busy_is_asked_again_later(store: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.put(f"{store.scheme}://library/in/a.png", b"content")
    with in_front_of(store.address, "--busy=1") as address:
        _behind(store, address, monkeypatch)
        begun = time.monotonic()
        assert storage.read(f"{store.scheme}://library/in/a.png") == b"content"
        assert time.monotonic() - begun > 0.2, "without a pause a busy store stays busy"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--deny", "PUT", "POST"], "The output folder '.*/out' cannot be written: .*[Dd]enied"),
        (["--deny", "DELETE"], "The output folder '.*/out' cannot be written: .*[Dd]enied"),
        (["--deny-lists"], "The image folder '.*/in' cannot be read: .*[Dd]enied"),
    ],
)
def test_a_bucket_that_may_not_be_written_emptied_or_listed_is_refused_before_any_job(
    store: Emulator, monkeypatch: pytest.MonkeyPatch, options: list[str], sentence: str
) -> None:
    storage.put(f"{store.scheme}://library/in/a.png", b"content")
    with in_front_of(store.address, *options) as address:
        _behind(store, address, monkeypatch)
        with pytest.raises(InvalidPlan, match=sentence) as caught:
            _plan(store)
    assert KEY not in str(caught.value)


def test_an_upload_in_blocks_that_is_refused_is_not_tried_again(
    store: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"{store.scheme}://results/out/a.tif"
    with in_front_of(store.address, "--deny", "PUT", "POST") as address:
        _behind(store, address, monkeypatch)
        with pytest.raises(StoreUnavailable, match="[Dd]enied") as caught:
            storage.put_stream(uri, io.BytesIO(b"content"))
    assert storage.is_refusal(caught.value)
    _behind(store, store.address, monkeypatch)
    assert not storage.is_file(uri)


# --- copies -----------------------------------------------------------------------------------------------------------

BLOCK = 2**18  # The least that Google's library sends.


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_BLOCK_BYTES", "_UPLOAD_BYTES"):
        monkeypatch.setattr(storage, name, BLOCK)


def test_a_copy_has_the_bytes_of_its_source_whatever_its_size(store: Emulator, small_blocks: None) -> None:
    """Each replaces the one before. Azure's are read and uploaded again, in blocks."""
    target = f"{store.scheme}://results/out/target"
    for size in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 7, 2, 0):
        content = os.urandom(size)
        source = f"{store.scheme}://library/in/{size}"
        storage.put(source, content)
        storage.copy_object(source, target)
        assert storage.read(target) == storage.read(source) == content
        with storage.open_stream(target) as stream:
            assert stream.read() == content
    assert list(storage.sizes_below(f"{store.scheme}://results")) == ["out/target"]
    with pytest.raises(FileNotFoundError):
        storage.copy_object(f"{store.scheme}://library/in/missing", target)
    assert storage.read(target) == b""


def test_a_copy_may_have_any_name(store: Emulator) -> None:
    for name in NAMES:
        storage.put(f"{store.scheme}://library/in/{name}", name.encode())
        storage.copy_object(f"{store.scheme}://library/in/{name}", f"{store.scheme}://results/{name}")
        assert storage.read(f"{store.scheme}://results/{name}") == name.encode()
    assert sorted(storage.sizes_below(f"{store.scheme}://results")) == sorted(NAMES)


@pytest.mark.parametrize("store", ["az"], indirect=True)
@pytest.mark.parametrize("happens", ["nothing", "replaced", "removed", "stopped"])
def test_a_copy_that_is_uploaded_again_appears_whole_or_not_at_all(
    store: Emulator, small_blocks: None, monkeypatch: pytest.MonkeyPatch, happens: str
) -> None:
    source, target = f"{store.scheme}://library/in/source", f"{store.scheme}://results/out/target"
    old, content = b"an older output", os.urandom(5 * BLOCK + 7)
    storage.put(source, content)
    storage.put(target, old)
    blocks = 0
    real = storage._Unchanged.readinto

    def readinto(stream: Any, buffer: Any) -> int:
        nonlocal blocks
        blocks += 1
        assert storage.read(target) == old
        if blocks == 4:
            if happens == "replaced":
                storage.put(source, content[::-1])
            elif happens == "removed":
                storage.remove(source)
            elif happens == "stopped":
                raise KeyboardInterrupt
        return real(stream, buffer)

    monkeypatch.setattr(storage._Unchanged, "readinto", readinto)
    errors = {"replaced": StoreUnavailable, "removed": FileNotFoundError, "stopped": KeyboardInterrupt}
    with pytest.raises(errors[happens]) if happens in errors else nullcontext() as caught:
        storage.copy_object(source, target)
    if happens == "replaced":
        assert caught is not None and caught.value.errno == errno.EBUSY and not storage.is_refusal(caught.value)
    assert blocks >= 4
    gc.collect()
    assert storage.read(target) == (old if happens in errors else content)
    assert list(storage.sizes_below(f"{store.scheme}://results")) == ["out/target"]


@pytest.mark.parametrize("store", ["az"], indirect=True)
def test_of_two_copies_to_one_name_at_once_one_is_there_whole(
    store: Emulator, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of two tries of a job, of which the older one still lives: the store may lose its blocks."""
    content = {name: os.urandom(5 * BLOCK + 7) for name in ("older", "newer")}
    target = f"{store.scheme}://results/out/target"
    for name in content:
        storage.put(f"{store.scheme}://library/in/{name}", content[name])
    blocks = 0
    real = storage._Unchanged.readinto

    def readinto(stream: Any, buffer: Any) -> int:
        nonlocal blocks
        blocks += 1
        if blocks == 4:
            storage.copy_object(f"{store.scheme}://library/in/newer", target)
            assert storage.read(target) == content["newer"]
        return real(stream, buffer)

    monkeypatch.setattr(storage._Unchanged, "readinto", readinto)
    last = "older"
    try:
        storage.copy_object(f"{store.scheme}://library/in/older", target)
    except StoreUnavailable as error:
        assert not storage.is_refusal(error), "another try will do"
        last = "newer"
    assert blocks > 8
    assert storage.read(target) == content[last]


def test_workers_get_the_credentials_and_messages_do_not(store: Emulator) -> None:
    place = storage.location(f"{store.scheme}://library/in")
    assert KEY not in f"{place!r} {place}"
    assert stores.OPTIONS[store.scheme] in storage.access()


def test_a_library_is_compressed_on_spark_with_the_bytes_of_a_disk(
    store: Emulator, photographs: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    (photographs / "broken.png").write_text("no image")
    for path in photographs.rglob("*.*"):
        store.put("library", f"in/{path.relative_to(photographs).as_posix()}", path.read_bytes())
    output = f"{store.scheme}://results/out"
    command = [
        *("spark-submit", "--master", "local[2]", "--conf", "spark.ui.enabled=false"),
        *("--conf", f"spark.pyspark.python={sys.executable}", str(PROJECT / "spark_apps" / "compress_corpus.py")),
        *(f"--images={store.scheme}://library/in", "--ks=3 9", f"--output={output}", "--run=run"),
    ]
    environment = bare_environment | store.behind(store.address)
    if modules := os.environ.get("PYTHONPATH"):
        environment["PYTHONPATH"] = modules
    printed = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
    ).stdout
    assert "3 of 3 images" in printed and "2 jobs failed" in printed, printed
    assert KEY not in printed
    folder = run_folder(output, "run")
    plan = Plan.read(folder / "plan.json")
    for job in plan.jobs:
        if job.name != "broken.png":
            local = [f"--image={photographs / job.name}", f"--output={tmp_path}/o.png", f"--result={tmp_path}/r.json"]
            compress_in_process([*job.arguments(), *local])
            assert storage.read(job.output) == (tmp_path / "o.png").read_bytes()
    summarize_run(plan, folder)
    assert (read_summary(folder / "summary.json").totals.done, len(plan.jobs)) == (4, 6)


# --- credentials ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["refusing", "silent", "halting"])
@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_without_credentials_one_sentence_says_so_in_seconds(scheme: str, service: str, tmp_path: Path) -> None:
    """Whether a metadata service refuses, is silent, or says what it is and is silent when it is asked for a token."""
    with {"refusing": lambda: nullcontext(REFUSING), "silent": silent, "halting": halting}[service]() as address:
        environment = {"GCE_METADATA_HOST": address, "GCE_METADATA_IP": address, "AZURE_STORAGE_ACCOUNT_NAME": "nobody"}
        if service == "halting":  # As App Service names its own.
            environment |= {"IDENTITY_ENDPOINT": f"http://{address}/msi/token", "IDENTITY_HEADER": "x"}
        else:
            environment |= {"AZURE_POD_IDENTITY_AUTHORITY_HOST": f"http://{address}"}
        first, second = plan_twice(f"{scheme}://bucket/in", environment, tmp_path)
    assert f"no credentials for {stores.STORES[scheme].service} work here: " in first.sentence
    assert first.sentence.count("docs/scaling.md") == 1 and "Errno" not in first.sentence
    assert first.seconds < stores.CREDENTIALS_SECONDS + 10, "and imports on a busy machine"
    assert second.seconds < 5, "the answer is remembered"
    assert (second.kind, second.sentence) == (first.kind, first.sentence)
    if service == "halting":
        assert first.kind == "try again" and "no answer within 15 seconds" in first.sentence
    elif service == "refusing":
        assert first.kind == "refused"


def test_a_key_that_is_not_one_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FSSPEC_GS", json.dumps({"token": {"type": "service_account", "client_email": "x"}}))
    with pytest.raises(StoreUnavailable, match="no credentials for Google Cloud Storage work here") as caught:
        storage.read("gs://bucket/a.png")
    assert storage.is_refusal(caught.value)
    monkeypatch.delenv("FSSPEC_GS")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))
    with pytest.raises(StoreUnavailable, match="gone.json was not found"):
        storage.read("gs://bucket/a.png")
    monkeypatch.setenv("FSSPEC_AZ", json.dumps({"connection_string": "no string"}))
    with pytest.raises(StoreUnavailable, match="no credentials for Azure Blob Storage work here"):
        storage.read("az://bucket/a.png")


@pytest.mark.parametrize("found", [True, False])
def test_credentials_are_looked_up_once_for_all_threads(found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def search(options: Mapping[str, Any]) -> None:
        asked.append(options)
        if not found:
            raise ValueError("There are none")

    def require(number: int) -> str | None:
        try:
            stores.require_credentials("gs", {"token": "x"})
        except PermissionError as error:
            return str(error)
        return None

    monkeypatch.setattr(stores, "_found", set())
    monkeypatch.setattr(stores, "_missed", {})
    monkeypatch.setattr(stores, "_search_google", search)
    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(require, range(4)))
    assert len(asked) == 1 and len(answers) == 1
    assert (answers == {None}) == found


def test_the_dag_of_single_jobs_takes_the_credentials_from_an_airflow_connection(
    store: Emulator, photographs: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    for path in photographs.rglob("*.*"):
        store.put("library", f"in/{path.relative_to(photographs).as_posix()}", path.read_bytes())
    images, output = f"{store.scheme}://library/in", f"{store.scheme}://results/out"
    connections = {
        "gs": {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True}},
        "az": {"conn_type": "wasb", "extra": store.options(store.address)},
    }
    environment = bare_environment | {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_SPARK_DEFAULT": '{"conn_type": "spark", "host": "local[2]"}',
        "AIRFLOW_CONN_OBJECT_STORE": json.dumps(connections[store.scheme]),
        "COMPRESSION_ALLOWED_ROOTS": f"{images},{output}",
        "COMPRESSION_ALLOWED_CONNECTIONS": "object_store",
        "STORAGE_EMULATOR_HOST": store.address,  # What Google's libraries read.
    }
    if modules := os.environ.get("PYTHONPATH"):
        environment["PYTHONPATH"] = modules
    for preparation in (["db", "migrate"], ["pools", "set", "spark", "2", "test"]):
        subprocess.run(["airflow", *preparation], env=environment, check=True, capture_output=True, timeout=300)
    file = str(PROJECT / "dags" / "kmeans_image_compression.py")
    conf = {"images": images, "output": output, "ks": ["5"], "storage_connection": "object_store"}
    command = ["airflow", "dags", "test", "kmeans_image_compression", "-f", file, "--conf", json.dumps(conf)]
    run = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=500
    )
    assert "2 done, 0 reused, 0 failed" in run.stdout, run.stdout[-5000:]
    assert KEY not in run.stdout
    names = [name.rsplit("/", 1)[-1] for name in storage.sizes_below(output)]
    assert names.count("k005.png") == 2 and names.count("summary.html") == 1
    assert not [name for name in storage.sizes_below(output) if KEY.encode() in storage.read(f"{output}/{name}")]


def test_an_archived_blob_is_one_failed_job_that_is_not_tried_again(store: Emulator, photographs: Path) -> None:
    if store.scheme == "gs":
        pytest.skip("Google's archive is read as everything else")
    from azure.storage.blob import BlobServiceClient

    for name in ("archived.png", "good.png"):
        store.put("library", f"in/{name}", (photographs / "one.png").read_bytes())
    client = BlobServiceClient.from_connection_string(store.options(store.address)["connection_string"])
    client.get_blob_client("library", "in/archived.png").set_standard_blob_tier("Archive", timeout=20)
    archived, good = _plan(store).jobs
    compress_in_process(good.arguments())
    assert good.is_done()
    with pytest.raises(UnsupportedImage, match="cannot be read: .*an archive: restore the object"):  # Exit status 65.
        compress_in_process(archived.arguments())
