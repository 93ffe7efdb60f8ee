"""The report in a real browser: from a file, offline, by keyboard and pointer, on a phone, printed, by axe's rules."""

import io
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from colorquant.report import summarize_run
from tests.browser import screenshot
from tests.test_compress_image import compress_in_process

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def report(library_in, picture, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the report of four images at four k, one of which failed."""
    library = library_in(tmp_path_factory.mktemp("report"))
    for seed, name in enumerate(["small.png", "large.png", "a folder/middle.jpg", "broken.png"]):
        side = {"large.png": 400, "small.png": 60}.get(name, 160)
        library.add(name, picture(side, side * 3 // 4, seed))
    plan = library.plan((2, 8, 16, 64), target="ssim=0.5")
    for job in plan.jobs:
        library.fail(job, "it is no image") if job.name == "broken.png" else library.compress(job)
    summarize_run(plan, library.folder())
    return (library.folder() / "summary.html").as_uri()


def _names(page: Page) -> list[str]:
    return [name for name in page.locator("details.image:visible .who b").all_inner_texts()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_page_with_every_image_open(page: Page, report: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(report)
    page.get_by_role("button", name="Open all").click()
    expect(page.locator(".compare").first).to_be_visible()
    violations = Axe().run(page).response["violations"]
    screenshot(page, f"report-{scheme}", whole=True)
    assert [(found["impact"], found["id"], found["nodes"][0]["html"]) for found in violations] == []


def test_it_opens_from_a_file_and_asks_for_nothing_else(page: Page, report: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.goto(report)
    page.get_by_role("button", name="Open all").click()
    expect(page.locator(".compare img").first).to_be_visible()
    assert {url for url in asked if not url.startswith("data:")} == {report}
    assert problems == [], "its own content security policy must let it work"


def test_images_are_sorted_by_gain_and_otherwise_as_asked_and_searched(page: Page, report: str) -> None:
    page.goto(report)
    gains = [int(image.get_attribute("data-gain") or 0) for image in page.locator("details.image").all()]
    assert gains == sorted(gains, reverse=True) and len(set(gains)) > 1
    page.get_by_label("Sort by").select_option("name")
    assert _names(page) == ["a folder/middle.jpg", "broken.png", "large.png", "small.png"]
    page.get_by_role("searchbox").fill("LARGE")
    assert _names(page) == ["large.png"]
    expect(page.get_by_text("1 of 4 shown")).to_be_visible()
    page.get_by_role("searchbox").fill("")
    assert len(_names(page)) == 4


def test_the_comparison_moves_by_keyboard_and_pointer_and_shows_the_k_that_is_chosen(page: Page, report: str) -> None:
    page.goto(report)
    image = page.locator("details.image", has_text="large.png")
    image.locator("summary").focus()
    page.keyboard.press("Enter")
    slider, after = image.get_by_role("slider"), image.locator(".pair .after")
    expect(after).to_have_js_property("complete", True)

    def clipped() -> str:
        return after.evaluate("picture => getComputedStyle(picture).clipPath")

    start = clipped()
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert clipped() != start and "51%" in clipped()
    pair = image.locator(".pair")
    pair.scroll_into_view_if_needed()
    box = pair.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    assert abs(float(slider.input_value()) - 25) <= 1
    shown = after.get_attribute("src")
    strip = {k: image.locator(f'.strip [data-k="{k}"] .frame img').get_attribute("src") for k in (2, 8, 16, 64)}
    marked = image.locator(".strip figure", has=page.locator(".tag.chosen")).get_attribute("data-k")
    assert shown == strip[int(marked or 0)]
    image.get_by_role("combobox").select_option("2")
    assert after.get_attribute("src") == strip[2]
    assert image.locator("circle.chosen").count() == 2


def test_a_link_to_an_image_opens_it(page: Page, report: str) -> None:
    page.goto(f"{report}#image-3")
    expect(page.locator("#image-3 .strip")).to_be_visible()
    page.evaluate("location.hash = 'image-1'")
    expect(page.locator("#image-1 .strip")).to_be_visible()


def test_everything_is_printed(page: Page, report: str) -> None:
    page.goto(report)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert all(strip.is_visible() for strip in page.locator(".strip").all())
    assert not page.locator(".tools").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.image[open]").count() == 0
    assert len(page.pdf()) > 10_000


@pytest.fixture
def other(browser: Browser, report: str) -> Callable[..., Page]:
    """Opens the report in a context of its own."""

    def open_it(**options: object) -> Page:
        opened = browser.new_context(**options).new_page()  # type: ignore[arg-type]
        opened.goto(report)
        return opened

    return open_it


def test_a_phone_shows_it_without_scrolling_sideways(other: Callable[..., Page]) -> None:
    page = other(**PHONE)
    page.get_by_role("button", name="Open all").tap()
    expect(page.locator(".compare").first).to_be_visible()
    screenshot(page, "report-phone", whole=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert Axe().run(page).response["violations"] == []
    page.context.close()


def test_without_scripts_everything_is_there(other: Callable[..., Page]) -> None:
    page = other(java_script_enabled=False)
    assert not page.locator(".tools").is_visible()
    page.locator("details.image summary").first.click()
    expect(page.locator(".strip").first).to_be_visible()
    assert not page.locator(".compare").first.is_visible()
    page.context.close()


def test_transparent_pixels_lie_on_the_ground_that_is_chosen_by_keyboard_without_a_script(
    other: Callable[..., Page], library_in, picture, tmp_path
) -> None:
    """In the original, which is a preview, and in the outputs, which are the files."""
    library = library_in(tmp_path)
    image = picture(64, 48).convert("RGBA")
    image.paste((200, 30, 30, 0), (0, 0, 32, 48))
    library.add("icon.png", image)
    plan = library.plan((8, 64))
    for job in plan.jobs:
        compress_in_process(job.arguments())
    summarize_run(plan, library.folder())
    page = other(java_script_enabled=False)
    page.goto((library.folder() / "summary.html").as_uri())
    frames = page.locator(".strip .frame img")
    assert frames.count() == 3

    def grounds() -> list[set[tuple[int, ...]]]:
        """The colors in the transparent half of each picture."""
        found = []
        for frame in frames.all():
            frame.scroll_into_view_if_needed()
            shown = Image.open(io.BytesIO(frame.screenshot())).convert("RGB")
            half = shown.crop((4, shown.height // 4, shown.width // 2 - 8, shown.height * 3 // 4))
            found.append({color for _, color in half.getcolors() or []})
        return found

    assert grounds() == [{(255, 255, 255)}] * 3
    page.get_by_role("radio", name="white").focus()
    page.keyboard.press("ArrowRight")
    assert grounds() == [{(0, 0, 0)}] * 3
    page.keyboard.press("ArrowRight")
    checkers = grounds()
    assert checkers[0] == checkers[1] == checkers[2] >= {(255, 255, 255), (196, 196, 196)}
    screenshot(page, "report-ground")
    page = other()
    page.goto((library.folder() / "summary.html").as_uri())
    assert [(found["id"], found["nodes"][0]["html"]) for found in Axe().run(page).response["violations"]] == []


def test_a_report_without_transparency_asks_for_no_ground(page: Page, report: str) -> None:
    page.goto(report)
    expect(page.get_by_role("radio")).to_have_count(0)
