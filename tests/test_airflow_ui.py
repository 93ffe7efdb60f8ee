"""What people and programs do with a running Airflow: the form, the grid, the pages, REST and the command line.

One Airflow, with real Spark and a real browser, serves all tests; each brings its own images and output. Pictures of
what the browser showed are left in output/test-artifacts.
"""

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import jwt
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from colorquant.jobs.plan import run_folder
from colorquant_airflow.checkout.home import DAG_ID
from tests.browser import screenshot
from tests.conftest import photograph
from tests.object_store import SECRET
from tests.running_airflow import PATIENCE, RUNS, Airflow, log_in, running_airflow, until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    with running_airflow(tmp_path_factory.mktemp("airflow")) as running:
        yield running


@pytest.fixture(scope="module")
def library(airflow: Airflow) -> Path:
    """The folder that the form proposes, with an image whose name a page must escape."""
    folder = Path(airflow.environment["COMPRESSION_IMAGES"])
    folder.mkdir()
    Image.fromarray(photograph(240, 320, seed=1)).save(folder / "rocks <b> & {{ ds }}.png")
    Image.fromarray(photograph(200, 160, seed=2)).save(folder / "sea.jpg", quality=90)
    return folder


@pytest.fixture
def logged_in(page: Page, airflow: Airflow) -> Page:
    log_in(page, airflow)
    return page


def _summary_page(output: Path, run_id: str) -> str:
    return (run_folder(output, run_id) / "summary.html").relative_to(output).as_posix()


def _open_form(page: Page, airflow: Airflow) -> Any:
    page.goto(f"{airflow.api.address}/dags/{DAG_ID}")
    page.get_by_role("button", name="Trigger").first.click()
    form = page.locator("[role=dialog][data-state=open]")
    expect(form.get_by_text("Palette sizes k")).to_be_visible()
    return form


def _submit(page: Page, form: Any) -> str:
    with page.expect_response(lambda response: response.url.endswith("/dagRuns")) as answer:
        form.get_by_role("button", name="Trigger", exact=True).last.click()
    assert answer.value.status == 200, answer.value.text()
    return answer.value.json()["dag_run_id"]


@pytest.fixture(scope="module")
def triggered(airflow: Airflow, library: Path, browser: Browser) -> str:
    """The id of a run that was triggered by the form, with chosen k; it has ended."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(120_000)
    page = context.new_page()
    log_in(page, airflow)
    form = _open_form(page, airflow)
    sizes = form.locator("#element_ks")
    while sizes.get_by_label(re.compile("^Remove")).count():
        sizes.get_by_label(re.compile("^Remove")).first.click()
    for k in ("3", "30"):
        sizes.locator("input").first.fill(k)
        sizes.locator("input").first.press("Enter")
    expect(sizes.get_by_label("Remove 30")).to_be_visible()
    screenshot(page, "1-form")
    run_id = _submit(page, form)
    page.goto(f"{airflow.api.address}/dags/{DAG_ID}/runs/{quote(run_id, safe='')}/tasks/compress_image/mapped")
    for label in ("rocks <b> & {{ ds }}.png k=3", "sea.jpg k=30"):
        row = page.locator("tr", has=page.get_by_text(label, exact=True))
        expect(row.get_by_text("Success")).to_be_visible(timeout=PATIENCE * 1000)
    screenshot(page, "2-instances")
    assert airflow.wait(run_id) == "success"
    context.close()
    return run_id


def test_the_form_starts_a_run_whose_instances_are_labelled_and_turn_green(airflow: Airflow, triggered: str) -> None:
    assert airflow.labels(triggered) == {
        f"{name} k={k}": ("success", 1) for name in ("rocks <b> & {{ ds }}.png", "sea.jpg") for k in (3, 30)
    }


def test_the_log_of_an_instance_is_short_and_has_the_figures(airflow: Airflow, triggered: str) -> None:
    instance = f"{RUNS}/{quote(triggered, safe='')}/taskInstances/compress_image"
    log = airflow.client.get(
        f"{instance}/logs/1", params={"map_index": 3}, headers={"Accept": "application/json"}
    ).json()
    lines = [line["event"] for line in log["content"]]
    assert len(lines) < 20, lines
    assert any(line.startswith("sea.jpg k=30: ") and "PSNR" in line for line in lines)


def test_an_instance_leads_to_its_image_where_the_divider_moves(
    airflow: Airflow, triggered: str, logged_in: Page
) -> None:
    page, run = logged_in, quote(triggered, safe="")
    page.goto(f"{airflow.api.address}/dags/{DAG_ID}/runs/{run}/tasks/compress_image/mapped/3/details")
    page.get_by_role("link", name="Result").click()
    frame = page.frame_locator("iframe[title='Image compression']")
    expect(frame.get_by_role("heading", name="sea.jpg")).to_be_visible()
    expect(frame.get_by_label("k = 30")).to_be_checked()
    frame.locator("#original").evaluate("image => image.decode()")
    frame.locator("#output").evaluate("image => image.decode()")
    screenshot(page, "3-image")

    picture = frame.locator("#layers")
    half = picture.screenshot()
    frame.locator("#split").fill("0")
    output = picture.screenshot()
    frame.locator("#split").fill("100")
    original = picture.screenshot()
    assert len({half, output, original}) == 3
    width = picture.bounding_box()["width"]  # type: ignore[index]
    assert frame.locator("#divider").evaluate("line => parseFloat(line.style.left)") == pytest.approx(width, abs=1)

    box = frame.locator("#divider").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] - width / 2, box["y"] + 20, steps=4)
    page.mouse.up()
    assert 30 < float(frame.locator("#split").input_value()) < 70

    frame.locator("#split").press("Home")
    frame.get_by_label("k = 3", exact=True).check()
    expect(frame.locator("#shown-k")).to_have_text("3")
    frame.locator("#output").evaluate("image => image.decode()")
    assert picture.screenshot() != output, "another k is another picture"
    frame.get_by_label("400 %").check()
    assert picture.bounding_box()["width"] == 4 * 160  # type: ignore[index]
    screenshot(page, "4-image-enlarged")
    with page.expect_download() as saved:
        frame.get_by_role("row", name="k = 30").get_by_role("link", name="Download").click()
    assert saved.value.suggested_filename == "sea_k030.png"
    with Image.open(saved.value.path()) as image:
        assert (image.mode, image.size) == ("P", (160, 200))


def test_image_compression_is_in_the_navigation_and_leads_to_runs_and_reports(
    airflow: Airflow, triggered: str, logged_in: Page
) -> None:
    page = logged_in
    page.get_by_role("link", name="Image compression").click()
    frame = page.frame_locator("iframe[title='Image compression']")
    row = frame.get_by_role("row", name=triggered)
    expect(row).to_contain_text("success")
    shown = re.findall(r"[\d.]+ KB", row.inner_text())
    screenshot(page, "5-runs")
    row.get_by_role("link").click()
    expect(frame.get_by_role("link", name="rocks <b> & {{ ds }}.png")).to_be_visible()
    frame.get_by_role("link", name="Open the report").click()
    report = frame.frame_locator("iframe[title='Report']")
    expect(report.get_by_role("heading", level=1)).to_be_visible()
    assert [report.locator(".totals dd").nth(place).inner_text().split("\n")[0] for place in (0, 1)] == shown
    expect(report.locator("body")).to_contain_text("rocks <b> & {{ ds }}.png")
    report.get_by_label("Search").fill("sea")
    expect(report.get_by_text("1 of 2 shown")).to_be_visible()
    screenshot(page, "6-report")
    assert f"/plugin/image-compression/image-compression/runs/{DAG_ID}/" in page.url, "the address can be passed on"


def test_the_pages_follow_airflows_theme_and_lead_back_to_it(airflow: Airflow, triggered: str, logged_in: Page) -> None:
    """The frame may not navigate Airflow's page by itself."""
    page = logged_in
    for theme, scheme in (("dark", "light"), ("light", "dark")):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.evaluate(f"localStorage.setItem('theme', '{theme}')")
        page.goto(f"{airflow.api.address}/plugin/image-compression{airflow.page(triggered, '/report').url.path}")
        outer = page.frame_locator("iframe[title='Image compression']")
        report = outer.frame_locator("iframe[title='Report']")
        for root in (page.locator("html"), outer.locator("html"), report.locator("html")):
            expect(root).to_have_class(re.compile(rf"\b{theme}\b"))
        assert report.locator("html").evaluate("root => getComputedStyle(root).colorScheme") == theme
    screenshot(page, "12-report-light")
    outer.get_by_role("link", name=triggered).click()
    expect(outer.get_by_role("link", name="sea.jpg")).to_be_visible()
    screenshot(page, "13-run")
    outer.get_by_role("link", name="This run in Airflow").click()
    page.wait_for_url(lambda url: unquote(url).endswith(f"/dags/{DAG_ID}/runs/{triggered}"))


def test_a_wrong_value_in_the_form_is_told_in_a_sentence_and_starts_no_spark(
    airflow: Airflow, library: Path, logged_in: Page
) -> None:
    page = logged_in
    form = _open_form(page, airflow)
    form.locator("#element_images").fill("/no/such/folder")
    run_id = _submit(page, form)
    assert airflow.wait(run_id) == "failed"
    assert airflow.labels(run_id) == {}
    page.goto(f"{airflow.api.address}/plugin/image-compression")
    frame = page.frame_locator("iframe[title='Image compression']")
    told = "The image folder '/no/such/folder' is not a folder; give the path of one."
    expect(frame.get_by_role("row", name=run_id)).to_contain_text(told)
    screenshot(page, "7-refused")
    run = quote(run_id, safe="")
    page.goto(f"{airflow.api.address}/dags/{DAG_ID}/runs/{run}/tasks/plan_jobs")
    expect(page.get_by_text(told).first).to_be_visible()
    screenshot(page, "8-refused-log")
    (plan,) = [t for t in airflow.api.task_instances(DAG_ID, run_id) if t["task_id"] == "plan_jobs"]
    assert plan["try_number"] == 1, "a wrong value is not tried again"


def test_wrong_values_by_rest_are_refused_at_once_or_in_a_sentence(airflow: Airflow, library: Path) -> None:
    for conf, told in [
        ({"seed": -1}, "seed: -1 is less than the minimum of 0"),
        ({"force": "maybe"}, "force: 'maybe' is not of type 'boolean'"),
        ({"ks": "16"}, "ks: '16' is not of type 'array', 'null'"),
        ({"max_failures": 1.5}, "max_failures: 1.5 is not of type 'integer'"),
    ]:
        refused = airflow.client.post(RUNS, json={"logical_date": None, "conf": conf})
        assert (refused.status_code, told in refused.text) == (400, True), refused.text
    later = [
        ({"ks": ["many"]}, "k = 'many' is not a palette size: give whole numbers from 1 to 256"),
        ({"ks": ["4", 300]}, "k = 300 is not a palette size: give whole numbers from 1 to 256"),
        ({"ks": None}, "No k is given: give at least one palette size, for example 16."),
        ({"k": [4]}, "There is no parameter 'k'. The parameters are images, ks, output,"),
    ]
    runs = [(airflow.trigger(**conf), told) for conf, told in later]
    for run_id, told in runs:
        assert airflow.wait(run_id) == "failed"
        assert airflow.labels(run_id) == {}
        assert told in unescape(airflow.page(run_id).text)


def test_by_the_command_line_it_is_the_same(airflow: Airflow, library: Path, triggered: str) -> None:
    """``airflow dags trigger --conf``, with k as numbers: what the form's run made is reused."""

    def trigger(conf: dict[str, Any], run_id: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "airflow", "dags", "trigger", DAG_ID, "--run-id", run_id]
        return subprocess.run(
            [*command, "--conf", json.dumps(conf)], env=airflow.environment, capture_output=True, text=True, timeout=300
        )

    refused = trigger({"seed": -1}, "by_hand_1")
    assert refused.returncode != 0
    assert "-1 is less than the minimum of 0" in refused.stdout + refused.stderr
    accepted = trigger({"ks": [30, 3, 30]}, "by_hand_2")
    assert accepted.returncode == 0, accepted.stderr
    assert airflow.wait("by_hand_2") == "success"
    assert airflow.labels("by_hand_2") == {}
    assert "0 jobs computed, 4 reused, 0 failed" in airflow.page("by_hand_2").text


def test_a_bad_night_has_a_report_and_a_notice_and_the_next_run_does_only_what_is_missing(
    airflow: Airflow, tmp_path: Path, logged_in: Page
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    Image.fromarray(photograph(seed=1)).save(images / "good.png")
    (images / "broken.png").write_text("no image")
    conf = {"images": str(images), "output": str(tmp_path / "out"), "ks": ["2"]}
    bad = airflow.trigger(**conf)
    assert airflow.wait(bad) == "failed"
    assert airflow.labels(bad) == {"broken.png k=2": ("failed", 1), "good.png k=2": ("success", 1)}
    mail = until(lambda: [mail for mail in airflow.mailbox if bad in mail["Subject"]])[0]
    body = unescape(mail.get_body(("html",)).get_content())
    assert "1 of 2 jobs failed" in body
    assert "'broken.png', k = 2" in body
    assert "is not an image" in body
    logged_in.goto(f"{airflow.api.address}/plugin/image-compression{airflow.page(bad, '/report').url.path}")
    frame = logged_in.frame_locator("iframe[title='Image compression']").frame_locator("iframe[title='Report']")
    expect(frame.locator("body")).to_contain_text("is not an image")
    screenshot(logged_in, "9-bad-night")

    Image.fromarray(photograph(seed=3)).save(images / "broken.png")
    good = airflow.trigger(**conf)
    assert airflow.wait(good) == "success"
    assert airflow.labels(good) == {"broken.png k=2": ("success", 1)}
    assert [mail for mail in airflow.mailbox if good in mail["Subject"]] == []
    assert "Since the previous run" in airflow.page(good, "/files/" + _summary_page(tmp_path / "out", good)).text

    # What was lost is made again by clearing its instance, with what follows.
    (output,) = (tmp_path / "out" / "compressed" / "broken.png").rglob("k002.png")
    content = output.read_bytes()
    output.unlink()
    cleared = {"dag_run_id": good, "task_ids": [["compress_image", 0]], "include_downstream": True, "dry_run": False}
    clear = airflow.client.post(
        f"/api/v2/dags/{DAG_ID}/clearTaskInstances", json=cleared | {"only_failed": False, "reset_dag_runs": True}
    )
    assert clear.status_code == 200, clear.text
    assert airflow.wait(good) == "success"
    assert airflow.labels(good) == {"broken.png k=2": ("success", 2)}
    assert output.read_bytes() == content


@pytest.mark.parametrize("mark", ["failed", "success"])
def test_a_run_that_somebody_marks_has_its_report_and_a_notice(mark: str, airflow: Airflow, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    Image.fromarray(photograph(seed=1)).save(images / "one.png")
    run_id = airflow.trigger(images=str(images), output=str(tmp_path / "out"), ks=["2", "3", "4", "5", "6", "7"])
    until(lambda: "running" in {state for state, _ in airflow.labels(run_id).values()})
    airflow.client.patch(f"{RUNS}/{run_id}", json={"state": mark}).raise_for_status()
    assert airflow.wait(run_id) == "failed"
    states = {each["task_id"]: each["state"] for each in airflow.api.task_instances(DAG_ID, run_id)}
    assert states["summarize"] == "failed"
    mail = until(lambda: [mail for mail in airflow.mailbox if run_id in mail["Subject"]])[0]
    assert "somebody ended the run before it" in unescape(mail.get_body(("html",)).get_content())
    assert airflow.page(run_id, "/report").status_code == 200
    assert len(list((tmp_path / "out").rglob("k00?.png"))) < 6, "the jobs were ended"


def test_a_pool_that_is_gone_is_said_in_the_list_of_runs(airflow: Airflow, triggered: str) -> None:
    pool = airflow.client.get("/api/v2/pools/spark").json()
    airflow.client.delete("/api/v2/pools/spark").raise_for_status()
    assert "there is no pool &#39;spark&#39; in Airflow" in airflow.client.get("/image-compression/").text
    airflow.api.set_pool("spark", pool["slots"], "of the tests")
    assert "No Spark job starts" not in airflow.client.get("/image-compression/").text


def test_the_pages_obey_airflows_login_and_the_right_to_read_the_dag(airflow: Airflow, triggered: str) -> None:
    run = f"/image-compression/runs/{DAG_ID}/{quote(triggered, safe='')}"
    pages = [
        "",
        "/report",
        "/images/1",
        "/images/1/original",
        "/images/1/outputs/1",
        "/jobs/0",
        "/files/x",
        "/images/9",
    ]
    addresses = ["/image-compression/", *(run + page for page in pages), "/image-compression/runs/no/such"]
    anonymous = httpx.Client(base_url=airflow.api.address, trust_env=False, timeout=120)
    assert {address: anonymous.get(address).status_code for address in addresses} == dict.fromkeys(addresses, 401)
    anonymous.headers["Authorization"] = "Bearer eyJhbGciOiJub25lIn0.e30."
    assert {anonymous.get(address).status_code for address in addresses} <= {401, 403}

    # A user of this Airflow who has no role, as its own login would make a token for one.
    token = airflow.client.headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False}) | {"sub": "guest", "role": None}
    secret = airflow.environment["AIRFLOW__API_AUTH__JWT_SECRET"]
    guest = httpx.Client(base_url=airflow.api.address, trust_env=False, timeout=120)
    guest.headers["Authorization"] = f"Bearer {jwt.encode(claims, secret, jwt.get_unverified_header(token)['alg'])}"
    listed = guest.get("/image-compression/")
    assert (listed.status_code, triggered in listed.text) == (200, False)
    assert {address: guest.get(address).status_code for address in addresses[1:]} == dict.fromkeys(addresses[1:], 403)


def test_the_pages_hand_out_no_other_files(airflow: Airflow, triggered: str, library: Path) -> None:
    folder = Path(airflow.environment["COMPRESSION_OUTPUT"])
    (folder / "secret.html").write_text("a secret")
    (folder.parent / "secret.html").write_text("a secret")
    page = _summary_page(folder, triggered)
    within = str(Path(page).parent)
    assert airflow.page(triggered, f"/files/{page}").status_code == 200
    for path in [
        "../secret.html",
        "..%2fsecret.html",
        "%2e%2e/secret.html",
        "%2e%2e%2fsecret.html",
        "..%5csecret.html",
        "%252e%252e%252fsecret.html",
        "secret.html",
        f"{within}/../../secret.html",
        f"{within}/%2e%2e/%2e%2e/secret.html",
        f"{within}/..%2f..%2f..%2fsecret.html",
        f"{within}/plan.json%00.html",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        quote(str(folder / "secret.html"), safe=""),
        "compressed",
        f"../../{within}",
    ]:
        # As raw bytes: a client tidies a path before it sends it.
        prefix = f"/image-compression/runs/{DAG_ID}/{quote(triggered, safe='')}/files/"
        url = httpx.URL(airflow.api.address).copy_with(raw_path=(prefix + path).encode())
        answer = airflow.client.get(url)
        assert answer.status_code == 404, (path, answer.status_code)
        assert "a secret" not in answer.text and "root:" not in answer.text


def test_the_pages_escape_names_and_protect_what_they_show(airflow: Airflow, triggered: str) -> None:
    for more in ("", "/images/1"):
        page = airflow.page(triggered, more)
        assert "rocks &lt;b&gt; &amp; {{ ds }}.png" in page.text
        assert "rocks <b>" not in page.text
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert page.headers["X-Content-Type-Options"] == "nosniff"
    original = airflow.page(triggered, "/images/1/original?download=true")
    assert original.headers["Content-Type"] == "application/octet-stream"
    assert original.headers["Content-Disposition"].startswith("attachment")


def test_the_report_is_an_asset_and_new_images_start_a_run(airflow: Airflow, triggered: str) -> None:
    assets = {asset["name"]: asset["id"] for asset in airflow.client.get("/api/v2/assets").json()["assets"]}
    events = airflow.client.get("/api/v2/assets/events", params={"asset_id": assets["image_compression_report"]}).json()
    (event,) = [event for event in events["asset_events"] if event["source_run_id"] == triggered]
    assert event["extra"]["images"] == 2
    assert event["extra"]["done"] == 4
    assert event["extra"]["original_bytes"] > event["extra"]["smallest_bytes"] > 0
    assert Path(event["extra"]["report"]).is_file()

    new = airflow.client.post("/api/v2/assets/events", json={"asset_id": assets["image_compression_new_images"]})
    assert new.status_code == 200, new.text
    started = until(lambda: airflow.client.get(RUNS, params={"run_type": "asset_triggered"}).json()["dag_runs"])
    run_id = started[0]["dag_run_id"]
    until(lambda: airflow.page(run_id).status_code == 200)  # It has a plan.
    airflow.api.fail_run(DAG_ID, run_id)  # What it computes is not looked at here.


def test_the_dag_of_large_libraries_reuses_the_outputs_of_the_other_and_has_its_pages(
    airflow: Airflow, triggered: str
) -> None:
    corpus = "kmeans_corpus_compression"
    airflow.api.unpause(corpus)
    wrong = airflow.api.trigger(corpus, {"ks": ["300"]})
    run_id = airflow.api.trigger(corpus, {"ks": ["3", "30"]})
    assert airflow.wait(run_id, corpus) == "success"
    assert "0 jobs computed, 4 reused, 0 failed" in airflow.page(run_id, dag_id=corpus).text
    assert airflow.page(run_id, "/images/2/outputs/2", corpus).content.startswith(b"\x89PNG")
    assert airflow.wait(wrong, corpus) == "failed"
    assert "k = '300' is not a palette size" in unescape(airflow.page(wrong, dag_id=corpus).text)


def test_a_run_in_a_bucket_has_its_pages_by_its_own_connection(airflow: Airflow, endpoint: str) -> None:
    import boto3

    keys = {"aws_access_key_id": "user", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=endpoint, **keys)
    stream = io.BytesIO()
    Image.fromarray(photograph(60, 80, seed=3)).save(stream, "PNG")
    client.create_bucket(Bucket="pages")
    client.put_object(Bucket="pages", Key="in/sea.png", Body=stream.getvalue())
    extra = json.dumps({"endpoint_url": endpoint, "region_name": "us-east-1"})
    connection = {"connection_id": "store", "conn_type": "aws", "login": "user", "password": SECRET, "extra": extra}
    airflow.client.post("/api/v2/connections", json=connection).raise_for_status()
    run_id = airflow.trigger(images="s3://pages/in", output="s3://pages/out", ks=["3"], storage_connection="store")
    assert airflow.wait(run_id) == "success"
    report = run_folder("s3://pages/out", run_id).name
    page = airflow.page(run_id, f"/files/runs/{report}/summary.html")
    assert page.status_code == 200 and "sea.png" in page.text
    assert airflow.page(run_id, "/images/1/original").content == stream.getvalue()
    assert airflow.page(run_id, "/images/1/outputs/1").content.startswith(b"\x89PNG")
    assert "k = 3" in airflow.page(run_id, "/images/1").text

    airflow.client.delete("/api/v2/connections/store").raise_for_status()
    refused = airflow.page(run_id)
    assert refused.status_code == 502
    assert "There is no Airflow connection 'store'" in unescape(refused.text)


def test_a_backfill_of_past_nights_is_refused(airflow: Airflow) -> None:
    night = {"from_date": "2026-01-01T00:00:00Z", "to_date": "2026-01-03T00:00:00Z"}
    refused = airflow.client.post("/api/v2/backfills", json={"dag_id": DAG_ID, **night})
    assert 400 <= refused.status_code < 500, refused.text
    assert "backfill" in refused.text.lower()
