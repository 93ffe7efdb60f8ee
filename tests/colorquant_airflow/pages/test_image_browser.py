"""Pages in a browser: each side of the divider shows its own picture, on one ground; on a phone, in a dark theme."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, Route

from colorquant.jobs.plan import RunRequest, plan_run, run_folder
from colorquant.report import summarize_run
from colorquant_airflow.links import PREFIX, run_path
from colorquant_airflow.pages import app as web
from colorquant_airflow.pages.runs import Run
from tests.conftest import photograph
from tests.test_compress_image import compress_in_process

_HOST = "http://pages.test"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    images = tmp_path / "images"
    images.mkdir()
    alpha = np.tile(np.linspace(0, 255, 160).astype(np.uint8), (120, 1))
    Image.fromarray(np.dstack([photograph(120, 160, seed=4), alpha])).save(images / "glass.png")
    plan = plan_run(RunRequest(run_id="1", images=str(images), ks=[3], output=str(tmp_path / "out"), target="psnr=5"))
    folder = run_folder(tmp_path / "out", "1")
    plan.write(folder / "plan.json")
    compress_in_process(plan.jobs[0].arguments())
    summarize_run(plan, folder)
    planned = {"folder": str(folder)}
    return Run("kmeans_image_compression", "1", "success", "manual", datetime.now(UTC), planned, None)


@pytest.fixture
def opened(run: Run, page: Page) -> Iterator[Page]:
    web.app.dependency_overrides |= {web._found_run: lambda: run, web._MAY_READ.dependency: lambda: None}
    with TestClient(web.app) as client:

        def answer(route: Route) -> None:
            url = urlsplit(route.request.url)
            found = client.get(f"{url.path.removeprefix(PREFIX)}?{url.query}")
            route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.content)

        page.route(f"{_HOST}/**", answer)
        page.goto(f"{_HOST}{run_path(run.dag_id, run.run_id)}/images/1")
        for layer in ("#original", "#output"):
            page.locator(layer).evaluate("image => image.decode()")
        yield page
    web.app.dependency_overrides.clear()


def _on(path: str | Path, ground: int) -> NDArray[np.int16]:
    """The pixels of a file on a gray ground."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGBA"), np.float64)
    alpha = pixels[..., 3:] / 255
    return np.rint(pixels[..., :3] * alpha + ground * (1 - alpha)).astype(np.int16)


@pytest.mark.parametrize(("ground", "level"), [("white", 255), ("black", 0)])
def test_each_side_of_the_divider_is_its_own_picture_on_one_ground(
    opened: Page, run: Run, ground: str, level: int
) -> None:
    opened.get_by_label("100 %").check()
    opened.get_by_label(ground).check()
    job = run.plan.jobs[0]
    box = opened.locator("#layers").bounding_box()
    assert box is not None
    clip = {"x": round(box["x"]), "y": round(box["y"]), "width": 160, "height": 120}
    pixels = np.asarray(Image.open(io.BytesIO(opened.screenshot(clip=clip))).convert("RGB"), np.int16)  # type: ignore
    # The divider covers the middle, and the outermost row may be between two of the screen's.
    left, right = slice(0, 70), slice(90, 160)
    for side, file in ((left, job.image), (right, job.output)):
        difference = np.abs(pixels[1:-1, side] - _on(file, level)[1:-1, side])
        assert difference.max() <= 2, f"{side}: up to {difference.max()} levels off"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("more", ["", "/images/1"])
def test_pages_fit_a_phone_and_pass_axe(run: Run, opened: Page, more: str, scheme: Literal["light", "dark"]) -> None:
    opened.emulate_media(color_scheme=scheme)
    opened.set_viewport_size({"width": 390, "height": 844})
    opened.goto(f"{_HOST}{run_path(run.dag_id, run.run_id)}{more}")
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    violations = Axe().run(opened).response["violations"]
    assert [(found["id"], found["nodes"][0]["html"]) for found in violations] == []
