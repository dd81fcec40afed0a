"""One instance of every class whose instances Airflow stores in its database, made with minimal arguments."""

from __future__ import annotations

import inspect
import re
import time
from datetime import datetime
from importlib import import_module
from typing import Any

from airflow_provider_hfspaces import get_provider_info
from airflow_provider_hfspaces.compat.imports import BaseOperator
from airflow_provider_hfspaces.hub.waiting.goal import Goal

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

__all__ = ["dag_of_everything", "operator_classes", "plain_arguments", "trigger_classes"]

_ARGUMENTS: dict[str, Any] = {
    "repo_id": "acme/whisper",
    "from_id": "acme/whisper",
    "from_task": "snapshot",
    "hardware": "t4-small",
    "sleep_time": 3600,
    "key": "NAME",
    "value": "{{ var.value.one }}",
    "storage": "small",
    "volumes": [{"type": "bucket", "source": "acme/data", "mount_path": "/data"}],
    "stages": ["RUNNING", "PAUSED"],
    "goal": Goal(hardware="t4-small"),
    "deadline": time.time() + 3600,
    "started": time.time(),
    "until": time.time() + 3600,
    "max_run_cost": 0.5,
    "requested": ["t4-small"],
    "sightings": [],
    "dag_id": "dag",
    "run_id": "run",
    "closing_task": "gpu.restore",
    "then": {"search": None},
    "author": "acme",
    "owner": "acme",
    "path": "reports/spaces.html",
    "source": "app",
    "sdk": "gradio",
    "to_id": "acme/other",
    "visibility": "public",
    "replicas": 2,
    "enabled": False,
    "items": [{"text": "one"}],
    "output": "batches/one",
    "call": {"api": "/predict", "address": "https://acme-whisper.hf.space/status"},
}
"""A value for every required parameter, by the name of the parameter."""

_BESIDES: dict[str, dict[str, Any]] = {
    "CallSpaceOperator": {"api": "/predict", "inputs": {"text": "one"}},
    "SpaceBatchOperator": {"api": "/predict"},
    "SpaceEventTrigger": {"stages": ["RUNTIME_ERROR"]},
    "LeaseTrigger": {"owner": {"dag_id": "dag", "run_id": "run", "task_id": "snapshot", "restore_tasks": []}},
}
"""Additional arguments of a class, for required combinations and for names with another meaning."""


def plain_arguments(kind: type) -> dict[str, Any]:
    """The required arguments of a class."""
    needed: dict[str, Any] = {"task_id": "task"} if issubclass(kind, BaseOperator) else {}
    needed |= _BESIDES.get(kind.__name__, {})
    for base in kind.__mro__:
        if not base.__module__.startswith("airflow_provider_hfspaces") or "__init__" not in vars(base):
            continue
        for name, parameter in inspect.signature(base.__init__).parameters.items():  # type: ignore[misc]
            if name == "self" or parameter.default is not parameter.empty:
                continue
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                continue
            assert name in _ARGUMENTS, f"add an argument {name} for {kind.__name__} to {__file__}"
            needed.setdefault(name, _ARGUMENTS[name])
    while passed_by_class := _passed_by_class(kind, needed):
        del needed[passed_by_class]
    needed.pop("task_id", None)
    return needed


def _passed_by_class(kind: type, arguments: dict[str, Any]) -> str | None:
    """An argument that the class itself passes to its base class; ``None`` if there are no more."""
    try:
        kind(**arguments)
    except TypeError as error:
        twice = re.search(r"multiple values for keyword argument '(\w+)'", str(error))
        if not twice:
            raise
        return twice[1]
    return None


def operator_classes() -> list[type]:
    """All operators and sensors in the provider info."""
    return [
        kind
        for section in ("operators", "sensors")
        for kind in _classes(section)
        if issubclass(kind, BaseOperator) and not inspect.isabstract(kind)
    ]


def trigger_classes() -> list[type]:
    """All triggers in the provider info."""
    from airflow.triggers.base import BaseTrigger

    return [kind for kind in _classes("triggers") if issubclass(kind, BaseTrigger)]


def _classes(section: str) -> list[type]:
    modules = [module for entry in get_provider_info()[section] for module in entry["python-modules"]]
    members = [
        getattr(import_module(module), name) for module in modules for name in import_module(module).__all__
    ]
    return [kind for kind in members if inspect.isclass(kind)]


def dag_of_everything() -> Any:
    """A DAG with each operator once, and once more mapped over two Spaces if the operator takes a Space."""
    arguments_of = {kind: plain_arguments(kind) for kind in operator_classes()}
    with DAG(dag_id="dag_of_everything", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        for kind, arguments in arguments_of.items():
            kind(task_id=f"plain-{kind.__name__}", **arguments)
            over = "repo_id" if "repo_id" in arguments else "from_id"
            if over in arguments:
                rest = {name: value for name, value in arguments.items() if name not in ("repo_id", over)}
                operator: Any = kind
                operator.partial(
                    task_id=f"mapped-{kind.__name__}", map_index_template="{{ task.repo_id }}", **rest
                ).expand(**{over: ["acme/a", "acme/b"]})
    return dag
