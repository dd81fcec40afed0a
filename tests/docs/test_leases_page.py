"""Each promise of the page about leases names the tests that hold it, and these tests exist."""

from __future__ import annotations

import ast
import functools
import re

import pytest

from tests.conftest import ROOT
from tests.docs.pages import DOCS, table

PAGE = DOCS / "leases.md"
PROMISES = {row[0]: row for row in table(PAGE, "What is promised")}
TESTS = {
    number: re.findall(r"`([^`]+)`", cell) for number, cell in table(PAGE, "The tests behind the promises")
}


@functools.cache
def names_in(path: str) -> set[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


def test_the_promises_are_numbered_and_each_names_its_tests() -> None:
    assert list(PROMISES) == [str(number) for number in range(1, len(PROMISES) + 1)]
    assert list(TESTS) == list(PROMISES)
    assert all(TESTS.values())


@pytest.mark.parametrize("test", sorted({each for tests in TESTS.values() for each in tests}))
def test_a_test_that_the_page_names_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert name in names_in(path)
