"""What runs may use: the folders and the connections that whoever operates Airflow allows.

The environment of Airflow's processes names them. Who may trigger a run, or edit an XCom, does not extend them.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from colorquant.settings import names_file
from colorquant.storage import ALLOWED_ROOTS, is_remote, location

_CHECKOUT = Path(__file__).resolve().parent.parent
ALL = "*"
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def image_folder() -> str:
    """The default of the parameter ``images``. Raises ValueError where neither environment nor checkout has one."""
    return _folder("COMPRESSION_IMAGES", "include/images")


def output_folder() -> str:
    """The default of the parameter ``output``. Raises ValueError where neither environment nor checkout has one."""
    return _folder("COMPRESSION_OUTPUT", "output")


def published_folder() -> str | None:
    """The default of the parameter ``publish``."""
    return os.environ.get("COMPRESSION_PUBLISH") or None


def with_folders(params: Mapping[str, Any]) -> dict[str, Any]:
    """A run's parameters, in which relative paths of folders start at the project, wherever Airflow was started.

    Without a checkout the project is the parent folder of this package.
    """
    given = {name: params[name] for name in params}
    for name in ("images", "output", "publish", "palette", "weights"):
        path = given.get(name)
        if isinstance(path, str) and path.strip() and not _URI.match(path):
            # A palette may be colors, or a word.
            if name != "palette" or names_file(path.strip()):
                given[name] = str(_CHECKOUT / path)
    return given


def use_allowed_roots() -> None:
    """Limit this process, and those that it starts, to the folders that runs may use.

    These are the operator's, or else the defaults of images, output and publish. Raises ValueError where both are
    unknown.
    """
    if not os.environ.get(ALLOWED_ROOTS):
        defaults = (image_folder(), output_folder(), published_folder())
        os.environ[ALLOWED_ROOTS] = ",".join(_as_text(folder) for folder in defaults if folder)


def may_use(connection: str) -> bool:
    """Whether a run's ``storage_connection`` may name a connection: by default, that of the environment only."""
    default = os.environ.get("COMPRESSION_STORAGE_CONNECTION", "")
    names = os.environ.get("COMPRESSION_ALLOWED_CONNECTIONS") or default
    return not {ALL, connection}.isdisjoint(name.strip() for name in names.split(","))


def _folder(variable: str, of_checkout: str) -> str:
    folder = os.environ.get(variable)
    if not folder:
        if not (_CHECKOUT / "dags").is_dir():
            raise ValueError(f"{variable} is not set: set it to a folder in the environment of Airflow")
        folder = str(_CHECKOUT / of_checkout)
    return folder


def _as_text(folder: str) -> str:
    # A file: URI escapes commas, which separate the folders.
    return folder if is_remote(folder) else location(folder).as_uri()
