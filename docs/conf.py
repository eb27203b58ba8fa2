"""Sphinx: `make docs` builds this folder into site/; warnings are errors, and no page may need a network."""

import os
import re
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # the API pages import the package

import multibox

project = "multibox"
author = "multibox contributors"
version = release = multibox.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["pictures/README.md"]
myst_heading_anchors = 3  # links such as data.md#transforms, as on code hosts

html_theme = "furo"
html_title = f"multibox {version}"
html_copy_source = False
html_show_copyright = False

# Docstrings are in Google style. A word in single backticks is code there, as in Markdown.
default_role = "code"
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes as a list: dataclasses have them as members too
autodoc_inherit_docstrings = False  # Keras' own methods are documented by Keras
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # a default as it is written, not its repr

# What a browser fetches when it opens a page; a plain link is not.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["'](https?:)?//[^"']*"""
    r"""|<link\b(?=[^>]*\brel=["'](?:stylesheet|preload|icon)\b)[^>]*\bhref=["'](https?:)?//[^"']*"""
    r"""|@import\s+(?:url\()?["']?(https?:)?//[^"')]*|url\(["']?(https?:)?//[^"')]*"""
)


def refuse_foreign_resources(app, exception):
    """Fails the build if a page or style sheet would load something from another host."""
    if exception is not None:
        return
    files = [path for path in Path(app.outdir).rglob("*") if path.suffix in (".html", ".css")]
    found = [f"{path.name}: {hit[0]}" for path in files for hit in FETCHED.finditer(path.read_text("utf-8"))]
    if found:
        raise RuntimeError("pages load resources from other hosts:\n" + "\n".join(found))


def setup(app):
    app.connect("build-finished", refuse_foreign_resources)
