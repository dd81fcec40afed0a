"""Everything of this package that Airflow keeps in its database, made with plain arguments."""

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
    "author": "acme",
    "owner": "acme",
    "path": "reports/spaces.html",
}
"""For every parameter that has no default, by its name."""

_BESIDES: dict[str, dict[str, Any]] = {
    "SpaceEventTrigger": {"stages": ["RUNTIME_ERROR"]},
    "LeaseTrigger": {"owner": {"dag_id": "dag", "run_id": "run", "task_id": "snapshot", "restore_tasks": []}},
}
"""Arguments of one class: not all of those with a default may be left out, or a name means something else."""


def plain_arguments(kind: type) -> dict[str, Any]:
    """What a class cannot do without."""
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
            assert name in _ARGUMENTS, f"say in {__file__} what {kind.__name__} gets as {name}"
            needed.setdefault(name, _ARGUMENTS[name])
    while filled_in := _filled_in(kind, needed):
        del needed[filled_in]
    needed.pop("task_id", None)
    return needed


def _filled_in(kind: type, arguments: dict[str, Any]) -> str | None:
    """An argument of a base's that the class itself fills in."""
    try:
        kind(**arguments)
    except TypeError as error:
        twice = re.search(r"multiple values for keyword argument '(\w+)'", str(error))
        if not twice:
            raise
        return twice[1]
    return None


def operator_classes() -> list[type]:
    """All operators and sensors that the provider tells Airflow of."""
    return [
        kind
        for section in ("operators", "sensors")
        for kind in _classes(section)
        if issubclass(kind, BaseOperator) and not inspect.isabstract(kind)
    ]


def trigger_classes() -> list[type]:
    """All triggers that the provider tells Airflow of."""
    from airflow.triggers.base import BaseTrigger

    return [kind for kind in _classes("triggers") if issubclass(kind, BaseTrigger)]


def _classes(section: str) -> list[type]:
    modules = [module for entry in get_provider_info()[section] for module in entry["python-modules"]]
    found = [
        getattr(import_module(module), name) for module in modules for name in import_module(module).__all__
    ]
    return [kind for kind in found if inspect.isclass(kind)]


def dag_of_everything() -> Any:
    """A DAG with each operator once as it is and, where it takes a Space, once mapped over two."""
    arguments_of = {kind: plain_arguments(kind) for kind in operator_classes()}
    with DAG(dag_id="dag_of_everything", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        for kind, arguments in arguments_of.items():
            kind(task_id=f"plain-{kind.__name__}", **arguments)
            over = "repo_id" if "repo_id" in arguments else "from_id"
            if over in arguments:
                rest = {name: value for name, value in arguments.items() if name not in ("repo_id", over)}
                mapped: Any = kind
                mapped.partial(
                    task_id=f"mapped-{kind.__name__}", map_index_template="{{ task.repo_id }}", **rest
                ).expand(**{over: ["acme/a", "acme/b"]})
    return dag
