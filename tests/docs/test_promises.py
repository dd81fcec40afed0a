"""Each promise of the pages about leases and copies names the tests that hold it, and these tests exist."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.pages import DOCS, table

PAGES = [DOCS / "leases.md", DOCS / "copies.md"]


def named_tests(page: Path) -> dict[str, list[str]]:
    """The tests that a page names, by the number of the promise."""
    rows = table(page, "The tests behind the promises")
    return {number: re.findall(r"`([^`]+)`", cell) for number, cell in rows}


@functools.cache
def names_in(path: str) -> set[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_promises_are_numbered_and_each_names_its_tests(page: Path) -> None:
    promises, tests = [row[0] for row in table(page, "What is promised")], named_tests(page)
    assert promises == [str(number) for number in range(1, len(promises) + 1)]
    assert list(tests) == promises
    assert all(tests.values())


@pytest.mark.parametrize(
    "test", sorted({each for page in PAGES for tests in named_tests(page).values() for each in tests})
)
def test_a_test_that_a_page_names_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert name in names_in(path)
