"""A real browser for tests: headless Chromium, as it is installed, driven by Playwright.

Imported by conftest.py, so that every test may ask for ``browser`` or ``page``. Tests are skipped where there is none.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

#: Where tests leave pictures for people to look at.
ARTIFACTS = Path(__file__).resolve().parent.parent / "output" / "test-artifacts"

_ARGUMENTS = [
    "--no-sandbox",  # Chromium's sandbox refuses to run as root, which containers do; the pages are our own.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",  # Only this machine is asked.
]
_TIMEOUT_MS = 60_000


@pytest.fixture(scope="module")  # Not for the session: Playwright's event loop would run on through other tests.
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        pytest.skip(f"no browser: none of {', '.join(names)} is on the PATH")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        expect.set_options(timeout=_TIMEOUT_MS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page of a browser without cookies. It fails the test where a script of the page throws."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(_TIMEOUT_MS)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert errors == []


def screenshot(page: Page, name: str, whole: bool = False) -> Path:
    """Save what the page shows as ``output/test-artifacts/<name>.png``; ``whole``: also what must be scrolled to."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    path = ARTIFACTS / f"{name}.png"
    # What would only be drawn when it is scrolled to is to be seen as well.
    page.screenshot(path=path, full_page=whole, style="* { content-visibility: visible !important }")
    return path
