"""Parameters of the trigger forms: titles, sections, help texts and limits."""

import os
from typing import Any

from airflow.sdk import Param

from colorquant.jobs import AUTO, FEWEST
from colorquant.limits import MAX_COLORS
from colorquant.settings import Option, options
from colorquant_airflow.allowed import image_folder, output_folder, published_folder
from colorquant_airflow.dag.settings import check_settings, switched_on

#: Sections of the form. Parameters without a section come first; only these are visible when the form opens.
QUALITY, RUNNING = "Quality", "How the run goes"

_FOLDER = "A path (a relative one starts at the project) or a URI: s3://, gs://, az://."


def library_params() -> dict[str, Param]:
    """The parameters of a run by name, settings of the compression included.

    Raises
    ------
    ValueError
        If this package is not in a checkout, and the environment does not name the folders; and for every setting of
        the deployment that a run would stumble over. Airflow shows the message as the DAG's import error.
    """
    check_settings()
    return {
        "images": Param(
            image_folder(),
            type="string",
            minLength=1,
            title="Image folder",
            description=f"{_FOLDER} Every image in this folder and its subfolders is compressed.",
        ),
        "ks": Param(
            ["4", "16", "64", "256"],
            # The plan checks the values and refuses wrong ones with a sentence. A schema would refuse with its pattern.
            type=["array", "null"],
            items={"type": ["string", "integer"]},
            # The form's list accepts these values only.
            examples=[AUTO, FEWEST, *(str(k) for k in range(1, MAX_COLORS + 1))],
            title="Palette sizes k",
            description="The numbers of colors: each one makes an output of each image. Type to find a number. "
            "'auto' alone searches for the smallest file that reaches the quality target, 'fewest' alone for the "
            "fewest colors.",
        ),
        "output": Param(
            output_folder(),
            type="string",
            minLength=1,
            title="Output folder",
            description=f"{_FOLDER} Compressed images go to its folder 'compressed', reports to 'runs'.",
        ),
        "publish": Param(
            published_folder(),
            type=["string", "null"],
            title="Published folder",
            description=f"{_FOLDER} It gets the one file worth keeping of each image, under its own "
            "name. On a path all files change in one step. If this is empty, nothing is published.",
        ),
        "pattern": Param(
            "*",
            type="string",
            minLength=1,
            title="Pattern",
            description="Compress only images whose path below the image folder matches, for example '2026/*.jpg'. "
            "A '*' also matches slashes.",
        ),
        "exclude": Param(
            "",
            type=["string", "null"],
            title="Exclude",
            description="Leave out what matches one of these patterns, for example '*.heic; private/*'. Semicolons "
            "separate them.",
        ),
        "target": Param(
            None,
            type=["string", "null"],
            section=QUALITY,
            title="Quality target",
            description="For example 'ssim=0.95' or 'ssimulacra2=70'. The report chooses for each image the smallest k "
            "that reaches the target; without a target, the smallest file with SSIMULACRA2 50 or more.",
        ),
        **{name: _param(option) for name, option in options().items()},
        "max_failures": Param(
            0,
            type="integer",
            minimum=0,
            section=RUNNING,
            title="Failures allowed",
            description="If more jobs fail than this, the run fails, after it has written the report.",
        ),
        "force": Param(
            False,
            type="boolean",
            section=RUNNING,
            title="Compress again",
            description="Compress images again whose outputs with the same settings exist already.",
        ),
        "publish_anyway": Param(
            False,
            type="boolean",
            section=RUNNING,
            title="Publish anyway",
            description="Publish also where a newer run has published, or where more than a fifth of the published "
            "images would disappear.",
        ),
        "approval": Param(
            switched_on("COMPRESSION_APPROVAL"),
            type="boolean",
            section=RUNNING,
            title="Ask before publishing",
            description="Where publishing would change anything, the run waits until a person has approved it.",
        ),
        "storage_connection": connection_param(section=RUNNING),
    }


def connection_param(**more: Any) -> Param:
    """The parameter ``storage_connection``; ``more`` is of its schema."""
    return Param(
        os.environ.get("COMPRESSION_STORAGE_CONNECTION") or None,
        type=["string", "null"],
        title="Connection of the object store",
        description="The Airflow connection with the credentials of s3://, gs:// or az:// folders. If this is empty, "
        "they come from the environment.",
        **more,
    )


def _param(option: Option) -> Param:
    # JSON has no tuples.
    default = list(option.initial) if isinstance(option.initial, tuple) else option.initial
    return Param(default, **_schema(option))


def _schema(option: Option) -> dict[str, Any]:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    schema: dict[str, Any] = {
        "type": kinds.get(type(option.default)),
        "section": QUALITY,
        "title": option.title,
        "description": f"{option.help[:1].upper()}{option.help[1:]}.",
    }
    if isinstance(option.default, tuple):
        # The form's list accepts the examples only. As with ks, the plan refuses a wrong value with a sentence.
        schema |= {"type": ["array", "null"], "items": {"type": "string"}, "examples": list(option.choices)}
    elif option.choices:
        schema["enum"] = list(option.choices)
    elif option.normal:
        # A form would refuse an empty text.
        schema["type"] = ["string", "null"]
    if option.automatic:
        schema["description"] += " auto: the job chooses, where it searches for a quality."
        if not option.choices:
            # A number or the word. As with ks, the plan refuses a wrong value with a sentence.
            return schema | {"type": ["string", "number"]}
        schema["enum"].insert(0, AUTO)
    if option.minimum is not None:
        schema["minimum"] = option.minimum
    if option.maximum is not None:
        schema["maximum"] = option.maximum
    return schema
