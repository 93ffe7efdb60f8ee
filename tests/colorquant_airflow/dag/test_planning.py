"""What the planning task says of a run that Airflow cannot map, and the folders of a form outside of a checkout."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from colorquant.palettes import formats, reading
from colorquant_airflow import allowed
from colorquant_airflow.dag import params, planning
from colorquant_airflow.dag.planning import write_plan
from colorquant_airflow.xcoms import PLANNED


def test_a_run_with_more_jobs_than_airflow_maps_is_refused_and_three_ways_out_are_named(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "5")
    told: dict[str, Any] = {}
    given = {"images": str(photographs), "output": str(tmp_path / "out"), "ks": ["2", "4", "8"]}
    context: Any = {
        "params": {name: param.value for name, param in params.library_params().items()} | given,
        "run_id": "run",
        "ti": SimpleNamespace(xcom_push=told.__setitem__),
    }
    with pytest.raises(AirflowFailException, match="^This run has 6 jobs, and Airflow maps at most 5 tasks") as caught:
        write_plan(context)
    for way_out in ("kmeans_corpus_compression", "fewer k", "AIRFLOW__CORE__MAX_MAP_LENGTH=6 in the environment"):
        assert way_out in str(caught.value)
    assert told == {PLANNED: {"refused": str(caught.value)}}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("variable", ["COMPRESSION_IMAGES", "COMPRESSION_OUTPUT"])
def test_outside_of_a_checkout_the_environment_must_name_the_folders(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowed, "_CHECKOUT", tmp_path)
    for name in ("COMPRESSION_IMAGES", "COMPRESSION_OUTPUT"):
        monkeypatch.setenv(name, "s3://bucket/folder")
    assert params.library_params()["output"].value == "s3://bucket/folder"
    monkeypatch.delenv(variable)
    with pytest.raises(ValueError, match=f"{variable} is not set: set it to a folder"):
        params.library_params()


def test_the_file_of_a_palette_is_read_once_and_a_folder_of_weights_is_found(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    palette = tmp_path / "brand.hex"
    palette.write_text("#000000\n#ffffff\n")
    (tmp_path / "masks").mkdir()
    read: list[str] = []
    parse = formats.parse_palette
    monkeypatch.setattr(reading, "parse_palette", lambda content, suffix: read.append(suffix) or parse(content, suffix))
    monkeypatch.setattr(planning, "announce_plan", lambda context, folder: None)
    monkeypatch.setattr("colorquant_airflow.spark_master.require_spark", lambda: None)
    for given, problem in (
        ({"palette": str(palette), "output": str(tmp_path / "out")}, None),
        ({"weights": str(tmp_path / "masks"), "output": str(tmp_path / "weighted")}, None),
        (
            {"weights": str(tmp_path / "none"), "output": str(tmp_path / "out")},
            "The folder of weights .* is not a folder",
        ),
        (
            {"weights": str(tmp_path / "masks"), "palette": str(palette), "output": str(tmp_path / "out")},
            "weights: they have no effect on a palette that is given",
        ),
    ):
        values = {name: param.value for name, param in params.library_params().items()}
        told: dict[str, Any] = {}
        context: Any = {
            "params": values | {"images": str(photographs), "ks": ["2"]} | given,
            "run_id": "run",
            "ti": SimpleNamespace(xcom_push=told.__setitem__),
        }
        if problem:
            with pytest.raises(AirflowFailException, match=problem):
                write_plan(context)
        else:
            assert len(write_plan(context)) == 2
            assert read == [".hex"]
