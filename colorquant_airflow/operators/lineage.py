"""What jobs tell OpenLineage of their inputs and outputs. Needs Airflow's OpenLineage provider.

The provider calls the operators' ``get_openlineage_facets_on_...`` where it has a transport. Files are named by
OpenLineage's convention: the namespace ``file`` and a path, or the URI of a bucket and a key.
"""

from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    OutputDatasetFacet,
    dataset_version_dataset,
    input_statistics_input_dataset,
    output_statistics_output_dataset,
)

from colorquant.errors import InvalidRecord
from colorquant.jobs import CompressionResult, Plan
from colorquant.storage import StrPath, is_remote, location

#: Name of the facet of an output with its k and its quality.
FACET = "imageCompression"
_OF_RECORD = (
    "k colors_used width height unique_colors compression_ratio bits_per_pixel mse psnr_db ssim ssimulacra2 lossless"
)


def lineage_of_job(image: str, result: str | None = None) -> OperatorLineage:
    """The input and the output of one image at one k.

    Parameters
    ----------
    image : str
        Path or URI of the image.
    result : str, optional
        Of the job's record. Without one that can be read, the lineage has no output.
    """
    record = None
    if result:
        with suppress(OSError, InvalidRecord):
            record = CompressionResult.read(result)
    if not result or record is None:
        return OperatorLineage(inputs=[InputDataset(*_name(image))])
    read = InputDataset(
        *_name(image),
        facets=_version(record.image_sha256),
        inputFacets=_statistics_of_input(1, record.original_bytes),
    )
    # Not by the record's own path: the output folder may have been moved since.
    output = location(result).with_name(record.output.rpartition("/")[2])
    facet = OutputDatasetFacet().with_additional_properties(
        **{name: getattr(record, name) for name in _OF_RECORD.split()}
    )
    size = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        size=record.compressed_bytes, fileCount=1
    )
    facets: dict[str, Any] = {"outputStatistics": size, FACET: facet}
    written = OutputDataset(*_name(output), facets=_version(record.output_sha256), outputFacets=facets)
    return OperatorLineage(inputs=[read], outputs=[written])


def lineage_of_library(images: str, output: str, plan: StrPath) -> OperatorLineage:
    """The folder that a whole library is read from, and the one that its outputs are written to.

    Parameters
    ----------
    images, output : str
        Paths or URIs of the folder of the images, and of the output folder.
    plan : path-like
        Of the run's plan, which tells the number of images, their bytes, and the palette sizes.
    """
    facets: dict[str, Any] = {}
    read: dict[str, Any] = {}
    with suppress(OSError, InvalidRecord):
        made = Plan.read(plan)
        read = _statistics_of_input(*made.count_images())
        facets[FACET] = OutputDatasetFacet().with_additional_properties(
            ks=list(made.ks), target=made.target, jobs=len(made.jobs), reused=len(made.reused)
        )
    return OperatorLineage(
        inputs=[InputDataset(*_name(images), inputFacets=read)],
        outputs=[OutputDataset(*_name(location(output) / "compressed"), outputFacets=facets)],
    )


def _name(path: StrPath) -> tuple[str, str]:
    """The namespace and the name of a file or folder."""
    if is_remote(path):
        parts = urlsplit(str(path))
        return f"{parts.scheme}://{parts.netloc}", parts.path.lstrip("/")
    return "file", str(location(path))


def _version(sha256: str) -> dict[str, Any]:
    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=sha256)}


def _statistics_of_input(count: int, size: int) -> dict[str, Any]:
    facet = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(size=size, fileCount=count)
    return {"inputStatistics": facet}
