"""Names of a package that are imported on first use. Standard library only."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def imported_on_first_use(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package whose exported names come from modules that are loaded when they are needed.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    modules : mapping of str to str
        Exported name to the module of the package that defines it.
    """

    def getattr_(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return getattr_
