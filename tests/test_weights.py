"""Weights from grey pictures: with and without Spark, in plans and reports; and what has no effect, with a sentence."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from colorquant import quantize
from colorquant.cli.main import main
from colorquant.compress import Counts, compress_batch, compress_image, make_batches
from colorquant.errors import ChangedImage, InvalidPlan
from colorquant.jobs import CompressionResult, Plan, RunRequest, SharedPalette, WeightsFile, plan_run, run_folder
from colorquant.quantizer import PixelSource
from colorquant.report import summarize_run
from colorquant.settings import Settings
from tests.conftest import photograph
from tests.test_palettes import submit

K = 6


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Images, and below them a folder of weights: of the same suffix, as PNG, of another size, damaged, none."""
    images = tmp_path / "images"
    (images / "masks" / "south").mkdir(parents=True)
    (images / "south").mkdir()
    for seed, name in enumerate(("a.png", "south/b.webp", "size.png", "damaged.png", "none.png")):
        Image.fromarray(photograph(32, 48, seed=seed)).save(images / name, lossless=True)
    grey = np.zeros((32, 48), np.uint8)
    grey[8:24, 8:24] = 255
    Image.fromarray(grey).save(images / "masks" / "a.png")
    Image.fromarray(grey).save(images / "masks" / "south" / "b.png")
    Image.fromarray(grey[1:]).save(images / "masks" / "size.png")
    (images / "masks" / "damaged.png").write_bytes((images / "masks" / "a.png").read_bytes()[:60])
    return images


def _plan(library: Path, weights: str | None = "masks", output: str = "out", **settings: Any) -> Plan:
    chosen = Settings(weights=str(library / weights) if weights else "", **settings)
    place = str(library.parent / output)
    return plan_run(RunRequest(run_id="run", images=str(library), ks=[K], output=place, settings=chosen))


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def _compress(plan: Plan) -> Counts:
    return sum((compress_batch(batch, {}, False, 0) for batch in make_batches(plan.pending(), 1)), Counts())


def test_a_library_is_compressed_by_its_weights_and_the_report_names_those_without_effect(library: Path) -> None:
    plan = _plan(library)
    assert [job.name for job in plan.jobs] == ["a.png", "damaged.png", "none.png", "size.png", "south/b.webp"]
    assert _compress(plan).done == 5
    folder = run_folder(library.parent / "out", "run")
    plan.write(folder / "plan.json")
    assert Plan.read(folder / "plan.json") == plan
    for job in plan.jobs:
        has_weights = job.name in ("a.png", "south/b.webp")
        grey = _pixels(library / "masks" / "a.png")[..., 0] if has_weights else None
        image = quantize(_pixels(library / job.name), K, weights=grey)
        assert np.array_equal(_pixels(Path(job.output)), image.palette[image.indexes])
        record = CompressionResult.read(job.result)
        assert record.inertia == image.inertia == record.mse * 32 * 48
    notices = summarize_run(plan, folder).notices()
    sentence = "All pixels count the same: "
    assert [(notice.startswith(sentence), images) for notice, images in sorted(notices.items())] == [
        (True, [name]) for name in ("damaged.png", "size.png", "none.png")
    ]
    assert f"{sentence}there is no picture of this name in '{library / 'masks'}' that can be read." in notices
    assert f"{sentence}'{library / 'masks' / 'size.png'}' has 48 x 31 pixels, and its image 48 x 32." in notices
    assert "Weights without effect" in (folder / "summary.html").read_text()


def test_a_picture_of_weights_that_changes_compresses_its_image_again(library: Path) -> None:
    assert _compress(_plan(library)).done == 5
    assert _plan(library).pending() == []
    shutil.copytree(library / "masks", library.parent / "moved")
    others = {job.name for job in _plan(library, None).pending() if not job.name.startswith("masks/")}
    assert others == {"a.png", "south/b.webp", "size.png", "damaged.png"}
    moved = [job for job in _plan(library, "../moved").pending() if not job.name.startswith("masks/")]
    assert moved == [], "the pictures count, and not where they are"
    Image.fromarray(np.full((32, 48), 7, np.uint8)).save(library / "masks" / "a.png")
    assert [job.name for job in _plan(library).pending()] == ["a.png"]


def test_a_picture_of_weights_that_changes_after_the_plan_is_refused(library: Path) -> None:
    job = _plan(library).jobs[0]
    assert job.weights and job.weights.path == str(library / "masks" / "a.png")
    for content in ((library / "masks" / "size.png").read_bytes(), b"damaged"):
        (library / "masks" / "a.png").write_bytes(content)
        with pytest.raises(ChangedImage, match="has changed since this run was planned"):
            compress_image(job.image, K, job.output, None, job.settings, PixelSource, weights=job.weights)


def test_a_larger_picture_of_weights_is_refused_before_it_is_decoded(library: Path) -> None:
    weights = library / "masks" / "a.png"
    Image.fromarray(np.zeros((320, 480), np.uint8)).save(weights)
    file = WeightsFile(path=str(weights))
    output = str(library.parent / "a.png")
    record = compress_image(str(library / "a.png"), K, output, None, Settings(), PixelSource, weights=file)
    assert record.weights_notice and "has 480 x 320 pixels, more than the limit" in record.weights_notice


def test_weights_are_read_in_allowed_folders_only(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESSION_ALLOWED_ROOTS", f"{library},{library.parent / 'out'}")
    assert len(_plan(library).jobs) == 5
    (library.parent / "other").mkdir()
    with pytest.raises(InvalidPlan, match="weights: '.*other' is in none of the folders that may be used here"):
        _plan(library, "../other")
    (library.parent / "other" / "a.png").write_bytes((library / "masks" / "a.png").read_bytes())
    (library / "masks" / "a.png").unlink()
    (library / "masks" / "a.png").symlink_to(library.parent / "other" / "a.png")
    assert _plan(library).jobs[0].weights is None, "a link out of the folder is no picture of it"


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [("missing", "is not a folder; give the path of one"), (".", "contains the images: name another one")],
)
def test_a_folder_of_weights_that_cannot_be_used_is_refused(weights: str, sentence: str, library: Path) -> None:
    with pytest.raises(InvalidPlan, match=sentence):
        _plan(library, weights)


def test_the_command_line_has_weights(
    library: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(library)
    assert main([".", f"--k={K}", "--weights=masks", "--output=../small", "--keep-larger", "--quiet"]) == 0
    plan = _plan(library)
    assert _compress(plan).done == 5
    for job in plan.jobs:
        assert (library.parent / "small" / job.name).with_suffix(".png").read_bytes() == Path(job.output).read_bytes()
    errors = capsys.readouterr().err
    assert errors.count("All pixels count the same: ") == 3
    assert "none.png: All pixels count the same: there is no picture of this name in 'masks'" in errors
    for arguments in (["-", "--weights=masks"], ["a.png", "--weights=."], ["a.png", "--weights=no"]):
        with pytest.raises(SystemExit):
            main([*arguments, "--k=4"])
    errors = capsys.readouterr().err
    assert "standard input has no name to look for there" in errors
    assert "contains the images" in errors and "no does not exist" in errors


@pytest.mark.e2e
@pytest.mark.parametrize("counts", ["pixels", "images"])
def test_a_palette_in_common_has_weights_with_and_without_spark(
    counts: str, library: Path, bare_environment: dict[str, str]
) -> None:
    output = library.parent / "out"
    done = submit(
        "compress_corpus.py",
        bare_environment,
        *(f"--images={library}", f"--ks={K}", f"--output={output}", "--run=run", "--palette=library"),
        *(f"--weights={library / 'masks'}", f"--palette-counts={counts}"),
    )
    assert done.returncode == 0, done.stderr
    options = ("--palette=library", f"--weights={library / 'masks'}", f"--palette-counts={counts}")
    small = library.parent / "small"
    assert main([str(library), f"--k={K}", *options, f"--output={small}", "--keep-larger", "--quiet"]) == 0
    (record,) = output.glob("palettes/*/*.json")
    palette = SharedPalette.read(record)
    assert record.relative_to(output) == next(small.glob("palettes/*/*.json")).relative_to(small)
    assert palette.entries == SharedPalette.read(small / record.relative_to(output)).entries
    assert palette.pixels == 5 * 32 * 48
    plan = Plan.read(run_folder(output, "run") / "plan.json")
    results = [CompressionResult.read(job.result) for job in plan.jobs]
    assert all(result.own_mse is not None and result.own_mse < (result.shared_mse or 0) for result in results)
    assert _plan(library, palette="library", palette_counts=counts).pending() == []
    plain = _plan(library, None, palette="library", palette_counts=counts)
    assert plain.palettes != plan.palettes


@pytest.mark.e2e
def test_a_spark_job_has_weights(library: Path, bare_environment: dict[str, str]) -> None:
    plan = _plan(library)
    job = plan.jobs[0]
    done = submit("compress_image.py", bare_environment, *job.arguments())
    assert done.returncode == 0, done.stderr
    assert job.is_done()
    image = quantize(_pixels(library / "a.png"), K, weights=_pixels(library / "masks" / "a.png")[..., 0])
    assert np.array_equal(_pixels(Path(job.output)), image.palette[image.indexes])
    wrong = dataclasses.replace(job, settings=dataclasses.replace(job.settings, weights=""))
    done = submit("compress_image.py", bare_environment, *wrong.arguments(), "--weights=masks", "--force")
    assert done.returncode == 2 and "give it with --weights-file" in done.stdout + done.stderr
