"""What the tests of the documentation read out of its pages."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.glob("*.md"))
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PACKAGE = ROOT / "airflow_provider_hfspaces"

_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<kind>[^\n]*)\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)


def name(path: Path) -> str:
    """How a test's parameter is shown."""
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path) -> Iterator[tuple[str, str]]:
    """Kind and body of each fenced block of a page."""
    for found in _BLOCK.finditer(path.read_text("utf-8")):
        yield found["kind"].strip(), found["body"]


def prose(path: Path) -> str:
    """A page without its fenced blocks and without code."""
    return re.sub(r"`[^`\n]*`", "", _BLOCK.sub("", path.read_text("utf-8")))


def links(path: Path) -> list[str]:
    """Where a page's links and pictures lead."""
    text = _BLOCK.sub("", path.read_text("utf-8"))
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"<img[^>]* src=\"([^\"]+)\"", text)


def headings(path: Path) -> set[str]:
    """The anchors of a page's headings."""
    found = re.findall(r"^#+ (.+)$", _BLOCK.sub("", path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in found}


def navigation() -> list[str]:
    """The pages in the site's navigation, in order."""
    return [page for pages in extension("site_pages").NAVIGATION.values() for page in pages]


def extension(module: str) -> ModuleType:
    """One of the documentation's own Sphinx extensions, where Sphinx is installed or not."""
    tree = ast.parse((DOCS / "_ext" / f"{module}.py").read_text("utf-8"))
    constants = [node for node in tree.body if isinstance(node, ast.Assign)]
    loaded = ModuleType(module)
    for node in constants:
        try:
            value = ast.literal_eval(node.value)
        except ValueError:
            continue
        setattr(loaded, ast.unparse(node.targets[0]), value)
    return loaded


def table(path: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    text = path.read_text("utf-8")
    rows = re.search(rf"^#+ {re.escape(heading)}$[\s\S]*?((?:^\|.*\|\n)+)", text, re.MULTILINE)
    assert rows is not None, f"{name(path)} has no table below {heading!r}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows[1].splitlines()[2:]]


@functools.cache
def said_in_code() -> list[list[str]]:
    """Every text in the package, as the parts between what is filled in."""
    return [
        parts
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (parts := _parts(node))
    ]


def _parts(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        # what is filled in by logging
        return re.split(r"%(?:[-\d.]*[sdrf])", node.value)
    if isinstance(node, ast.JoinedStr):
        return [str(each.value) if isinstance(each, ast.Constant) else "\0" for each in node.values]
    return []
