"""The search for the smallest file of a quality: over palette sizes and free settings, on a real picture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorquant.compress import Stopwatch, compress_opened, open_image
from colorquant.compress.smallest_file import _ladder
from colorquant.compress.source import OpenedImage
from colorquant.errors import UnsupportedImage
from colorquant.jobs import Job
from colorquant.quantizer import PixelSource
from colorquant.settings import Settings
from colorquant.target import Target
from tests.conftest import PROJECT

FREE = ("objective", "color_space", "rate", "dither", "effort")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> OpenedImage:
    """A cat's face, 160 x 128."""
    path = tmp_path_factory.mktemp("images") / "cat.png"
    image = Image.open(PROJECT / "include" / "images" / "chelsea.png").convert("RGB")
    image.crop((100, 100, 260, 228)).save(path)
    return open_image(str(path), PixelSource, Stopwatch())


def _compressed(opened: OpenedImage, target: str, settings: Settings, must_reach: bool = False):  # type: ignore[no-untyped-def]
    return compress_opened(opened, Target.parse(target), "cat-out.png", settings, Stopwatch(), must_reach)


@pytest.mark.parametrize("target", ["ssimulacra2=60", "ssim=0.9", "psnr=33"])
def test_the_file_reaches_the_target_with_fewer_bytes_than_the_fewest_colors_take(
    opened: OpenedImage, target: str
) -> None:
    smallest = _compressed(opened, target, Settings.parse({}))
    fewest = _compressed(opened, target, Settings.parse({}).fixed())
    goal = Target.parse(target)
    assert goal.reached_by(getattr(smallest.record, goal.field))
    assert len(smallest.encoded) < len(fewest.encoded)
    search = smallest.record.search
    assert search is not None and search.reached and search.free == FREE
    reaching = [size for _, _, value, size in search.trials if size and goal.reached_by(value)]
    assert min(reaching) == len(smallest.encoded)


def test_the_record_has_the_settings_that_give_the_same_bytes(opened: OpenedImage) -> None:
    found = _compressed(opened, "ssimulacra2=60", Settings.parse({}))
    settings = Settings.of_record(found.record.settings, found.record.seed)
    assert settings is not None and settings.free == ()
    assert compress_opened(opened, found.record.k, "x.png", settings, Stopwatch()).encoded == found.encoded


def test_a_setting_that_is_given_stays(opened: OpenedImage) -> None:
    found = _compressed(opened, "ssimulacra2=55", Settings.parse({"rate": 0.0, "dither": "blue-noise"}))
    assert (found.record.settings["rate"], found.record.settings["dither"]) == (0.0, "blue-noise")
    assert found.record.search is not None and found.record.search.free == ("objective", "color_space", "effort")


def test_a_target_out_of_reach_gives_the_best_trial_or_a_refusal(opened: OpenedImage) -> None:
    best = _compressed(opened, "ssimulacra2=100", Settings.parse({})).record
    assert best.search is not None and not best.search.reached
    assert best.ssimulacra2 == max(value for _, _, value, _ in best.search.trials)
    with pytest.raises(UnsupportedImage, match=r"no palette reaches SSIMULACRA2 100 \(k = \d+ has SSIMULACRA2 "):
        _compressed(opened, "ssimulacra2=100", Settings.parse({}), must_reach=True)


def test_few_colors_are_kept_exactly(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("flat") / "flat.png"
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, 20:40], pixels[:, 40:] = (200, 30, 30), (255, 255, 255)
    Image.fromarray(pixels).save(path)
    record = _compressed(open_image(str(path), PixelSource, Stopwatch()), "ssimulacra2=99", Settings.parse({})).record
    assert record.lossless and record.k == 3


def test_a_job_is_answered_by_a_search_over_the_same_free_settings_only(opened: OpenedImage) -> None:
    record = _compressed(opened, "ssimulacra2=60", Settings.parse({})).record

    def job(settings: Settings) -> Job:
        paths = {"image": "i", "name": "i", "output": "o", "result": "r", "failure": "f"}
        return Job(**paths, image_sha256=None, k=None, settings=settings, target=str(Target.parse("ssimulacra2=60")))

    assert job(Settings.parse({})).is_answered_by(record)
    assert not job(Settings.parse({}).fixed()).is_answered_by(record)
    assert not job(Settings.parse({"rate": record.settings["rate"]})).is_answered_by(record)


@pytest.mark.parametrize("max_k", [1, 2, 3, 100, 256])
def test_the_ladder_rises_to_the_largest_palette(max_k: int) -> None:
    ladder = _ladder(max_k)
    assert ladder == sorted(set(ladder)) and ladder[-1] == max_k and ladder[0] <= 2


def _heat_map(folder: Path, seed: int, count: int, side: int) -> OpenedImage:
    """Squares: dithering doubles the file, and at some targets no rate lifts the palette in question."""
    levels = np.random.default_rng(seed).normal(size=(count, count)).cumsum(axis=0).cumsum(axis=1)
    part = (levels - levels.min()) / np.ptp(levels)
    colors = np.stack([255 * part, 255 * (1 - (2 * part - 1) ** 2), 255 * (1 - part)], axis=-1).round()
    path = folder / "heat.png"
    Image.fromarray(colors.astype(np.uint8).repeat(side, axis=0).repeat(side, axis=1)).save(path)
    return open_image(str(path), PixelSource, Stopwatch())


def test_files_of_a_graphic_grow_with_the_target(tmp_path: Path) -> None:
    image = _heat_map(tmp_path, 3, 32, 6)
    sizes = [len(_compressed(image, f"ssimulacra2={at}", Settings.parse({})).encoded) for at in (50, 60, 70)]
    assert sizes == sorted(sizes)


def test_a_palette_between_two_steps_makes_a_smaller_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, sizes = _heat_map(tmp_path, 8, 40, 4), []
    for few_colors in (64, 0):
        monkeypatch.setattr("colorquant.compress.smallest_file._FEW_COLORS", few_colors)
        sizes.append(len(_compressed(image, "ssimulacra2=50", Settings.parse({})).encoded))
    assert sizes[0] < sizes[1]
