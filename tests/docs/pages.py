"""Helpers that read the pages of the documentation: links, headings, code blocks and tables."""

from __future__ import annotations

import ast
import builtins
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.glob("*.md"))
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PACKAGE = ROOT / "airflow_provider_hfspaces"

_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<kind>[^\n]*)\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)


def name(path: Path) -> str:
    """The path of a page, as the id of a parametrized test."""
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path) -> Iterator[tuple[str, str]]:
    """The language and the body of each fenced block of a page."""
    for block in _BLOCK.finditer(path.read_text("utf-8")):
        yield block["kind"].strip(), block["body"]


def missing_lines(path: Path, first: str, log: str) -> list[str]:
    """The lines of a page's excerpt of a log that a log does not contain; numbers and addresses may differ.

    Lines that begin with a space depend on the moment of a look, and do not count.

    :param first: how the excerpt begins.
    """
    [excerpt] = [body for kind, body in blocks(path) if not kind and body.startswith(first)]
    plain = _without_numbers(log)
    lines = [line for line in excerpt.splitlines() if not line.startswith(" ")]
    return [line for line in lines if _without_numbers(line) not in plain]


def _without_numbers(text: str) -> str:
    return re.sub(r"\d[\d.,:-]*", "0", text)


def undefined_names(path: Path) -> list[str]:
    """The names that a Python block of a page uses, and that neither it nor an earlier block defines."""
    defined_names, undefined_uses = set(dir(builtins)), []
    for kind, body in blocks(path):
        if kind == "python":
            nodes = list(ast.walk(ast.parse(body)))
            defined_names |= {name for node in nodes for name in _definitions(node)}
            undefined_uses += [
                node.id for node in nodes if isinstance(node, ast.Name) and node.id not in defined_names
            ]
    return undefined_uses


def _definitions(node: ast.AST) -> Iterator[str]:
    """The names that a node of the syntax tree defines."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (each.asname or each.name.partition(".")[0] for each in node.names)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name


def prose(path: Path) -> str:
    """The text of a page without fenced blocks and inline code."""
    return re.sub(r"`[^`\n]*`", "", _BLOCK.sub("", path.read_text("utf-8")))


def links(path: Path) -> list[str]:
    """The targets of a page's links and images."""
    text = _BLOCK.sub("", path.read_text("utf-8"))
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"<img[^>]* src=\"([^\"]+)\"", text)


def broken_links(path: Path) -> list[str]:
    """The links of a page that lead to no file, no heading, or out of the repository; and unusual schemes."""
    broken = []
    for link in links(path):
        parts = urlsplit(link)
        if parts.scheme:
            is_right = parts.scheme in ("https", "http")
        else:
            target = (path.parent / parts.path).resolve() if parts.path else path
            is_right = target.exists() and (not parts.fragment or parts.fragment in headings(target))
            is_right = is_right and (not parts.path or ROOT in target.parents)
        if not is_right:
            broken.append(link)
    return broken


def headings(path: Path) -> set[str]:
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", _BLOCK.sub("", path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in titles}


def navigation() -> list[str]:
    """The pages in the site's navigation, in order."""
    return [page for pages in extension("site_pages").NAVIGATION.values() for page in pages]


def extension(module: str) -> ModuleType:
    """The constants of one of the documentation's own Sphinx extensions, read without Sphinx."""
    tree = ast.parse((DOCS / "_ext" / f"{module}.py").read_text("utf-8"))
    constants = [node for node in tree.body if isinstance(node, ast.Assign)]
    extension = ModuleType(module)
    for node in constants:
        try:
            value = ast.literal_eval(node.value)
        except ValueError:
            continue
        setattr(extension, ast.unparse(node.targets[0]), value)
    return extension


def table(path: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without the header row."""
    text = path.read_text("utf-8")
    rows = re.search(rf"^#+ {re.escape(heading)}$[\s\S]*?((?:^\|.*\|\n)+)", text, re.MULTILINE)
    assert rows is not None, f"{name(path)} has no table below {heading!r}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows[1].splitlines()[2:]]


@functools.cache
def texts_in_code() -> list[list[str]]:
    """Every string in the code of the package, split at its placeholders."""
    return [
        parts
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (parts := _parts(node))
    ]


def _parts(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        # Placeholders of logging.
        return re.split(r"%(?:[-\d.]*[sdrf])", node.value)
    if isinstance(node, ast.JoinedStr):
        return [str(each.value) if isinstance(each, ast.Constant) else "\0" for each in node.values]
    return []
