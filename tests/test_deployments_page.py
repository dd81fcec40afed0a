"""The deployments page names existing tests and make targets."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

FILES = {"†": "tests/cluster/test_cluster.py", "‡": "tests/processes/test_triggerer.py"}
PAGE = ROOT / "docs" / "deployments.md"


@pytest.mark.parametrize(("sign", "name"), sorted(set(re.findall(r"([†‡]) `(test_\w+)`", PAGE.read_text()))))
def test_every_test_in_the_table_exists(sign: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / FILES[sign]).read_text()


def test_every_make_target_on_the_page_exists() -> None:
    targets = set(re.findall(r"`make ([a-z-]+)", PAGE.read_text()))
    assert targets
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
