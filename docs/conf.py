"""Configuration of the documentation site (``make docs``).

Sphinx and not MkDocs: its source folder may be the whole checkout, so README.md and docs/ are read where they are, and
the same relative links work on the repository's page and in the site.
"""

import re
import sys
from importlib import import_module
from pathlib import Path

from sphinx.application import Sphinx

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "spark_apps"))

project = "K-Means image compression"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = ["*.md", "docs/**", "include/images/*.md"]
exclude_patterns = [".*", "build", "output"]

# Anchors of headings as GitHub makes them, down to "###".
myst_heading_anchors = 3

napoleon_google_docstring = False
# The section "Attributes" may name a property, which has an entry of its own.
napoleon_use_ivar = True
# Shapes such as (k, 3) are not references, though fields of several classes are called k.
suppress_warnings = ["ref.python"]
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}

html_theme = "furo"
html_title = project
html_static_path = ["site.css"]
html_css_files = ["site.css"]

PAGES = {
    "Use": ["docs/reference", "docs/choice", "docs/palettes", "docs/report", "docs/airflow"],
    "Operate": ["docs/operations", "docs/deploy", "docs/scaling"],
    "How it works": [
        *("docs/architecture", "docs/images", "docs/limits", "docs/quantizer", "docs/encoding", "docs/quality"),
        "docs/decisions/*",
    ],
    "Python": ["docs/api"],
    "Project": [
        *sorted(path.stem for path in PROJECT.glob("[A-Z]*.md") if path.stem != root_doc),
        "include/images/LICENSES",
    ],
}


def _add_contents(app: Sphinx, document: str, text: list[str]) -> None:
    """The site's contents, which the repository's page of README.md has no use for."""
    if document == root_doc:
        for caption, pages in PAGES.items():
            entries = "\n".join(pages)
            text[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {caption}\n\n{entries}\n```\n"


def _import_rooms(app: Sphinx) -> None:
    """Rooms import some of their names on first use, and autodoc documents only what a module has."""
    for name in re.findall(r"^.. automodule:: (\S+)", (PROJECT / "docs" / "api.rst").read_text(), re.MULTILINE):
        room = import_module(name)
        for exported in getattr(room, "__all__", ()):
            # As `from room import exported`, which also finds a module of the room.
            setattr(room, exported, getattr(__import__(name, fromlist=[exported]), exported))


def _lead_to_readme(app: Sphinx, error: Exception | None) -> None:
    redirect = (
        '<!doctype html><meta charset="utf-8"><title>…</title><meta http-equiv="refresh" content="0; url=README.html">'
    )
    (Path(app.outdir) / "index.html").write_text(redirect, "utf-8")


def setup(app: Sphinx) -> None:
    """Connect what is done while the site is built."""
    app.connect("builder-inited", _import_rooms)
    app.connect("source-read", _add_contents)
    app.connect("build-finished", _lead_to_readme)
