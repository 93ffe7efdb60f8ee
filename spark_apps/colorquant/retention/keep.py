"""How much is kept: settings of the deployment. Standard library only."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from colorquant.errors import InvalidSetting

_MAX = 1_000_000


def _setting(variable: str, default: int) -> Any:
    return field(default=default, metadata={"variable": variable})


@dataclass(frozen=True, kw_only=True)
class Keep:
    """How much is kept of each library, that is of each folder of images with its patterns.

    Attributes
    ----------
    runs : int
        The newest runs, whatever their age. At least 1.
    days : int
        Runs that are not older are kept too.
    pages : int
        Of so many of the newest runs, the page of the report. At least 1.
    """

    runs: int = _setting("COMPRESSION_KEEP_RUNS", 7)
    days: int = _setting("COMPRESSION_KEEP_DAYS", 7)
    pages: int = _setting("COMPRESSION_KEEP_PAGES", 3)

    def __post_init__(self) -> None:
        for each in fields(self):
            minimum = 0 if each.name == "days" else 1
            if not minimum <= getattr(self, each.name) <= _MAX:
                raise InvalidSetting(f"{each.name} = {getattr(self, each.name)} is not from {minimum} to {_MAX}.")

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """What environment variables say; the others have their defaults. Raises InvalidSetting."""
        values = {}
        for each in fields(cls):
            variable = each.metadata["variable"]
            if text := environment.get(variable, "").strip():
                if not text.isascii() or not text.isdigit() or len(text) > 7:
                    raise InvalidSetting(f"{variable}={text!r} is not a whole number up to {_MAX}.")
                values[each.name] = int(text)
        return cls(**values)
