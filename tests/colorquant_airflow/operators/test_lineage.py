"""What the operators tell OpenLineage, by the extractor of Airflow's provider. A real Airflow is in test_people."""

import json
from pathlib import Path
from typing import Any

import pytest

from colorquant.jobs import CompressionResult, Plan, RunRequest, plan_run, run_folder
from colorquant_airflow.operators import CompressCorpusOperator, CompressImageOperator
from tests.test_compress_image import compress_in_process

extractors = pytest.importorskip("airflow.providers.openlineage.extractors.base", reason="run `make setup-dev` again")
event = pytest.importorskip("openlineage.client.event_v2")


@pytest.fixture
def plan(photographs: Path, tmp_path: Path) -> Plan:
    request = RunRequest(run_id="a run", images=str(photographs), ks=["4"], output=str(tmp_path / "out"))
    plan = plan_run(request)
    plan.write(run_folder(request.output, plan.run_id) / "plan.json")
    return plan


def _told(operator: Any, when: str) -> dict[str, Any]:
    """The inputs and outputs of an event, as the provider sends them."""
    from openlineage.client.serde import Serde

    extractor = extractors.DefaultExtractor(operator)
    found = extractor.extract() if when == "start" else getattr(extractor, f"extract_on_{when}")(None)
    return {name: [json.loads(Serde.to_json(one)) for one in getattr(found, name)] for name in ("inputs", "outputs")}


def test_a_job_tells_its_input_and_its_output_with_k_bytes_and_quality(plan: Plan) -> None:
    job = plan.jobs[0]
    operator = CompressImageOperator(task_id="t", failure=job.failure, application_args=job.arguments())
    of_input = {"namespace": "file", "name": job.image}
    for when in ("start", "failure", "complete"):
        told = _told(operator, when)
        assert told["outputs"] == [] and told["inputs"][0].items() >= of_input.items()
    compress_in_process(job.arguments())
    result = CompressionResult.read(job.result)
    assert _told(operator, "failure")["outputs"] == []
    told = _told(operator, "complete")
    (read,), (written,) = told["inputs"], told["outputs"]
    assert read.items() >= of_input.items()
    assert read["facets"]["version"]["datasetVersion"] == job.image_sha256
    assert read["inputFacets"]["inputStatistics"]["size"] == Path(job.image).stat().st_size
    assert (written["namespace"], written["name"]) == ("file", job.output)
    assert written["facets"]["version"]["datasetVersion"] == result.output_sha256
    assert written["outputFacets"]["outputStatistics"]["size"] == Path(job.output).stat().st_size
    quality = written["outputFacets"]["imageCompression"]
    assert (quality["k"], quality["psnr_db"], quality["ssimulacra2"]) == (4, result.psnr_db, result.ssimulacra2)
    assert quality["compression_ratio"] == result.compression_ratio


def test_files_in_a_bucket_have_the_bucket_as_their_namespace() -> None:
    arguments = ["--image=s3://photographs/of 2026/one.png", "--k=4"]
    operator = CompressImageOperator(task_id="t", failure="s3://other/failure.json", application_args=arguments)
    (read,) = _told(operator, "start")["inputs"]
    assert (read["namespace"], read["name"]) == ("s3://photographs", "of 2026/one.png")


def test_a_library_tells_its_folders_and_what_was_planned(plan: Plan) -> None:
    operator = CompressCorpusOperator(task_id="t", name="library")
    assert extractors.DefaultExtractor(operator).extract_on_complete(None) is None, "the run was refused"
    operator.application_args = [f"--images={plan.images_folder}", f"--output={plan.output_folder}", "--run=a run"]
    told = _told(operator, "complete")
    (read,), (written,) = told["inputs"], told["outputs"]
    assert (read["namespace"], read["name"]) == ("file", plan.images_folder)
    sizes = {job.name: job.image_bytes for job in plan.jobs}
    statistics = read["inputFacets"]["inputStatistics"]
    assert (statistics["fileCount"], statistics["size"]) == (len(sizes), sum(sizes.values()))
    assert written["name"] == f"{plan.output_folder}/compressed"
    assert written["outputFacets"]["imageCompression"]["ks"] == [4]
