"""Temporary files next to an output, on a disk and in a bucket."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from colorquant.storage import paths as storage
from colorquant.storage import workspace
from tests.more_stores import Emulator


@pytest.fixture(params=["disk", "bucket"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "bucket":
        request.getfixturevalue("s3")
        return "s3://results/out/o.tif"
    return f"{tmp_path}/out/o.tif"


def _beginning_last(content: bytes) -> Callable[[BinaryIO], None]:
    """As a writer of TIFFs does, which goes back to the header."""

    def write(stream: BinaryIO) -> None:
        stream.write(bytes(4) + content[4:])
        stream.seek(0)
        stream.write(content[:4])

    return write


def test_a_file_appears_whole_and_the_others_are_gone(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _appears_whole(output, monkeypatch)


@pytest.mark.stores
def test_a_file_appears_whole_in_other_stores_too(store: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    _appears_whole(f"{store.scheme}://results/out/o.tif", monkeypatch)


def _appears_whole(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where an upload has several parts: a store takes none below 5 MB, but the last."""
    monkeypatch.setattr(storage, "_UPLOAD_BYTES", 5 << 20)
    content = bytes(range(256)) * (12 << 12)
    folder = output.rpartition("/")[0]
    with workspace(output) as files:
        files.write("a", b"first")
        files.write("a", b"again")
        files.write("b", b"left over")
        with files.open("a") as stream:
            assert stream.read() == b"again"
        files.remove("a")
        path = files.make("c", _beginning_last(content))
        assert storage.read(path) == content
        assert not storage.is_file(output)
        files.commit("c", output)
    assert set(storage.files_below(folder)) == {"o.tif"}
    assert storage.read(output) == content


def test_what_fails_leaves_nothing(output: str) -> None:
    def write(stream: BinaryIO) -> None:
        stream.write(b"half")
        raise RuntimeError("the rest")

    with pytest.raises(RuntimeError, match="the rest"), workspace(output) as files:
        files.write("a", b"part")
        files.make("c", write)
    assert storage.files_below(output.rpartition("/")[0]) == {}


def test_a_stream_that_fails_in_the_middle_of_an_upload_makes_no_object(
    s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 10 << 20:
                raise OSError("the disk")
            return super().read(size)

    monkeypatch.setattr(storage, "_UPLOAD_BYTES", 5 << 20)
    with pytest.raises(OSError, match="the disk"):
        storage.put_stream("s3://results/a", Failing(bytes(30 << 20)))
    assert not storage.is_file("s3://results/a")
    assert "Uploads" not in boto3.client("s3").list_multipart_uploads(Bucket="results")
