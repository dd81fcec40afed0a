"""What only the built site has: navigation, included files, links into the reference.

The pages are plain Markdown, so that they read well on a code host. While Sphinx reads a page, this extension
adds what only the site can show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent.parent
NAVIGATION = {
    "Begin": ("start", "connection", "operators", "migration"),
    "How it works": ("waiting", "leases", "fleets", "events", "callbacks", "cost", "ui"),
    "Run it": ("testing", "emulator", "compatibility", "deployments", "troubleshooting"),
    "Look up": ("reference", "architecture", "changelog", "contributing"),
}
"""The pages below each heading of the navigation, in order."""

REPOSITORY_PAGES = {"changelog": "CHANGELOG.md", "contributing": "CONTRIBUTING.md"}
"""Pages of the site whose text is a file at the top of the repository."""

_CLASS = re.compile(
    r"<!-- class: (?P<path>\S+) -->\nImport from `(?P<module>[\w.]+)`; \[source\]\([^)]*\)\.", re.MULTILINE
)
_MODULE = re.compile(r"^\| \[`(?P<module>airflow_provider_hfspaces[\w.]*)`\]\([^)]*\) \|", re.MULTILINE)


def expand(app: Sphinx, docname: str, source: list[str]) -> None:
    """Add to a page what only the site shows."""
    if docname == "index":
        source[0] += navigation()
    elif docname in REPOSITORY_PAGES:
        source[0] = (ROOT / REPOSITORY_PAGES[docname]).read_text("utf-8")
        source[0] = re.sub(r"\]\(docs/", "](", source[0])
    elif docname == "reference":
        source[0] += reference(_MODULE.findall(source[0]))
    source[0] = _CLASS.sub(r"{py:class}`~\g<path>`, from `\g<module>`.", source[0])


def navigation() -> str:
    """The site's tables of contents."""
    return "".join(
        f"\n```{{toctree}}\n:caption: {caption}\n:hidden:\n\n" + "\n".join(pages) + "\n```\n"
        for caption, pages in NAVIGATION.items()
    )


def reference(modules: list[str]) -> str:
    """The table of contents of the modules that the page lists."""
    pages = "\n".join(f"reference/{module}" for module in modules)
    return f"\n```{{toctree}}\n:hidden:\n\n{pages}\n```\n"


def write_module_pages(app: Sphinx, config: Any) -> None:
    """Write a page with the docstrings of each module that the reference lists."""
    docs = Path(app.srcdir)
    folder = docs / "reference"
    folder.mkdir(exist_ok=True)
    for module in _MODULE.findall((docs / "reference.md").read_text("utf-8")):
        title = module.removeprefix("airflow_provider_hfspaces.")
        page = f"{title}\n{'=' * len(title)}\n\n.. automodule:: {module}\n   :no-members:\n"
        (folder / f"{module}.rst").write_text(page + "".join(documented(module)), "utf-8")


def documented(module: str) -> Iterator[str]:
    """The directive for each public name of a module, wherever the name is defined."""
    loaded = import_module(module)
    for name in getattr(loaded, "__all__", ()):
        value = getattr(loaded, name)
        if isinstance(value, type):
            yield f"\n.. autoclass:: {module}.{name}\n   :members:\n"
        elif callable(value):
            yield f"\n.. autofunction:: {module}.{name}\n"
        else:
            yield f"\n.. autodata:: {module}.{name}\n   :no-value:\n"


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension; called by Sphinx."""
    app.connect("config-inited", write_module_pages)
    app.connect("source-read", expand)
    return {"version": "1", "parallel_read_safe": True}
