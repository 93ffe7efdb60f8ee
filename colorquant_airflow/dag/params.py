"""The parameters of the trigger forms: their titles, sections, help and limits."""

import os
from pathlib import Path
from typing import Any

from airflow.sdk import Param

from colorquant.jobs import AUTO
from colorquant.limits import MAX_COLORS
from colorquant.settings import Option, options

_PROJECT = Path(__file__).resolve().parents[2]
#: Sections of the form. Parameters that have none stand first, in the one that is open.
QUALITY, RUNNING = "Quality", "How the run goes"


def library_params() -> dict[str, Param]:
    """A ``Param`` for each thing that a run is told, settings of the compression included, by name."""
    return {
        "images": Param(
            os.environ.get("COMPRESSION_IMAGES", str(_PROJECT / "include" / "images")),
            type="string",
            minLength=1,
            title="Image folder",
            description="Every image in this folder and below it is compressed: a path, or an s3:// URI.",
        ),
        "ks": Param(
            ["4", "16", "64"],
            # What is no palette size is refused by the plan, in a sentence; the schema's own would show its pattern.
            type=["array", "null"],
            items={"type": ["string", "integer"]},
            examples=[
                AUTO,
                *(str(k) for k in range(1, MAX_COLORS + 1)),
            ],  # A form's list takes no other values than these.
            title="Palette sizes k",
            description="How many colors a compressed image may have: each of these makes an output. Type to find one. "
            "'auto' alone finds the fewest that reach the quality target.",
        ),
        "output": Param(
            os.environ.get("COMPRESSION_OUTPUT", str(_PROJECT / "output")),
            type="string",
            minLength=1,
            title="Output folder",
            description="Compressed images go to its folder 'compressed', reports to 'runs': a path, or an s3:// URI.",
        ),
        "publish": Param(
            None,
            type=["string", "null"],
            title="Published folder",
            description="Gets the one file worth keeping of each image, under its own name: a path, where all of them "
            "change in one step, or an s3:// URI. None: nothing is published.",
        ),
        "pattern": Param(
            "*",
            type="string",
            minLength=1,
            title="Pattern",
            description="Which images, by their path below the folder: '2026/*.jpg'. A '*' also matches slashes.",
        ),
        "target": Param(
            None,
            type=["string", "null"],
            section=QUALITY,
            title="Quality target",
            description="For each image the smallest k that reaches it is chosen: 'ssim=0.95' or 'ssimulacra2=70'. "
            "Without one, the knee of quality against bytes is.",
        ),
        **{name: Param(option.default, **_schema(option)) for name, option in options().items()},
        "max_failures": Param(
            0,
            type="integer",
            minimum=0,
            section=RUNNING,
            title="Failures allowed",
            description="The run fails, after the report is written, if more jobs than this fail.",
        ),
        "force": Param(
            False,
            type="boolean",
            section=RUNNING,
            title="Compress again",
            description="Also what is there already, of the same image and settings.",
        ),
        "storage_connection": Param(
            os.environ.get("COMPRESSION_STORAGE_CONNECTION") or None,
            type=["string", "null"],
            section=RUNNING,
            title="Connection of the object store",
            description="The Airflow connection (type aws) with the credentials of s3:// folders. Without "
            "one they come from the environment.",
        ),
    }


def _schema(option: Option) -> dict[str, Any]:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    schema: dict[str, Any] = {
        "type": kinds[type(option.default)],
        "section": QUALITY,
        "title": option.title,
        "description": f"{option.help[:1].upper()}{option.help[1:]}.",
    }
    if option.choices:
        schema["enum"] = list(option.choices)
    if option.minimum is not None:
        schema["minimum"] = option.minimum
    if option.maximum is not None:
        schema["maximum"] = option.maximum
    return schema
