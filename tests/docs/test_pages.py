"""The pages of the documentation agree with the code, and their links and examples work."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from huggingface_hub import HfApi

import airflow_provider_hfspaces
from airflow_provider_hfspaces.compat.imports import AIRFLOW_VERSION, BaseOperator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from scripts import sync_docs
from tests.conftest import ROOT
from tests.docs.pages import (
    DOCS,
    PAGES,
    TEXTS,
    blocks,
    broken_links,
    links,
    name,
    navigation,
    table,
    texts_in_code,
    undefined_names,
)

WORDS = re.compile(r"`(\w+)(?:\([^`]*)?`")


def test_every_page_is_in_the_navigation_once() -> None:
    assert sorted(navigation()) == sorted(path.stem for path in PAGES if path.stem != "index")


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_every_internal_link_has_a_target(path: Path) -> None:
    assert broken_links(path) == []


def test_a_link_without_a_target_is_detected(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n\n[a](#title) [b](#elsewhere) [c](missing.md) [d](ftp://host) [e](https://host)\n"
    )
    assert broken_links(page) == ["#elsewhere", "missing.md", "ftp://host"]


@pytest.mark.parametrize("path", sync_docs.PAGES, ids=name)
def test_the_generated_code_and_tables_of_a_page_are_up_to_date(path: Path) -> None:
    assert path.read_text("utf-8") == sync_docs.synced(path), "run 'make sync-docs'"


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_a_page_is_readable_without_a_site_generator(path: Path) -> None:
    assert [kind for kind, _ in blocks(path) if kind.startswith("{")] == []


@pytest.mark.parametrize("path", sorted((ROOT / "example_dags").glob("*.py")), ids=name)
def test_every_marked_part_of_an_example_is_closed_and_complete(path: Path) -> None:
    text = path.read_text("utf-8")
    for mark in re.findall(r"# \[(?:START|END) (\w+)\]", text):
        compile(sync_docs.completed(text, sync_docs.part(text, mark)), name(path), "exec")


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_every_python_block_compiles(path: Path) -> None:
    for kind, body in blocks(path):
        if kind == "python":
            compile(body, name(path), "exec")


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_name_that_a_python_block_uses_is_defined_on_its_page(path: Path) -> None:
    assert undefined_names(path) == []


def test_a_name_that_no_block_defines_is_detected(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nimport json\n\njson.dumps(report)\n```\n", "utf-8")
    assert undefined_names(page) == ["report"]


@pytest.fixture
def my_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module of the reader's own tasks, which pages import."""
    module = ModuleType("my_tasks")
    for task_id in ("batch", "compare", "evaluate", "publish"):
        setattr(module, task_id, own_task(task_id))
    monkeypatch.setitem(sys.modules, "my_tasks", module)


def own_task(task_id: str) -> Any:
    from airflow.sdk import task

    def work() -> None: ...

    return task(task_id=task_id)(work)


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 2), reason="the pages show code for the newest Airflow")
@pytest.mark.usefixtures("my_tasks")
@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_dag_on_a_page_can_be_parsed(path: Path) -> None:
    for kind, body in blocks(path):
        if kind == "python" and "with DAG(" in body:
            exec(compile(body, name(path), "exec"), {})


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_every_name_that_a_python_block_imports_from_the_package_exists(path: Path) -> None:
    """Other packages are not checked, since their contents depend on the version of Airflow."""
    for kind, body in blocks(path):
        for node in ast.walk(ast.parse(body if kind == "python" else "")):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "airflow_provider_hfspaces"
            ):
                module = import_module(node.module or "")
                assert [each.name for each in node.names if not hasattr(module, each.name)] == []


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_every_module_that_a_python_block_imports_from_the_package_is_in_the_reference(path: Path) -> None:
    imported = {
        node.module or ""
        for kind, body in blocks(path)
        for node in ast.walk(ast.parse(body if kind == "python" else ""))
        if isinstance(node, ast.ImportFrom)
    }
    ours = {module for module in imported if module.startswith("airflow_provider_hfspaces")}
    assert sorted(ours - in_reference()) == []


def test_every_file_that_contributing_names_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    paths = re.findall(r"`((?:[\w.]+/)+[\w.]*|\w+\.py)`", text)
    assert len(paths) > 60
    roots = (ROOT, ROOT / "airflow_provider_hfspaces")
    made_by_targets = {"dist/"}
    assert (
        sorted(
            each for each in set(paths) - made_by_targets if not any((root / each).exists() for root in roots)
        )
        == []
    )


def test_a_table_of_parameters_leaves_out_what_the_class_sets_itself() -> None:
    from airflow_provider_hfspaces.sensors.spaces import SpaceHealthySensor, SpaceStageSensor

    def shown(cls: type[Any]) -> set[str]:
        return {parameter for parameter, *_ in sync_docs.parameters(cls)}

    assert shown(SpaceStageSensor) - shown(SpaceHealthySensor) == {"stages"}
    assert "health" not in shown(SpaceHealthySensor)


def test_a_parameter_that_is_rendered_without_a_template_field_counts_as_templated() -> None:
    from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

    templated = {parameter for parameter, _, yes, _ in sync_docs.parameters(SpaceHardwareTaskGroup) if yes}
    assert {"hardware", "max_run_cost", "sha"} <= templated
    assert not templated & {"timeout", "restore", "lease"}


def test_every_error_on_the_troubleshooting_page_exists_in_the_code() -> None:
    texts, page = texts_in_code(), DOCS / "troubleshooting.md"
    excerpts = [body for kind, body in blocks(page) if kind == "text"]
    assert len(excerpts) == page.read_text("utf-8").count("```text\n") > 0
    quotes = [line for body in excerpts for line in body.strip().splitlines()]
    assert [text for text in quotes if not any(matches(parts, text) for parts in texts)] == []


def test_an_error_that_the_code_does_not_contain_is_detected() -> None:
    texts = texts_in_code()
    assert not any(matches(parts, "There is no connection …: buy one.") for parts in texts)


def test_every_kind_of_error_is_explained() -> None:
    from airflow_provider_hfspaces.hub import errors

    kinds = {
        each
        for each, kind in vars(errors).items()
        if each in errors.__all__ and isinstance(kind, type) and not issubclass(kind, errors.InvalidInput)
    } - {"HubError", "RegisteredError", "SpaceWaitError"}
    explained_errors = {
        WORDS.findall(row[0])[0] for row in table(DOCS / "troubleshooting.md", "Which exception")
    }
    assert explained_errors == kinds | {"InvalidInput"}


def matches(parts: list[str], text: str) -> bool:
    """Returns True if a string of the code can produce this text, in which … stands for any value."""
    pattern = "".join(part if part != "\0" else "…" for part in parts) if "\0" in parts else "…".join(parts)
    fragments = [each.strip() for each in re.split(r"…", text) if each.strip(" .;:,")]
    where = 0
    for fragment in fragments:
        at = pattern.find(fragment.rstrip(".;:") if fragment is fragments[-1] else fragment, where)
        if at < 0:
            return False
        where = at + len(fragment)
    return bool(fragments)


def declared_modules(*kinds: str) -> set[str]:
    """The modules of these kinds in the provider info."""
    info = airflow_provider_hfspaces.get_provider_info()
    return {
        module
        for kind in kinds
        for each in info[kind]
        if isinstance(each, dict)
        for module in each["python-modules"]
    }


def in_reference() -> set[str]:
    """The modules that the reference lists."""
    text = (DOCS / "reference.md").read_text("utf-8")
    return set(re.findall(r"^\| \[`(airflow_provider_hfspaces[\w.]*)`\]", text, re.MULTILINE))


def operators() -> set[str]:
    """The class names of all operators and sensors."""
    return {
        each
        for module in map(import_module, declared_modules("operators", "sensors"))
        for each in module.__all__
        if issubclass(getattr(module, each), BaseOperator)
    }


@pytest.mark.parametrize("page", ["README.md", "docs/operators.md"])
def test_every_operator_and_notifier_is_documented(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    notifiers = {
        each.rpartition(".")[2] for each in airflow_provider_hfspaces.get_provider_info()["notifications"]
    }
    assert sorted(each for each in operators() | notifiers if not re.search(rf"\b{each}\b", text)) == []


def test_every_operator_and_sensor_is_in_some_example_dag() -> None:
    examples = "\n".join(path.read_text("utf-8") for path in (ROOT / "example_dags").glob("*.py"))
    assert sorted(each for each in operators() if not re.search(rf"\b{each}\b", examples)) == []


def test_every_public_module_is_in_the_reference() -> None:
    reference = set(
        re.findall(r"airflow_provider_hfspaces[.\w]+", (DOCS / "reference.md").read_text("utf-8"))
    )
    public_modules = declared_modules("operators", "sensors", "triggers", "hooks")
    public_modules |= {
        each.rpartition(".")[0] for each in airflow_provider_hfspaces.get_provider_info()["notifications"]
    }
    public_modules |= {
        f"airflow_provider_hfspaces.{each}"
        for each in (
            "assets",
            "emulator",
            "hub.calls",
            "hub.errors",
            "links",
            "require",
            "task_groups.copies",
            "task_groups.hardware",
        )
    }
    assert sorted(public_modules - reference) == []
    assert [
        each for each in reference if importlib.util.find_spec(each.removesuffix(".Moment")) is None
    ] == []


def test_the_calls_of_the_migration_page_exist_on_both_sides() -> None:
    method_names = set()
    for theirs, ours, operator in table(DOCS / "migration.md", "Call by call"):
        for call in WORDS.findall(theirs):
            method_names.add(call)
            assert hasattr(HfApi, call) or "before 2.0" in theirs, call
        for method in WORDS.findall(ours):
            assert hasattr(HfSpacesHook, method), method
        assert {each for each in WORDS.findall(operator) if each not in operators()} == set()
    assert {
        each for each in vars(HfApi) if "space" in each and not each.startswith("_")
    } - method_names == set()


def test_the_readme_fits_on_one_page() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 160


def test_the_readme_says_how_to_install_from_a_checkout_and_from_a_wheel() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert "`pip install .`" in text
    assert "`pip install dist/*.whl`" in text


def test_the_first_steps_lead_into_airflows_ui() -> None:
    path = DOCS / "start.md"
    assert "*Browse* → *Hugging Face Spaces*" in path.read_text("utf-8")
    assert "ui.md" in links(path)
