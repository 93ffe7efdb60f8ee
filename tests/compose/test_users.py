"""Who may see, who may trigger, who gets 403: the users of `make up`, by the API and in a browser."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from colorquant_airflow.checkout.home import DAG_ID
from tests.browser import screenshot
from tests.compose.stack import Stack

pytestmark = pytest.mark.compose

RUNS = f"/api/v2/dags/{DAG_ID}/dagRuns"
TRIGGER = {"logical_date": None, "conf": {"ks": ["5"]}}


@pytest.fixture(scope="module")
def run(stack: Stack) -> str:
    """A run that has ended."""
    run_id = stack.trigger("5")
    assert stack.wait_for_end(run_id) == "success"
    return run_id


def _statuses(stack: Stack, user: str, run_id: str, password: str | None = None) -> dict[str, int]:
    client = stack.client(user, password)
    pages = f"/image-compression/runs/{DAG_ID}/{quote(run_id, safe='')}"
    answers = {
        "runs": client.get(RUNS),
        "page": client.get(pages),
        "output": client.get(f"{pages}/images/1/outputs/1"),
        "trigger": client.post(RUNS, json=TRIGGER),
        "stop": client.patch(f"{RUNS}/{quote(run_id, safe='')}", json={"note": f"looked at by {user}"}),
        "connections": client.get("/api/v2/connections"),
        "users": client.get("/auth/fab/v1/users"),
    }
    return {what: answer.status_code for what, answer in answers.items()}


def test_each_role_may_do_what_is_its_own_and_gets_403_for_the_rest(stack: Stack, run: str) -> None:
    sees = {"runs": 200, "page": 200, "output": 200}
    assert _statuses(stack, "viewer", run) == sees | {"trigger": 403, "stop": 403, "connections": 403, "users": 403}
    assert _statuses(stack, "editor", run) == sees | {"trigger": 200, "stop": 200, "connections": 403, "users": 403}
    assert _statuses(stack, "admin", run) == sees | {"trigger": 200, "stop": 200, "connections": 200, "users": 200}


def test_who_may_see_no_runs_gets_no_page_of_them(stack: Stack, run: str) -> None:
    person = ["--username=guest", "--firstname=A", "--lastname=Guest", "--email=guest@localhost"]
    create = ["airflow", "users", "create", "--role=Public", "--password=of-a-guest", *person]
    stack.compose("exec", "-T", "airflow-api-server", *create)
    assert set(_statuses(stack, "guest", run, "of-a-guest").values()) == {403}
    listed = stack.client("guest", "of-a-guest").get("/image-compression/")
    assert (listed.status_code, run in listed.text) == (200, False)
    assert run in stack.client("viewer").get("/image-compression/").text


def test_users_keep_what_somebody_changed_of_them(stack: Stack) -> None:
    change = ["airflow", "users", "reset-password", "--username=viewer", "--password=another-one"]
    stack.compose("exec", "-T", "airflow-api-server", *change)
    stack.compose("run", "--rm", "airflow-init")
    assert stack.client("viewer", "another-one").get(RUNS).status_code == 200
    stack.compose("exec", "-T", "airflow-api-server", *change[:-1], f"--password={stack.secrets()['viewer_password']}")


def _log_in(browser: Browser, stack: Stack, user: str) -> Page:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.goto(stack.address)
    page.locator("input[name=username]").fill(user)
    page.locator("input[type=password]").fill(stack.secrets()[f"{user}_password"])
    page.locator("[type=submit]").click()
    page.wait_for_url(lambda url: "login" not in url)
    return page


def _trigger(page: Page, stack: Stack) -> int:
    """Press the button of the form; the status of Airflow's answer."""
    page.goto(f"{stack.address}/dags/{DAG_ID}")
    page.get_by_role("button", name="Trigger").first.click()
    form = page.locator("[role=dialog][data-state=open]")
    expect(form.get_by_text("Palette sizes k")).to_be_visible()
    with page.expect_response(lambda response: response.url.endswith("/dagRuns")) as answer:
        form.get_by_role("button", name="Trigger", exact=True).last.click()
    return answer.value.status


@pytest.mark.parametrize("user, answer", [("viewer", 403), ("editor", 200)])
def test_in_a_browser_both_see_the_pages_of_runs_and_one_of_them_triggers(
    stack: Stack, run: str, browser: Browser, user: str, answer: int
) -> None:
    page = _log_in(browser, stack, user)
    page.get_by_role("link", name="Image compression").click()
    frame = page.frame_locator("iframe[title='Image compression']")
    frame.get_by_role("row", name=run).get_by_role("link").click()
    frame.get_by_role("link", name="image 0.png").click()
    frame.locator("#output").evaluate("image => image.decode()")
    screenshot(page, f"compose-{user}")
    assert _trigger(page, stack) == answer
    page.context.close()


def test_a_wrong_password_is_refused_in_the_browser(stack: Stack, browser: Browser) -> None:
    page = browser.new_context().new_page()
    page.goto(stack.address)
    page.locator("input[name=username]").fill("admin")
    page.locator("input[type=password]").fill("admin")
    page.locator("[type=submit]").click()
    expect(page.get_by_text("Invalid login")).to_be_visible()
    assert re.search("/auth/login", page.url)
    page.context.close()
