"""The structure of the package: which module may know what, held by reading the source."""

from __future__ import annotations

import ast
import subprocess
import sys
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


def imported(path: Path) -> set[str]:
    """The names of all modules that a module imports, and those that it names in ``import_module``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_module" and node.args:
            names |= {text for _, text in _texts(node.args[0])}
    return names


def _texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.lineno, each.value


@pytest.mark.parametrize(
    "path", [each for each in MODULES if name(each).startswith(("hub/", "space_app/"))], ids=name
)
def test_the_code_about_the_hub_imports_neither_airflow_nor_the_code_that_does(path: Path) -> None:
    ours = "airflow_provider_hfspaces"
    allowed = (f"{ours}.hub", f"{ours}.space_app", f"{ours}.__version__")
    airflow = {each for each in imported(path) if each.split(".")[0] in ("airflow", ours)}
    assert {each for each in airflow if not each.startswith(allowed)} == set()


def test_importing_the_code_about_the_hub_imports_no_airflow() -> None:
    modules = [
        ".".join(("airflow_provider_hfspaces", *each.relative_to(PACKAGE).with_suffix("").parts))
        for each in MODULES
        if name(each).startswith("hub/")
    ]
    program = f"import sys, importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
    program += "assert 'airflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, cwd=ROOT)


@pytest.mark.parametrize("path", [each for each in MODULES if not name(each).startswith("compat/")], ids=name)
def test_only_compat_asks_which_airflow_this_is(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not names & {"AIRFLOW_3", "AIRFLOW_VERSION"}
    versions = {"airflow.__version__", "airflow.version", "airflow.version.version"}
    assert not imported(path) & versions
