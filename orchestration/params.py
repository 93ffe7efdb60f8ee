"""The parameters of the trigger forms that come from the compression's settings."""

from typing import Any

from airflow.sdk import Param

from colorquant.settings import Option, options

SECTION = "Quality"


def setting_params() -> dict[str, Param]:
    """A ``Param`` for each setting of the compression, by the setting's name, with its default, help and limits."""
    return {name: Param(default, **_schema(default, option)) for name, (default, option) in options().items()}


def _schema(default: Any, option: Option) -> dict[str, Any]:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    schema: dict[str, Any] = {
        "type": kinds[type(default)],
        "title": option.title,
        "description": option.help,
        "section": SECTION,
    }
    if option.choices:
        schema["enum"] = list(option.choices)
    if option.least is not None:
        schema["minimum"] = option.least
    if option.most is not None:
        schema["maximum"] = option.most
    return schema
