"""``python -m colorquant``: files and folders in, a folder of outputs, and what is refused."""

import contextlib
import math
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from colorquant.cli.inputs import tasks_of
from colorquant.cli.main import _skipped_line, main
from colorquant.compress import pipeline
from colorquant.compress.source import OpenedImage
from colorquant.jobs.records import CompressionResult
from tests.conftest import photograph
from tests.test_compress_image import compress_in_process
from tests.unprivileged import drop_capabilities

PROJECT = Path(__file__).resolve().parents[3]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path, bare_environment: dict[str, str]) -> Command:
    """Runs the command in an empty folder."""

    def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "colorquant", *map(str, arguments)],
            env=bare_environment | {"PYTHONPATH": str(PROJECT / "spark_apps")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            **options,
        )

    return run


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_comes_out_as_the_jobs_make_it_to_the_byte(
    command: Command, photographs: Path, tmp_path: Path
) -> None:
    (photographs / "notes.txt").write_text("no image")
    run = command(photographs, "--k", "9", "--seed", "3", "--output", "small")
    skipped = (
        f"colorquant: Skipped files without an image extension or outside the folder, and links to folders: "
        f"{photographs / 'notes.txt'}\n"
    )
    assert (run.returncode, run.stderr) == (0, skipped)
    assert _files(tmp_path / "small") == {"one.png", "sub folder/two.png"}
    for image, output in (("one.png", "one.png"), ("sub folder/two.jpg", "sub folder/two.png")):
        job = [f"--image={photographs / image}", "--k=9", "--seed=3", "--output=j.png", "--result=j.json"]
        compress_in_process([part.replace("=j.", f"={tmp_path}/j.") for part in job])
        assert (tmp_path / "small" / output).read_bytes() == (tmp_path / "j.png").read_bytes()
        record = CompressionResult.read(tmp_path / "j.json")
        assert f"k = {record.k}" in run.stdout and f"ratio {record.compression_ratio:.2f}" in run.stdout
    assert "2 of 2 images compressed" in run.stdout


def test_it_says_what_other_formats_need_where_asked(command: Command, photographs: Path) -> None:
    run = command(photographs / "one.png", "--k", "64", "--compare", "webp,jpeg")
    assert re.search(r"; at its SSIMULACRA2 of [\d.]+: JPEG [\d.]+ K?B, WebP [\d.]+ K?B\n$", run.stdout), run.stdout


def test_it_needs_neither_spark_nor_airflow(photographs: Path, tmp_path: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(PROJECT / "spark_apps")!r})
sys.modules |= dict.fromkeys(["pyspark", "airflow"])
from colorquant.cli.main import main
sys.exit(main([{str(photographs / "one.png")!r}, "--k=2", "--output", {str(tmp_path / "o")!r}]))"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert _files(tmp_path / "o") == {"one.png"}


def test_an_output_that_is_there_is_replaced_by_force_only(command: Command, photographs: Path, tmp_path: Path) -> None:
    image = photographs / "one.png"
    there = tmp_path / "compressed" / "one.png"
    there.parent.mkdir()
    there.write_text("mine")
    refused = command(image, "--k=4")
    assert refused.returncode == 2
    assert "compressed/one.png exists already: replace it with --force" in refused.stderr
    assert there.read_text() == "mine"
    assert command(image, "--k=4", "--force").returncode == 0
    assert Image.open(there).mode == "P"
    # A second run over the folder that now also holds the outputs takes them for no images.
    assert command(tmp_path, "--k=2", "--output", tmp_path / "compressed" / "again").returncode == 0


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_an_image_is_never_its_own_output(
    command: Command, photographs: Path, tmp_path: Path, force: list[str]
) -> None:
    before = (photographs / "one.png").read_bytes()
    (tmp_path / "link").symlink_to(photographs)
    run = command(photographs / "one.png", "--k=4", "--output", tmp_path / "link", *force)
    assert run.returncode == 2
    assert "is itself an image to compress" in run.stderr
    assert (photographs / "one.png").read_bytes() == before


def test_what_cannot_be_compressed_is_named_and_costs_no_other_image(
    command: Command, photographs: Path, tmp_path: Path
) -> None:
    (photographs / "bad.jpg").write_text("no image")
    (photographs / "circle.png").symlink_to("circle.png")
    run = command(photographs, "--k=4", "--output", "o")
    assert run.returncode == 65
    assert "bad.jpg' is not an image of a known format" in run.stderr
    assert "circle.png' cannot be read: Too many levels of symbolic links" in run.stderr
    assert "2 of 4 images compressed" in run.stdout
    assert _files(tmp_path / "o") == {"one.png", "sub folder/two.png"}


def test_an_unexpected_error_is_a_sentence_and_costs_no_other_image(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opens = pipeline.open_image

    def without_memory(image: str, *arguments: Any, **options: Any) -> OpenedImage:
        if image.endswith("one.png"):
            raise MemoryError
        return opens(image, *arguments, **options)

    monkeypatch.setattr(pipeline, "open_image", without_memory)
    monkeypatch.setattr("colorquant.cli.main.lighten", lambda: None)  # The tests' process needs its modules.
    output = tmp_path / "o"
    assert main([str(photographs), "--k=2", f"--output={output}"]) == 1
    assert f"{photographs / 'one.png'}: MemoryError" in capsys.readouterr().err
    assert _files(output) == {"sub folder/two.png"}


def test_skipped_files_are_named_in_one_line_but_for_those_of_the_output(tmp_path: Path) -> None:
    Image.fromarray(photograph(8, 8)).save(tmp_path / "a.png")
    (tmp_path / "o").mkdir()
    for name in [*(f"{number}.txt" for number in range(7)), "o/old.json"]:
        (tmp_path / name).write_text("no image")
    found = tasks_of([str(tmp_path)], str(tmp_path / "o"))
    assert [task.image and task.image.name for task in found.tasks] == ["a.png"]
    assert [path.name for path in found.skipped] == [f"{number}.txt" for number in range(7)]
    assert _skipped_line(found.skipped).endswith("/4.txt and 2 more")


def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_compressed(
    command: Command, photographs: Path, tmp_path: Path
) -> None:
    (photographs / "linked").symlink_to("sub folder")
    (photographs / "closed").mkdir()
    (photographs / "closed").chmod(0)
    run = command(photographs, "--k=4", "--output", "o", preexec_fn=drop_capabilities)
    assert run.returncode == 1
    assert f"{photographs / 'closed'} is not read: Permission denied" in run.stderr
    assert f"and links to folders: {photographs / 'linked'}" in run.stderr
    assert _files(tmp_path / "o") == {"one.png", "sub folder/two.png"}


def test_photographs_in_formats_that_are_not_read_are_named_and_the_others_are_compressed(
    command: Command, photographs: Path, tmp_path: Path
) -> None:
    (photographs / "three.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    run = command(photographs, "--k=4", "--output", "o")
    assert run.returncode == 65
    assert f"{photographs / 'three.heic'} is not read: HEIC is a format that is not read; save it as" in run.stderr
    assert _files(tmp_path / "o") == {"one.png", "sub folder/two.png"}
    alone = command(photographs / "three.heic", "--k=4", "--output", "o")
    assert alone.returncode == 65 and "is a HEIC, a format that is not read; save it as JPEG or PNG." in alone.stderr


@pytest.mark.parametrize("closed", ["images", "images/one.png", "o"])
def test_a_path_that_cannot_be_looked_at_is_one_sentence(command: Command, photographs: Path, closed: str) -> None:
    folder = photographs.parent / (closed if closed == "o" else "images")
    folder.mkdir(exist_ok=True)
    folder.chmod(0)
    named = photographs.parent / closed if closed != "o" else photographs / "one.png"
    run = command(named, "--k=4", "--output", "o", preexec_fn=drop_capabilities)
    folder.chmod(0o755)
    assert run.returncode == 2 and "cannot be read: Permission denied" in run.stderr
    assert run.stderr.count("\n") == 1


def test_an_output_folder_that_cannot_be_written_is_a_failure_that_may_go_away(
    command: Command, photographs: Path, tmp_path: Path
) -> None:
    (tmp_path / "o").write_text("a file")
    run = command(photographs, "--k=4", "--output", "o")
    assert run.returncode == 1
    assert "one.png" in run.stderr and "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--k=4"], "the following arguments are required: IMAGE"),
        (["images"], "--k"),
        (["images", "--k=0"], "'0' is not a whole number from 1 to 256"),
        (["images", "--k=4", "--seed=-1"], "--seed"),
        (["images/missing.png", "--k=4"], "images/missing.png does not exist"),
        (["images/empty", "--k=4"], "There is no image in the folder images/empty"),
        (["images", "images/sub folder", "images/sub folder/x", "--k=4"], "x does not exist"),
        (["images/one.png", "other/one.png", "--k=4"], "images/one.png and other/one.png would have the same output"),
    ],
    ids=" ".join,
)
def test_wrong_arguments_end_with_2_and_do_nothing(
    command: Command, photographs: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (photographs / "empty").mkdir()
    (tmp_path / "other").mkdir()
    Image.fromarray(photograph()).save(tmp_path / "other" / "one.png")
    run = command(*arguments)
    assert (run.returncode, message in run.stderr) == (2, True), run.stderr
    assert not (tmp_path / "compressed").exists()


def test_one_image_that_is_named_twice_is_compressed_once(command: Command, photographs: Path) -> None:
    run = command(photographs / "one.png", photographs, "--k=4")
    assert (run.returncode, run.stdout.count("one.png ->")) == (0, 1), run.stderr


@pytest.mark.parametrize("quiet", [False, True])
def test_a_terminal_gets_a_progress_bar_unless_quiet(photographs: Path, tmp_path: Path, quiet: bool) -> None:
    master, slave = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "colorquant", str(photographs), "--k=4", "--output", str(tmp_path / "a")]
        + ["--quiet"] * quiet,
        env=os.environ | {"PYTHONPATH": str(PROJECT / "spark_apps"), "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # Linux ends a pseudo-terminal whose other side is closed with an error.
        while piece := os.read(master, 4096):
            shown += piece
    printed = run.communicate(timeout=300)[0]
    assert run.returncode == 0
    assert (b"0/2" in shown, b"2 of 2 images" in printed) == (not quiet, not quiet)


def test_a_quality_is_reached_by_the_fewest_colors(command: Command, photographs: Path, tmp_path: Path) -> None:
    """The bytes are those of the k that trying all finds."""
    image = photographs / "one.png"
    records = {}
    for k in range(2, 32):
        compress_in_process([f"--image={image}", f"--k={k}", f"--output={tmp_path}/{k}.png", f"--result={tmp_path}/r"])
        records[k] = CompressionResult.read(tmp_path / "r")
    quality = math.floor(records[24].ssim * 10_000) / 10_000
    least = min(k for k, record in records.items() if record.ssim >= quality)
    run = command(image, "--quality", str(quality), "--fewest-colors", "--output", "q")
    assert run.returncode == 0, run.stderr
    assert f"k = {least}," in run.stdout
    assert (tmp_path / "q" / "one.png").read_bytes() == (tmp_path / f"{least}.png").read_bytes()
    # Without the option it is the smallest file.
    run = command(image, "--quality", str(quality), "--output", "s")
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "s" / "one.png").stat().st_size < (tmp_path / f"{least}.png").stat().st_size


def test_a_quality_out_of_reach_writes_nothing_and_says_so(command: Command, photographs: Path, tmp_path: Path) -> None:
    run = command(photographs / "sub folder" / "two.jpg", "--quality", "psnr=99", "--output", "q")
    assert run.returncode == 65
    assert "no palette reaches PSNR 99 dB (k = 256 has PSNR" in run.stderr
    assert not (tmp_path / "q").exists()


@pytest.mark.parametrize("started", ["/bin/colorquant", "/site/colorquant/__main__.py"])
def test_it_calls_itself_colorquant_however_it_was_started(
    started: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out.startswith("usage: colorquant ")
    with pytest.raises(SystemExit, match="2"):
        main(["missing\x1b[2J.png", "--k=4"])
    assert capsys.readouterr().err.startswith("colorquant: missing\\x1b[2J.png does not exist")


def test_an_output_that_is_not_smaller_is_left_out_unless_kept(
    command: Command, photographs: Path, tmp_path: Path
) -> None:
    small = photographs / "small.png"
    Image.new("RGB", (64, 48), "teal").save(small, optimize=True)
    assert command(small, "--k=1", "--output", "first").returncode == 0
    # The output of an output has the same bytes, and is not smaller.
    small.write_bytes((tmp_path / "first" / "small.png").read_bytes())
    size = small.stat().st_size
    run = command(small, photographs / "one.png", "--k=1", "--output", "o", "--quiet")
    assert (run.returncode, run.stdout, _files(tmp_path / "o")) == (98, "", {"one.png"})
    said = f"{small}: not written, since {size} bytes (k = 1) are not fewer than the original's {size};"
    assert run.stderr.startswith(f"colorquant: {said}") and run.stderr.count("\n") == 1
    kept = command(small, "--k=1", "--output", "o", "--keep-larger")
    assert (kept.returncode, kept.stderr) == (0, "")
    assert (tmp_path / "o" / "small.png").read_bytes() == small.read_bytes()


def test_of_several_images_the_exit_code_of_the_one_that_needs_most_is_taken(
    command: Command, photographs: Path, tmp_path: Path
) -> None:
    """A failure that may go away before an image that cannot be compressed, and that before an output left out."""
    Image.fromarray(photograph(seed=1)).save(tmp_path / "larger.jpg", quality=30)
    (tmp_path / "bad.png").write_text("no image")
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "one.png").mkdir()
    (tmp_path / "o" / "larger.png").write_text("mine")
    images = ["larger.jpg", "bad.png", photographs / "one.png"]
    runs = [command(*images[:count], "--k=256", "--output=o", "--force") for count in (1, 2, 3)]
    assert [run.returncode for run in runs] == [98, 65, 1]
    assert "0 of 2 images compressed, 1 not written since the output is not smaller\n" in runs[1].stdout
    assert (tmp_path / "o" / "larger.png").read_text() == "mine"


def test_lines_go_to_a_redirected_standard_output_also_below_a_progress_bar(photographs: Path, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    with os.fdopen(master, "rb"), os.fdopen(slave, "wb") as terminal:
        run = subprocess.run(
            [
                sys.executable,
                "-m",
                "colorquant",
                str(photographs / "one.png"),
                "--k=4",
                "--output",
                str(tmp_path / "a"),
            ],
            env=os.environ | {"PYTHONPATH": str(PROJECT / "spark_apps"), "TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=terminal,
            timeout=300,
        )
    assert run.stdout.startswith(f"{photographs / 'one.png'} -> ".encode())
