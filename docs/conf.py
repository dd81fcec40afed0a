"""How the documentation is built: ``make docs``."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]
# autodoc imports the package, which imports Airflow, which wants a home.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="docs-"))

from airflow_provider_hfspaces import __version__  # noqa: E402

project = "airflow-provider-hfspaces"
author = "The airflow-provider-hfspaces authors"
copyright = author
release = version = __version__

extensions = [
    "myst_parser",
    "site_pages",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "_ext"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_inherit_docstrings = False

# Every public name of ours in a docstring has to be found; those of others are only shown.
nitpicky = True
nitpick_ignore_regex = [
    # Types of values that users get and never construct.
    (r"py:.*", r"airflow_provider_hfspaces\.(emulator\.model|hooks\.connection)\..*"),
    (r"py:.*", r"(?!airflow_provider_hfspaces\.).*"),
    (r"py:.*", r"airflow_provider_hfspaces\.(.*\.)?(_.*|[A-Z])"),
]

html_theme = "furo"
html_title = f"airflow-provider-hfspaces {release}"
html_static_path = ["_static"]
html_css_files = ["extra.css"]
html_copy_source = False
html_show_sphinx = False
highlight_language = "none"
# A style whose colours are readable on its background; most have pale comments and numbers.
pygments_style = "a11y-light"
pygments_dark_style = "native"
