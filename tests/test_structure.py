"""The structure of the package, checked in its source: layers, import cycles, and what a module may name."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from airflow_provider_hfspaces import get_provider_info, hub, space_app
from airflow_provider_hfspaces.hub.stages import SpaceStage
from tests.conftest import ROOT

NAME = "airflow_provider_hfspaces"
PACKAGE = ROOT / NAME
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGE_OWNERS = {"hub/stages.py", "emulator/model/machine.py"}
MOST_LINES = 400
CHEAP = {
    *("compat", "compat.imports", "hub", "hub.lazy", "links", "rendered"),
    *("operators", "operators.base", "operators.values", "operators.fleet.base", "operators.hardware.base"),
}
"""What a DAG file loads with all operators, besides the modules of their classes: nothing of their work."""
CLIENTS = {"requests", "httpx", "huggingface_hub", "gradio_client", "starlette", "uvicorn"}

PLAIN_PYTHON = [path for path in MODULES if path.relative_to(PACKAGE).parts[0] in ("hub", "space_app")]
AIRFLOW_WORDS = re.compile(
    r"airflow(?!_provider_hfspaces|-lease)|\bdags?\b|\btasks?\b|\boperators?\b|Operator\b", re.I
)
"""``airflow-lease`` is the name of a branch on the Hub, which every version of this package reads."""

LAYERS = [
    {"hub", "compat"},
    {"space_app", "emulator", "state", "rendered", "hardware", "assets", "links", "metrics", "lineage"},
    {"app_log", "failures", "space_log"},
    {"hooks"},
    {"triggers", "reports", "require"},
    {"operators"},
    {"sensors", "notifications", "task_groups", "plugins", "cli"},
    {"__main__"},
]
"""From bottom to top: a module imports only from its own layer and from lower layers."""

PUBLIC = {
    "assets": ["space_asset"],
    "emulator": [
        "CallContext",
        "DockerApp",
        "Fault",
        "GradioApp",
        "GradioError",
        "HubEmulator",
        "Settings",
        "SpaceHandle",
        "Timings",
    ],
    "hardware": ["any_hardware"],
    "hooks.hfspaces": ["HfSpacesHook"],
    "notifications.spaces": ["PauseSpaceNotifier", "RestoreHardwareNotifier"],
    "operators.app": ["CallSpaceOperator", "SpaceBatchOperator"],
    "operators.copies": ["DeleteCopiesOperator"],
    "operators.budget": ["EnforceBudgetOperator"],
    "operators.cost": ["SpacesCostReportOperator"],
    "operators.deploy": ["DeploySpaceOperator"],
    "operators.duplicate": ["DuplicateSpaceOperator"],
    "operators.fleet": [
        "EnforceSleepTimeOperator",
        "ListSpacesOperator",
        "PauseSpacesOperator",
        "RestartSpacesOperator",
    ],
    "operators.hardware": [
        "RequestHardwareOperator",
        "RestoreHardwareOperator",
        "SetSleepTimeOperator",
        "SnapshotSpaceOperator",
    ],
    "operators.lifecycle": ["GetSpaceRuntimeOperator", "PauseSpaceOperator", "RestartSpaceOperator"],
    "operators.repository": [
        "CreateSpaceOperator",
        "DeleteSpaceOperator",
        "MoveSpaceOperator",
        "SetDevModeOperator",
        "SetReplicasOperator",
        "SetVisibilityOperator",
    ],
    "operators.settings": [
        "AddSecretOperator",
        "AddVariableOperator",
        "DeleteSecretOperator",
        "DeleteVariableOperator",
    ],
    "operators.storage": [
        "DeleteStorageOperator",
        "DeleteVolumesOperator",
        "RequestStorageOperator",
        "SetVolumesOperator",
    ],
    "require": ["require_hardware"],
    "space_app.batch": ["BatchLimits", "BatchReport", "SpaceBatch"],
    "sensors.spaces": ["SpaceHealthySensor", "SpaceRunningSensor", "SpaceStageSensor"],
    "task_groups.copies": ["SpaceCopyTaskGroup"],
    "task_groups.hardware": ["SpaceHardwareTaskGroup"],
    "triggers.apps": ["SpaceCallTrigger", "SpaceQueueTrigger"],
    "triggers.pauses": ["PauseTrigger"],
    "triggers.events": ["SpaceEventTrigger"],
    "triggers.spaces": ["SpaceTrigger"],
}


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def violations(rule: Callable[[Path], object], paths: Iterable[Path] = MODULES) -> dict[str, object]:
    """The modules that break a rule, each with what the rule returns for it."""
    return {name(path): problem for path in paths if (problem := rule(path))}


def constants(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def dotted_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path, *, everywhere: bool = False) -> frozenset[str]:
    """The modules that a module imports: outside functions, and with ``everywhere`` also inside."""
    imported: set[str] = set()

    def visit(body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                modules = inner & KNOWN
                imported.update(modules)
                if len(modules) < len(inner):
                    imported.add(node.module)
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            elif everywhere or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for block in ("body", "orelse", "finalbody"):
                    visit(getattr(node, block, []))
                for handler in getattr(node, "handlers", []):
                    visit(handler.body)

    visit(parsed(path).body)
    return frozenset(imported)


KNOWN = {dotted_name(path) for path in MODULES}


def layer(module: str) -> int | None:
    _, _, rest = module.partition(".")
    part = rest.partition(".")[0]
    return next((number for number, parts in enumerate(LAYERS) if part in parts), None)


def test_stage_names_appear_only_in_the_modules_that_own_them() -> None:
    stages = {stage.value for stage in SpaceStage}

    def stage_names(path: Path) -> list[tuple[int, str]]:
        return [(line, text) for line, text in constants(path) if text in stages]

    assert violations(stage_names).keys() == STAGE_OWNERS


def test_plain_python_modules_neither_import_nor_mention_airflow() -> None:
    def imports_of_airflow(path: Path) -> list[str]:
        return [each for each in imports(path, everywhere=True) if each.split(".")[0] == "airflow"]

    def words_of_airflow(path: Path) -> list[tuple[int, str]]:
        return [(line, text) for line, text in constants(path) if AIRFLOW_WORDS.search(text)]

    assert violations(imports_of_airflow, PLAIN_PYTHON) == {}
    assert violations(words_of_airflow, PLAIN_PYTHON) == {}


OUTSIDE_COMPAT = {
    "lineage.py": {"airflow.providers.openlineage.extractors"},
    "plugins/plugin.py": {"airflow.plugins_manager"},
}
"""Public classes of Airflow that are imported where they are used: by their own provider, by each process."""


def test_only_compat_imports_modules_of_airflow() -> None:
    def modules_of_airflow(path: Path) -> set[str]:
        nodes = list(ast.walk(parsed(path)))
        modules = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        modules |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        return {module for module in modules if module.split(".")[0] == "airflow"}

    elsewhere = [path for path in MODULES if not name(path).startswith("compat/")]
    assert violations(modules_of_airflow, elsewhere) == OUTSIDE_COMPAT


def test_no_module_imports_from_a_layer_above_its_own() -> None:
    def upward_imports(path: Path) -> list[str]:
        own = layer(dotted_name(path))
        return [
            module
            for module in imports(path, everywhere=True)
            if module.startswith(f"{NAME}.") and own is not None and (layer(module) or 0) > own
        ]

    assert [name(path) for path in MODULES if layer(dotted_name(path)) is None] == ["__init__.py"]
    assert violations(upward_imports) == {}


def test_every_part_of_the_package_belongs_to_a_layer() -> None:
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES} - {"__init__"}
    assert parts <= set().union(*LAYERS)


def test_there_are_no_import_cycles() -> None:
    graph = {dotted_name(path): imports(path) & KNOWN - {dotted_name(path)} for path in MODULES}
    while free := [module for module, needed in graph.items() if not needed & graph.keys()]:
        for module in free:
            del graph[module]
    assert graph == {}


@cache
def unlisted_names(path: Path) -> set[str]:
    """The classes, functions and constants that a module defines and does not list in ``__all__``."""
    names: set[str] = set()
    listed: set[str] | None = None
    for node in parsed(path).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            assigned = {target.id for target in targets if isinstance(target, ast.Name)}
            if assigned == {"__all__"} and node.value is not None:
                listed = set(ast.literal_eval(node.value))
            names |= {each for each in assigned if not each.startswith("__")}
    return set() if listed is None else names - listed


def test_names_that_a_module_imports_are_in_the_list_of_their_module() -> None:
    def unlisted_imports(path: Path) -> list[str]:
        unlisted: list[str] = []
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and node.module in PATHS:
                unlisted += {each.name for each in node.names} & unlisted_names(PATHS[node.module])
        return unlisted

    assert violations(unlisted_imports) == {}


PATHS = {dotted_name(path): path for path in MODULES}


def loaded_modules(modules: set[str]) -> set[str]:
    """The modules that importing these modules loads: of this package, with their parents, and of others."""
    modules_seen: set[str] = set()
    waiting = set(modules)
    while waiting:
        module = waiting.pop()
        if module in modules_seen:
            continue
        modules_seen.add(module)
        if module in PATHS:
            waiting |= imports(PATHS[module]) | {module.rpartition(".")[0]} - {""}
    return modules_seen


def imports_in_functions(path: Path) -> Iterator[ast.ImportFrom]:
    """The imports of modules of this package that stand in a function."""
    for function in ast.walk(parsed(path)):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for node in function.body:
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith(NAME):
                    yield node


def test_no_function_imports_what_its_module_has_loaded_already() -> None:
    def is_lazy(module: str) -> bool:
        functions = [each for each in parsed(PATHS[module]).body if isinstance(each, ast.FunctionDef)]
        return any(each.name == "__getattr__" for each in functions)

    def needless_imports(path: Path) -> list[str]:
        present = loaded_modules(set(imports(path)))
        needless = []
        for node in imports_in_functions(path):
            module = str(node.module)
            inner = {f"{module}.{alias.name}" for alias in node.names} & KNOWN
            if not is_lazy(module) and (inner or {module}) <= present:
                needless.append(ast.unparse(node))
        return needless

    assert violations(needless_imports) == {}


def homes(kind: str) -> set[str]:
    """The modules that define the public classes of a kind, such as ``operators``."""
    modules = [module for entry in get_provider_info()[kind] for module in entry["python-modules"]]
    classes = [getattr(import_module(each), name) for each in modules for name in import_module(each).__all__]
    return {each.__module__ for each in classes} | set(modules)


def test_a_dag_file_that_uses_all_operators_loads_little_besides_them() -> None:
    classes = homes("operators")
    ours = {module for module in loaded_modules(classes) if module.split(".")[0] == NAME}
    assert ours - classes == {NAME, *(f"{NAME}.{each}" for each in CHEAP)}


@pytest.mark.parametrize("kind", ["operators", "sensors", "triggers"])
def test_importing_operators_sensors_or_triggers_loads_no_client_library(kind: str) -> None:
    assert {module.split(".")[0] for module in loaded_modules(homes(kind))} & CLIENTS == set()


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {name(path): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {each: lines for each, lines in lengths.items() if lines > MOST_LINES} == {}


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_import_path_exists(module: str) -> None:
    imported = import_module(f"{NAME}.{module}")
    assert [each for each in PUBLIC[module] if not hasattr(imported, each)] == []


@pytest.mark.parametrize("package", [hub, space_app], ids=["hub", "space_app"])
def test_every_name_that_a_plain_package_exports_exists(package: ModuleType) -> None:
    assert [each for each in package.__all__ if getattr(package, each, None) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        package.nothing  # noqa: B018


@pytest.mark.parametrize(
    "path", [path for path in PLAIN_PYTHON if path.is_relative_to(PACKAGE / "space_app")], ids=name
)
def test_the_client_of_an_app_needs_only_the_hub_package_beside_itself(path: Path) -> None:
    own = {each for each in imports(path, everywhere=True) if each.startswith(NAME)}
    assert {each.split(".")[1] for each in own} <= {"hub", "space_app"}
