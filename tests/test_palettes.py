"""One palette for many images: the bytes are those of one process, for any tasks and retries; and what is refused."""

import dataclasses
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from colorquant import quantize
from colorquant.cli.main import main
from colorquant.jobs import CompressionResult, JobFailure, Plan, RunRequest, SharedPalette, plan_run, run_folder
from colorquant.pixels import Pixels
from colorquant.report import summarize_run
from colorquant.retention import prune
from colorquant.settings import Settings
from tests.conftest import photograph

pytestmark = pytest.mark.e2e
PROJECT = Path(__file__).resolve().parent.parent
SIDE = 64


def submit(
    script: str, environment: dict[str, str], *arguments: str, master: str = "local[2]"
) -> subprocess.CompletedProcess[str]:
    """Run an application of the project on Spark."""
    conf = {"spark.ui.enabled": "false", "spark.pyspark.python": sys.executable}
    confs = [item for name, value in conf.items() for item in ("--conf", f"{name}={value}")]
    command = ["spark-submit", "--master", master, *confs, str(PROJECT / "spark_apps" / script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def whole() -> Pixels:
    """A picture of 3 x 4 tiles."""
    return photograph(3 * SIDE, 4 * SIDE, seed=7)


@pytest.fixture(scope="module")
def tiles(whole: Pixels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiles of the picture, some in a sub-folder, and a file that is not an image."""
    folder = tmp_path_factory.mktemp("library") / "tiles"
    (folder / "south").mkdir(parents=True)
    for row in range(3):
        for column in range(4):
            tile = whole[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
            Image.fromarray(tile).save(folder / ("south" if row == 2 else ".") / f"{row}-{column}.png")
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def _palettes(output: Path) -> dict[str, bytes]:
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.glob("palettes/**/*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def run(tiles: Path, bare_environment: dict[str, str]) -> Path:
    """The output folder of a run of the whole library."""
    output = tiles.parent / "out"
    done = submit(
        "compress_corpus.py",
        bare_environment,
        *(f"--images={tiles}", "--ks=5 16", f"--output={output}", "--run=run", "--palette=library"),
    )
    assert done.returncode == 0, done.stderr
    return output


def test_the_palette_of_tiles_is_that_of_the_picture_they_were_cut_from(run: Path, whole: Pixels, tiles: Path) -> None:
    plan = Plan.read(run_folder(run, "run") / "plan.json")
    for k in (5, 16):
        palette = SharedPalette.read(run / "palettes" / plan.palettes[""] / f"k{k:03d}.json")
        alone = quantize(whole, k)
        assert {color[:3] for color in palette.entries} == set(map(tuple, alone.palette.tolist()))
        assert palette.mse == alone.inertia / whole[..., 0].size
        assert (palette.images, palette.pixels) == (12, whole[..., 0].size)
        assert palette.left_out.keys() == {"broken.png"}
    shown: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for job in plan.jobs:
        if job.name == "broken.png":
            assert not JobFailure.read(job.failure).retryable
        elif job.k == 5:
            record = CompressionResult.read(job.result)
            assert record.palette_name == plan.palettes[""] and record.k == 5
            original, output = (
                np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3) for path in (job.image, job.output)
            )
            for before, after in zip(map(tuple, original.tolist()), map(tuple, output.tolist()), strict=True):
                shown.setdefault(before, set()).add(after)
    assert len(shown) > 1000 and all(len(entries) == 1 for entries in shown.values())


def test_the_report_shows_the_palettes_and_a_prune_keeps_them(run: Path, tiles: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    shutil.copytree(run, output)
    folder = run_folder(output, "run")
    plan = dataclasses.replace(Plan.read(folder / "plan.json"), output_folder=str(output))
    summary = summarize_run(plan, folder)
    assert [(palette.k, palette.images, palette.left_out) for palette in summary.palettes] == [(5, 12, 1), (16, 12, 1)]
    errors = {row.image: (row.shared_mse or 0, row.own_mse or 0) for row in summary.rows if row.k == 5}
    for image, (shared, own) in errors.items():
        if image != "broken.png":
            pixels = np.asarray(Image.open(tiles / image))
            assert own == quantize(pixels, 5).inertia / pixels[..., 0].size < shared
    assert [row.shared_mse for row in summary.rows] == [row.mse for row in summary.rows]
    worst = max(errors, key=lambda image: errors[image][0] - errors[image][1])
    assert summary.palettes[0].worst[0] == (worst, *errors[worst])
    assert (folder / summary.palettes[0].file).exists()
    page = (folder / "summary.html").read_text()
    assert f"Error {errors[worst][0]:,.2f}, with a palette of its own {errors[worst][1]:,.2f}" in page
    assert "Palettes in common" in page and all(f'fill="{color}"' in page for color in summary.palettes[0].colors)
    stray = output / "palettes" / "0123456789ab" / "k004.hex"
    stray.parent.mkdir()
    stray.write_text("#ffffff\n")
    pruning = prune(output, delete=True, now=time.time() + 3 * 86400)
    assert [path for path in pruning.files if path.startswith("palettes/")] == ["palettes/0123456789ab/k004.hex"]
    assert not stray.parent.exists() and len(_palettes(output)) == 8


@pytest.mark.parametrize("master", ["local[1]", "local[3]"])
def test_neither_cores_nor_the_application_change_a_byte(
    master: str, run: Path, tiles: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    settings = Settings(palette="library")
    plan = plan_run(RunRequest(run_id="run", images=str(tiles), ks=[5, 16], output=str(tmp_path), settings=settings))
    plan.write(tmp_path / "plan.json")
    done = submit("find_palettes.py", bare_environment, f"--plan={tmp_path / 'plan.json'}", master=master)
    assert done.returncode == 0, done.stderr
    suffixes = (".json", ".png", ".gpl", ".hex")
    names = {f"palettes/{plan.palettes['']}/k{k}{suffix}" for k in ("005", "016") for suffix in suffixes}
    assert _palettes(tmp_path).keys() == names
    same = {name: content for name, content in _palettes(run).items() if not name.endswith(".json")}
    assert {name: content for name, content in _palettes(tmp_path).items() if not name.endswith(".json")} == same
    assert plan.palettes_to_find() == []
    again = submit("find_palettes.py", bare_environment, f"--plan={tmp_path / 'plan.json'}", master=master)
    assert again.returncode == 0 and "All palettes are there already" in again.stdout


def test_the_command_line_finds_the_same_palette(run: Path, tiles: Path, tmp_path: Path) -> None:
    output = tmp_path / "small"
    assert main([str(tiles), "--k=5", "--palette=library", f"--output={output}", "--keep-larger", "--quiet"]) == 65
    of_run = {name: content for name, content in _palettes(run).items() if "k005" in name and ".json" not in name}
    found = {name: content for name, content in _palettes(output).items() if ".json" not in name}
    assert found == of_run
    for job in Plan.read(run_folder(run, "run") / "plan.json").jobs:
        if job.k == 5 and job.name != "broken.png":
            assert (output / job.name).read_bytes() == Path(job.output).read_bytes()


def test_an_image_that_joins_changes_the_palette_and_an_earlier_one_stays_on_demand(
    run: Path, tiles: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    images = tmp_path / "tiles"
    shutil.copytree(tiles, images)
    shutil.copytree(run, tmp_path / "out")

    def plan(palette: str) -> Plan:
        settings = Settings(palette=palette)
        request = RunRequest(run_id="next", images=str(images), ks=[5], output=str(tmp_path / "out"), settings=settings)
        return plan_run(request)

    name = Plan.read(run_folder(run, "run") / "plan.json").palettes[""]
    same = plan("library")
    assert same.palettes == {"": name} and same.palettes_to_find() == []
    same.write(tmp_path / "plan.json")  # And what it saw, for the next.
    Image.fromarray(photograph(SIDE, SIDE, seed=9)).save(images / "new.png")
    again = plan("library")
    assert again.palettes[""] != name and len(again.pending()) == 14
    assert [(request.ks, len(request.images)) for request in again.palettes_to_find()] == [((5,), 14)]
    assert again.palette_news[0].startswith(f"The palette of the library is found again, as {again.palettes['']}: ")
    assert again.palette_news[0].endswith(f"Its images are all mapped again. palette=library:{name} keeps that one.")
    earlier = plan(f"library:{name}")
    assert earlier.palette_news == (f"The palette of the library stays {name}, as asked for.",)
    assert earlier.palettes == {"": name} and earlier.palettes_to_find() == []
    assert {job.name for job in earlier.pending()} == {"new.png", "broken.png"}
    with pytest.raises(ValueError, match="palette: there is no palette '0123456789ab' of k = 5: .* cannot be read."):
        plan("library:0123456789ab")


def test_each_folder_has_a_palette_of_its_own(tiles: Path, tmp_path: Path, bare_environment: dict[str, str]) -> None:
    done = submit(
        "compress_corpus.py",
        bare_environment,
        *(f"--images={tiles}", "--ks=4", f"--output={tmp_path}", "--run=run", "--palette=folder"),
    )
    assert done.returncode == 0, done.stderr
    plan = Plan.read(run_folder(tmp_path, "run") / "plan.json")
    assert plan.palettes.keys() == {"", "south"}
    north, south = (
        SharedPalette.read(tmp_path / "palettes" / name / "k004.json")
        for name in (plan.palettes[""], plan.palettes["south"])
    )
    assert (north.images, south.images, south.folder) == (8, 4, "south")
    assert north.entries != south.entries


def test_images_with_and_without_alpha_have_one_palette_with_and_without_spark(
    tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    images = tmp_path / "sprites"
    images.mkdir()
    sprite = np.dstack([photograph(32, 32, seed=1), np.full((32, 32), 255, np.uint8)])
    sprite[:10, :10] = 0
    sprite[20:24, :, 3] = 128
    Image.fromarray(sprite).save(images / "sprite.png")
    Image.fromarray(photograph(32, 32, seed=2)).save(images / "opaque.png")
    done = submit(
        "compress_corpus.py",
        bare_environment,
        *(f"--images={images}", "--ks=12", f"--output={tmp_path / 'out'}", "--run=run"),
        *("--palette=library", "--keep=#ffffff", "--palette-counts=images"),
    )
    assert done.returncode == 0, done.stderr
    options = ("--k=12", "--palette=library", "--keep=#ffffff", "--palette-counts=images", "--keep-larger", "--quiet")
    assert main([str(images), *options, f"--output={tmp_path / 'small'}"]) == 0
    assert _palettes(tmp_path / "small") == _palettes(tmp_path / "out")
    (record,) = (tmp_path / "out").glob("palettes/*/*.json")
    entries = SharedPalette.read(record).entries
    assert entries[0] == (255, 255, 255, 255) and (0, 0, 0, 0) in entries and len(entries) <= 12
    for name in ("sprite.png", "opaque.png"):
        image = Image.open(tmp_path / "small" / name).convert("RGBA")
        assert set(map(tuple, np.asarray(image).reshape(-1, 4).tolist())) <= set(entries)
        assert name == "sprite.png" or image.getextrema()[3] == (255, 255)


def test_a_library_without_a_readable_image_says_so(tmp_path: Path, bare_environment: dict[str, str]) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"no image")
    done = submit(
        "compress_corpus.py",
        bare_environment,
        *(f"--images={tmp_path / 'images'}", "--ks=4", f"--output={tmp_path / 'out'}", "--run=run"),
        *("--palette=library", f"--failure={tmp_path / 'failure.json'}"),
    )
    assert done.returncode == 65, done.stderr
    failure = JobFailure.read(tmp_path / "failure.json")
    assert failure.reason.startswith("There is no palette of the library, since no image can be read: ")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--palette=none.gpl"], "palette: 'none.gpl' cannot be read: No such file or directory"),
        (["--palette=#ff0000", "--k=4"], "argument --palette: it has 1 colors, which is k; leave --k, --quality out"),
        (["--palette=library", "--quality=0.9"], "the palette of a library is found at a palette size; give --k"),
        (["--palette=library:0123456789ab", "--k=4"], "palette: there is no palette '0123456789ab'"),
        (["--keep=#fff,#000", "--k=1"], "keep: 2 colors are to be kept, which are more than k = 1."),
        (["--keep=#fff,#fffffff", "--k=4"], "argument --keep: '#fffffff' is not a color: write #rrggbb"),
        (["--palette=library", "--objective=perceptual", "--k=4"], "objective: the palette of a library minimizes"),
        ([], "one of --k, --quality is required"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_done(
    options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photograph()).save("a.png")
    with pytest.raises(SystemExit) as caught:
        main(["a.png", *options])
    assert caught.value.code == 2
    assert sentence in capsys.readouterr().err
    assert os.listdir() == ["a.png"]


def test_a_given_palette_has_its_order_in_the_file(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    colors = [(214, 39, 40), (0, 255, 0), (250, 250, 240), (20, 20, 30), (120, 130, 140)]
    Path("brand.hex").write_text("\n".join(bytes(color).hex() for color in colors))
    Image.fromarray(photograph()).save("a.png")
    assert main(["a.png", "--palette=brand.hex", "--quiet"]) == 0
    image = Image.open("compressed/a.png")
    assert np.array(image.getpalette()).reshape(-1, 3)[:5].tolist() == [list(color) for color in colors]
    given = np.asarray(quantize(photograph(), 5, palette="#d62728,#00ff00,#fafaf0,#14141e,#78828c").indexes)
    assert np.array_equal(np.asarray(image), given)
