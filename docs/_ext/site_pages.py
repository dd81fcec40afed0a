"""What only the built site has: navigation, included files, links into the reference.

The pages are plain Markdown, so that they read well on a code host. While Sphinx reads a page, this extension
adds what only the site can show.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent.parent
NAVIGATION = {
    "Begin": ("start", "connection", "operators", "migration"),
    "How it works": (
        "deploy",
        "waiting",
        "leases",
        "hardware",
        "copies",
        "apps",
        "calls",
        "batch",
        "fleets",
        "events",
        "callbacks",
        "cost",
        "ui",
        "command_line",
    ),
    "Run it": ("testing", "emulator", "metrics", "compatibility", "deployments", "troubleshooting"),
    "Look up": ("reference", "architecture", "changelog", "contributing"),
}
"""The pages below each heading of the navigation, in order."""

INHERITED = {"HfSpacesHook": "BaseHook, LoggingMixin"}
"""Classes shown with the members that they inherit, up to the bases with these names."""

FUNCTIONS_IN = {f"airflow_provider_hfspaces.{name}" for name in ("assets", "hardware", "require")}
"""Modules whose functions pages link to the reference, as they do all classes."""

ONLY = {"airflow_provider_hfspaces.state.run_costs": ("DailyCost", "run_costs")}
"""Modules of which users import only some names."""

REPOSITORY_PAGES = {"changelog": "CHANGELOG.md", "contributing": "CONTRIBUTING.md"}
"""Pages of the site whose text is a file at the top of the repository."""

_CLASS = re.compile(
    r"<!-- class: (?P<path>\S+) -->\nImport from `(?P<module>[\w.]+)`; \[source\]\([^)]*\)\.", re.MULTILINE
)
_REFERENCE = re.compile(r"\[`(?P<name>\w+)`\]\((?P<page>operators\.md#\w+)\) \(\[source\]\([^)]*\)\)")
_FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^(?=#+ )", re.MULTILINE)
_NAME = re.compile(r"(?<![\[`])`(?P<name>[A-Za-z_]+)(?:\(\))?`(?![\]`])")
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
    if docname not in REPOSITORY_PAGES and "/" not in docname:
        source[0] = with_links(source[0], public_names())


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


@functools.cache
def public_names() -> dict[str, str]:
    """The import path of each class in the reference, and of each function that DAGs use, by its name."""
    modules = _MODULE.findall((ROOT / "docs" / "reference.md").read_text("utf-8"))
    return {
        name: f"{home_of(name, value, module, modules)}.{name}"
        for module in modules
        for name in getattr(import_module(module), "__all__", ())
        if isinstance(value := getattr(import_module(module), name), type) or module in FUNCTIONS_IN
    }


def with_links(text: str, paths: dict[str, str]) -> str:
    """Let the first mention of each name in each section lead to the reference."""
    code: list[str] = []

    def keep(block: re.Match[str]) -> str:
        code.append(block[0])
        return f"\0{len(code) - 1}\0"

    text = _REFERENCE.sub(r"`\g<name>` ([parameters](\g<page>))", _FENCED.sub(keep, text))
    text = "".join(_with_links(section, paths) for section in _SECTION.split(text))
    return re.sub(r"\0(\d+)\0", lambda match: code[int(match[1])], text)


def _with_links(section: str, paths: dict[str, str]) -> str:
    """Let the first mention of each name in a section lead to the reference."""
    linked = set(re.findall(r"\{py:class\}`~[\w.]*?(\w+)`", section))
    heading, newline, body = section.partition("\n")
    if not heading.startswith("#"):
        heading, newline, body = "", "", section

    def link(match: re.Match[str]) -> str:
        if match["name"] in linked or match["name"] not in paths:
            return match[0]
        linked.add(match["name"])
        return f"{{py:obj}}`~{paths[match['name']]}`"

    return heading + newline + _NAME.sub(link, body)


def write_module_pages(app: Sphinx, config: Any) -> None:
    """Write a page with the docstrings of each module that the reference lists."""
    docs = Path(app.srcdir)
    folder = docs / "reference"
    folder.mkdir(exist_ok=True)
    modules = _MODULE.findall((docs / "reference.md").read_text("utf-8"))
    for module in modules:
        title = module.removeprefix("airflow_provider_hfspaces.")
        page = f"{title}\n{'=' * len(title)}\n\n.. automodule:: {module}\n   :no-members:\n"
        (folder / f"{module}.rst").write_text(page + "".join(documented(module, modules)), "utf-8")


def documented(module: str, modules: list[str]) -> Iterator[str]:
    """The directives for the public names of a module, and links to those that another page documents."""
    loaded = import_module(module)
    elsewhere: list[str] = []
    for name in ONLY.get(module, getattr(loaded, "__all__", ())):
        value = getattr(loaded, name)
        home = home_of(name, value, module, modules)
        if home != module:
            elsewhere.append(f":py:obj:`~{home}.{name}`")
        elif isinstance(value, type):
            yield f"\n.. autoclass:: {module}.{name}\n   :members:\n"
            if name in INHERITED:
                yield f"   :inherited-members: {INHERITED[name]}\n"
        elif callable(value):
            yield f"\n.. autofunction:: {module}.{name}\n"
        else:
            yield f"\n.. autodata:: {module}.{name}\n   :no-value:\n"
    if elsewhere:
        yield "\nNames to import from this module: " + ", ".join(elsewhere) + ".\n"


def home_of(name: str, value: Any, module: str, modules: list[str]) -> str:
    """The module on whose page a name is documented: where it is defined, if that module has a page."""
    offering = [each for each in modules if name in getattr(import_module(each), "__all__", ())]
    defined_in = getattr(value, "__module__", None)
    if defined_in in offering:
        return str(defined_in)
    return next((each for each in offering if each.startswith(f"{module}.")), module)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension; called by Sphinx."""
    app.connect("config-inited", write_module_pages)
    app.connect("source-read", expand)
    return {"version": "1", "parallel_read_safe": True}
