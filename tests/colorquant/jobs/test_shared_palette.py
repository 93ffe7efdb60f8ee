"""Palettes that images have in common, in plans: their names, the jobs of images, and what a plan says of them."""

import dataclasses
import time
from pathlib import Path

import pytest

from colorquant.errors import InvalidPlan
from colorquant.jobs import Plan, RunRequest, SharedPalette, palette_path, plan_run
from colorquant.settings import Settings

LATER = 3600.0


def _plan(folder: Path, settings: Settings, ks: tuple[int | str, ...] = (4,), target: str = "") -> Plan:
    request = RunRequest(
        run_id="run",
        images=str(folder / "in"),
        ks=ks,
        output=str(folder / "out"),
        settings=settings,
        target=target,
    )
    plan = plan_run(request, looked_at=time.time() + LATER)
    plan.write(folder / "plan.json")
    return plan


@pytest.fixture
def library(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "sub/c.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def test_a_palette_is_named_by_its_images_and_by_what_counts_for_it(library: Path) -> None:
    plan = _plan(library, Settings(palette="library"))
    (name,) = plan.palettes.values()
    (library / "in" / "a.png").rename(library / "in" / "renamed.png")
    for same in (Settings(palette="library"), Settings(palette="library", format="webp", rate=0.5)):
        assert _plan(library, same).palettes == {"": name}
    for other in ({"seed": 1}, {"keep": "#ffffff"}, {"palette_counts": "images"}, {"color_space": "oklab"}):
        assert _plan(library, Settings(palette="library", **other)).palettes[""] != name  # type: ignore[arg-type]
    (library / "in" / "b.png").write_bytes(b"changed")
    assert _plan(library, Settings(palette="library")).palettes[""] != name


def test_the_plan_of_a_palette_survives_being_written_and_read(library: Path) -> None:
    for settings in (Settings(palette="library"), Settings(palette="folder"), Settings(palette="#ffffff,#000000")):
        plan = _plan(library, settings)
        assert Plan.read(library / "plan.json") == plan
        assert len(plan.palettes_to_find()) == len(plan.palettes)


def test_outputs_of_images_are_those_of_their_palette(library: Path) -> None:
    plan = _plan(library, Settings(palette="library"))
    own = _plan(library, Settings())
    assert {job.output for job in plan.jobs}.isdisjoint(job.output for job in own.jobs)
    before = {job.name: job.output for job in plan.jobs}
    (library / "in" / "new.png").write_bytes(b"new")
    after = {job.name: job.output for job in _plan(library, Settings(palette="library")).jobs}
    assert all(after[name] != output for name, output in before.items())
    folders = {job.name: job.output for job in _plan(library, Settings(palette="folder")).jobs}
    (library / "in" / "newer.png").write_bytes(b"newer")
    later = {job.name: job.output for job in _plan(library, Settings(palette="folder")).jobs}
    assert {name for name in folders if folders[name] == later[name]} == {"sub/c.png"}


def test_a_plan_says_whether_a_palette_stays_or_is_found_again_and_why(library: Path) -> None:
    settings = Settings(palette="library")
    first = _plan(library, settings)
    name = first.palettes[""]
    assert first.palette_news == (f"The palette of the library is {name}.",)
    assert _plan(library, settings).palette_news == (f"The palette of the library stays {name}: no image has changed.",)
    (library / "in" / "new.png").write_bytes(b"new")
    (library / "in" / "a.png").write_bytes(b"changed")
    (library / "in" / "b.png").unlink()
    again = _plan(library, settings)
    assert again.palette_news == (
        f"The palette of the library is found again, as {again.palettes['']}: 1 images joined, 1 changed and 1 left "
        f"since {name}. Its images are all mapped again. palette=library:{name} keeps that one.",
    )
    other = _plan(library, dataclasses.replace(settings, seed=1))
    assert f": settings changed since {again.palettes['']}." in other.palette_news[0]


def test_an_earlier_palette_is_used_where_it_is_there_with_all_colors_to_keep(library: Path) -> None:
    name = _plan(library, Settings(palette="library")).palettes[""]
    earlier = Settings(palette=f"library:{name}")
    with pytest.raises(InvalidPlan, match=f"palette: there is no palette '{name}' of k = 4: .* cannot be read."):
        _plan(library, earlier)
    palette = SharedPalette(
        name=name, folder="", k=4, colors="#000000,#ffffff", images=3, pixels=9, mse=1.0, seed=0, settings={}
    )
    palette.write(palette_path(str(library / "out"), name, 4))
    (library / "in" / "new.png").write_bytes(b"new")
    plan = _plan(library, earlier)
    assert plan.palettes == {"": name} and plan.palettes_to_find() == []
    assert plan.palette_news == (f"The palette of the library stays {name}, as asked for.",)
    assert Plan.read(library / "plan.json") == plan
    with pytest.raises(InvalidPlan, match=f"keep: #00ff00 is not in the palette '{name}' of k = 4."):
        _plan(library, dataclasses.replace(earlier, keep="#00ff00,#ffffff"))


def test_a_palette_that_is_given_has_its_own_size(library: Path) -> None:
    plan = _plan(library, Settings(palette="#ffffff,#000000,#d62728"), (4, 16))
    assert plan.ks == (3,) and {job.k for job in plan.jobs} == {3} and plan.palettes == {}


@pytest.mark.parametrize(
    ("settings", "ks", "sentence"),
    [
        (
            Settings(palette="library"),
            ("auto",),
            "k = auto searches for one image at a time; give the palette sizes of",
        ),
        (Settings(palette="#ffffff"), ("fewest",), "k = fewest searches for a palette, but one is given: leave one of"),
        (Settings(keep="#ffffff,#000000"), (1, 4), "keep: 2 colors are to be kept, which are more than k = 1."),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused(
    settings: Settings, ks: tuple[int | str, ...], sentence: str, library: Path
) -> None:
    with pytest.raises(InvalidPlan) as caught:
        _plan(library, settings, ks, target="ssim=0.9")
    assert sentence in str(caught.value)
