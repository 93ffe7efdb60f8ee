"""Airflow, a browser, and a mail server: a run that waits for a person, one that is late, and a long one.

The same Airflow writes its lineage to a file.
"""

import json
import re
from collections.abc import Iterator
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from colorquant.publish.folder import verify
from colorquant.publish.manifest import MANIFEST, Manifest
from colorquant_airflow.checkout.home import DAG_ID
from colorquant_airflow.xcoms import PUBLISHED
from tests.browser import screenshot
from tests.conftest import photograph
from tests.running_airflow import RUNS, Airflow, log_in, running_airflow, until

pytestmark = pytest.mark.e2e
_MINUTES = 3
_LINEAGE = "lineage.jsonl"


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    folder = tmp_path_factory.mktemp("airflow")
    settings = {"COMPRESSION_APPROVAL_TIMEOUT": str(_MINUTES), "COMPRESSION_DEADLINE": "1"}
    to_file = {"type": "file", "log_file_path": str(folder / _LINEAGE), "append": True}
    settings["AIRFLOW__OPENLINEAGE__TRANSPORT"] = json.dumps(to_file)
    settings["COMPRESSION_JOB_ENVIRONMENT"] = "AIRFLOW__OPENLINEAGE__TRANSPORT"
    with running_airflow(folder, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("library")
    (root / "images").mkdir()
    Image.fromarray(photograph(240, 320, seed=1)).save(root / "images" / "rocks [a](b) <b>.png")
    Image.fromarray(photograph(200, 160, seed=2)).save(root / "images" / "sea.png")
    return {"images": str(root / "images"), "output": str(root / "out"), "publish": str(root / "site")}


def _waiting(airflow: Airflow, folders: dict[str, str]) -> str:
    """The id of a run that waits for a person.

    Airflow 3.3 takes a task for lost that is answered before its scheduler has seen the end of the process that asked;
    it tries again, and asks again. So this returns when the scheduler has seen that.
    """
    run_id = airflow.trigger(**folders, ks=["4", "64"], target="psnr=20", approval=True)
    asked = re.compile(rf"TaskInstance Finished: .*task_id=summarize, run_id={re.escape(run_id)}, .*awaiting_input")
    until(lambda: asked.search(airflow.home.log_file.read_text(errors="replace")))
    return run_id


def _answer(airflow: Airflow, run_id: str, option: str) -> str:
    """The state in which a run ends whose question gets an answer."""
    path = f"{RUNS}/{quote(run_id, safe='')}/taskInstances/summarize/-1/hitlDetails"
    airflow.client.patch(path, json={"chosen_options": [option], "params_input": {}}).raise_for_status()
    return airflow.wait(run_id)


def test_a_person_sees_what_would_change_and_approves_it_by_a_click(
    airflow: Airflow, folders: dict[str, str], page: Page
) -> None:
    site = Path(folders["publish"])
    log_in(page, airflow)
    run_id = _waiting(airflow, folders)
    assert not site.exists()
    mail = until(lambda: [mail for mail in airflow.mails(run_id) if mail["Subject"].endswith("waits for approval")])[0]
    body = unescape(mail.get_body(("html",)).get_content())  # type: ignore[union-attr]
    assert "Of 0 published images: 2 added." in body
    address = re.findall(r"Answer here: (\S+)", body)[0]

    page.goto(f"{airflow.api.address}/plugin/image-compression")
    frame = page.frame_locator("iframe[title='Image compression']")
    frame.get_by_role("row", name=run_id).get_by_role("link", name="waits for approval").click()
    expect(frame.get_by_role("heading", name="Lowest quality among what is added or changed")).to_be_visible()
    for picture in frame.locator(".pair img").all():
        picture.evaluate("image => image.decode()")
    screenshot(page, "10-review")

    page.goto(address)
    expect(page.get_by_text("2 of 2 images compressed, 0 jobs failed.")).to_be_visible()
    expect(page.get_by_text("rocks [a](b) <b>.png").first).to_be_visible()
    screenshot(page, "11-question", whole=True)
    page.get_by_role("button", name="Publish", exact=True).click()
    assert airflow.wait(run_id) == "success"
    assert verify(site) == [] and Manifest.read(site / MANIFEST).run_id == run_id
    assert "Published: admin has approved it." in airflow.page(run_id, "/review").text


def test_what_a_person_refuses_stays_as_it_is_and_the_run_says_who(airflow: Airflow, folders: dict[str, str]) -> None:
    site = Path(folders["publish"])
    before = Manifest.read(site / MANIFEST)
    sea = Path(folders["images"]) / "sea.png"
    content = sea.read_bytes()
    sea.unlink()
    run_id = _waiting(airflow, folders)
    assert _answer(airflow, run_id, "Keep what is published") == "failed"
    sea.write_bytes(content)
    assert Manifest.read(site / MANIFEST) == before
    assert airflow.api.told(DAG_ID, run_id, "summarize", PUBLISHED) == {"refused": "admin has refused it."}
    assert "Not published: admin has refused it." in airflow.client.get("/image-compression/").text
    mails = until(lambda: [mail for mail in airflow.mails(run_id) if mail["Subject"].endswith(" failed")])
    assert "Nothing is published: admin has refused it." in unescape(mails[0].get_body(("html",)).get_content())


def test_a_run_that_changes_nothing_waits_for_nobody(airflow: Airflow, folders: dict[str, str]) -> None:
    run_id = airflow.trigger(**folders, ks=["4", "64"], target="psnr=20", approval=True)
    assert airflow.wait(run_id) == "success"
    assert Manifest.read(Path(folders["publish"]) / MANIFEST).run_id == run_id


def test_without_an_answer_the_old_files_stay_and_a_late_run_is_told_of_once(
    airflow: Airflow, folders: dict[str, str]
) -> None:
    """The run waits for a person until it is later than its deadline."""
    site = Path(folders["publish"])
    before = Manifest.read(site / MANIFEST)
    Image.fromarray(photograph(80, 60, seed=5)).save(Path(folders["images"]) / "new.png")
    run_id = _waiting(airflow, folders)
    late = "is not done by its deadline"
    mail = until(lambda: [mail for mail in airflow.mails(run_id) if late in mail["Subject"]])[0]
    assert f"/dags/{DAG_ID}/runs/{quote(run_id, safe='')}" in unescape(mail.get_body(("html",)).get_content())
    assert airflow.wait(run_id) == "failed"
    assert Manifest.read(site / MANIFEST) == before
    told = f"nobody has approved it within {_MINUTES} minutes."
    assert airflow.api.told(DAG_ID, run_id, "summarize", PUBLISHED) == {"refused": told}
    assert told in airflow.page(run_id).text
    until(lambda: [mail for mail in airflow.mails(run_id) if mail["Subject"].endswith(" failed")])
    assert [late in mail["Subject"] for mail in airflow.mails(run_id)].count(True) == 1


@pytest.mark.skipif(find_spec("openlineage") is None, reason="the OpenLineage provider is missing: make setup-dev")
def test_each_job_tells_openlineage_what_it_read_and_wrote(airflow: Airflow, folders: dict[str, str]) -> None:
    run_id = airflow.trigger(images=folders["images"], output=f"{folders['output']} of lineage", ks=["4"])
    assert airflow.wait(run_id) == "success"
    lines = (airflow.home.folder.parent / _LINEAGE).read_text().splitlines()
    events = [event for event in map(json.loads, lines) if event["job"]["name"] == f"{DAG_ID}.compress_image"]
    told = {
        event["inputs"][0]["name"]: event["outputs"][0]
        for event in events
        if event["eventType"] == "COMPLETE" and event["run"]["facets"]["airflow"]["dagRun"]["run_id"] == run_id
    }
    assert sorted(told) == sorted(str(path) for path in Path(folders["images"]).iterdir())
    for output in told.values():
        assert output["outputFacets"]["outputStatistics"]["size"] == Path(output["name"]).stat().st_size
        quality = output["outputFacets"]["imageCompression"]
        assert quality["k"] == 4 and quality["psnr_db"] > 10


def test_a_running_library_says_how_far_it_is_where_its_task_instance_leads_to(
    airflow: Airflow, tmp_path: Path, page: Page
) -> None:
    count, dag_id = 80, "kmeans_corpus_compression"
    images = tmp_path / "images"
    images.mkdir()
    for number in range(count):
        Image.fromarray(photograph(200, 200, seed=number)).save(images / f"{number}.png")
    airflow.api.unpause(dag_id)
    log_in(page, airflow)
    run_id = airflow.api.trigger(dag_id, {"images": str(images), "output": str(tmp_path / "out"), "ks": ["16", "256"]})
    path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/compress_corpus/links"
    link = until(lambda: airflow.client.get(path).json().get("extra_links", {}).get("Progress"))
    until(lambda: f" of {count} images" in airflow.page(run_id, dag_id=dag_id).text)
    assert airflow.api.run_state(dag_id, run_id) == "running"
    page.goto(airflow.api.address + link)
    shown = page.frame_locator("iframe[title='Image compression']").locator("#progress")
    expect(shown).to_contain_text("images/s")
    first = shown.inner_text()
    # Without another page being loaded.
    expect(shown).not_to_have_text(first, timeout=60_000)
    expect(shown).to_contain_text(re.compile(rf"[1-9]\d* of {count} images, \d+\.\d images/s, about \d+ (s|min) left"))
    screenshot(page, "12-progress")
    assert airflow.wait(run_id, dag_id) == "success"
    expect(shown).to_contain_text("This run has ended")
