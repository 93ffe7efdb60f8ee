"""The tree of errors in the docstring of ``colorquant.errors`` is that of the classes, and each error is raised."""

import ast
import re
from pathlib import Path

from colorquant import errors

PACKAGE = Path(errors.__file__).parent
PROJECT = PACKAGE.parents[1]
CLASSES = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
# What the errors of a branch have in common; not raised itself.
BASES = {"ColorquantError", "InvalidRequest"}


def _drawn() -> dict[str, tuple[str | None, str | None]]:
    """Of each class in the drawing: its parent there, and the class of Python's that it has in brackets."""
    drawn: dict[str, tuple[str | None, str | None]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^(    [│ ]*(?:[├└]── )?)(\w+)(?: \((\w+)\))?", line)
        if found is None:
            continue
        depth = len(found[1])
        above = [(at, name) for at, name in above if at < depth]
        drawn[found[2]] = (above[-1][1] if above else None, found[3])
        above.append((depth, found[2]))
    return drawn


def test_the_drawing_is_the_tree_of_the_classes() -> None:
    tree = {}
    for name, kind in CLASSES.items():
        own = [base.__name__ for base in kind.__bases__ if base.__module__ == errors.__name__]
        others = [base.__name__ for base in kind.__bases__ if base not in CLASSES.values() and base is not Exception]
        tree[name] = (own[0] if own else None, others[0] if others else None)
    assert _drawn() == tree


def test_every_error_of_the_package_is_in_the_tree() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                is_error = bases & CLASSES.keys() or any(base.endswith(("Error", "Exception")) for base in bases)
                assert not is_error or path.name == "errors.py", f"{path}: {node.name}"


def test_every_error_is_raised() -> None:
    made = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                made.add(node.func.id)
    assert made >= CLASSES.keys() - BASES
