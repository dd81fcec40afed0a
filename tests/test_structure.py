"""The structure of the package: which module may know what, held by reading the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_hfspaces.hub.stages import SpaceStage
from tests.conftest import ROOT

PACKAGE = ROOT / "airflow_provider_hfspaces"
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGE_OWNERS = {"hub/stages.py", "emulator/model/machine.py"}


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def constants(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_stage_is_spelled_outside_the_modules_that_own_the_stages(path: Path) -> None:
    stages = {stage.value for stage in SpaceStage}
    spelled = [(line, text) for line, text in constants(path) if text in stages]
    assert bool(spelled) == (name(path) in STAGE_OWNERS), spelled
