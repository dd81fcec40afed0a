"""Helpers for tests: connections, task contexts and whole DAG runs."""

from __future__ import annotations

import asyncio
import copy
import json
import uuid
from collections.abc import Callable
from functools import cached_property, partial
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

from airflow_provider_hfspaces.emulator import HubEmulator


def in_another_process(operator: Any) -> Any:
    """Copy an operator as another process has it: with its arguments, without the state of its run."""
    fresh = copy.copy(operator)
    for name, value in [(name, getattr(type(operator), name, None)) for name in vars(operator)]:
        if isinstance(value, cached_property):
            del fresh.__dict__[name]
    return fresh


def connection(hub: HubEmulator | str, token: str | None = None, **extra: Any) -> str:
    """An ``hf_spaces`` connection in the JSON form of Airflow's environment variables."""
    host, password = (hub, token) if isinstance(hub, str) else (hub.url, token or hub.token)
    fields = {"conn_type": "hf_spaces", "host": host, "password": password}
    if extra:
        fields["extra"] = json.dumps(extra)
    return json.dumps(fields)


class FakeTaskInstance:
    """The part of a task instance that operators use."""

    def __init__(self, task_id: str = "task", map_index: int = -1) -> None:
        self.dag_id, self.run_id, self.task_id, self.map_index = "dag", "run", task_id, map_index
        self.xcoms: dict[tuple[str, str], Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        json.dumps(value)
        self.xcoms[self.task_id, key] = value

    def xcom_pull(self, task_ids: str, key: str = "return_value", map_indexes: int = -1) -> Any:
        return self.xcoms.get((task_ids, key)) if map_indexes == -1 else None


class FakeStore:
    """A store whose values survive a failed try."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


class Try:
    """The tries of one task instance: each try keeps the store and clears the XComs of the task.

    :param dag: the operators of a DAG, for operators that look each other up; each has its own store.
    """

    def __init__(self, *dag: Any) -> None:
        self.store = FakeStore()
        self.ti = FakeTaskInstance()
        self.dag = SimpleNamespace(tasks=dag, task_ids=[task.task_id for task in dag]) if dag else None
        self.stores: dict[str, FakeStore] = {}

    def run(self, operator: Any, **context: Any) -> Any:
        self.ti.task_id = operator.task_id
        for key in [key for key in self.ti.xcoms if key[0] == operator.task_id]:
            del self.ti.xcoms[key]
        result = operator.execute({**self.context(operator), **context})
        if result is not None:
            self.ti.xcom_push("return_value", result)
        return result

    def context(self, operator: Any) -> Any:
        """The context that Airflow passes to the operator."""
        store = self.stores.setdefault(operator.task_id, FakeStore()) if self.dag else self.store
        return {"ti": self.ti, "task_state_store": store, "dag": self.dag}

    def run_deferred(self, operator: Any, meanwhile: Callable[[], Any] = lambda: None) -> Any:
        """Run an operator that defers, its trigger as Airflow stores it, and the method that resumes it.

        :param meanwhile: called after the operator has deferred, before the trigger runs.
        """
        deferred = self.deferral(operator)
        meanwhile()
        event = first_event(reload_trigger(deferred.trigger))
        fresh = in_another_process(operator)
        method = getattr(fresh, deferred.method_name)
        context = self.context(operator)
        assert not deferred.kwargs, "dag.test() passes only the event"
        return method(context, event)

    def run_to_end(self, make: Callable[[], Any], meanwhile: Callable[[], Any] = lambda: None) -> Any:
        """Run an operator, and continue after each deferral with a new operator, as in another process.

        :param make: returns the operator, as the DAG file does in each process.
        :param meanwhile: called after each deferral, before the trigger runs.
        """
        operator = make()
        action = partial(self.run, operator)
        while True:
            try:
                result = action()
            except BaseException as raised:
                if type(raised).__name__ != "TaskDeferred":
                    raise
                deferred: Any = raised
            else:
                if result is not None:
                    self.ti.xcom_push("return_value", result)
                return result
            assert not deferred.kwargs, "dag.test() passes only the event"
            meanwhile()
            event = first_event(reload_trigger(deferred.trigger))
            operator = make()
            action = partial(getattr(operator, deferred.method_name), self.context(operator), event)

    def deferral(self, operator: Any) -> Any:
        """The exception with which an operator defers."""
        return self._deferral(lambda: self.run(operator))

    def deferral_after(self, operator: Any, method: str, event: Any) -> Any:
        """The exception with which an operator defers again when it resumes after an event."""
        return self._deferral(lambda: getattr(operator, method)(self.context(operator), event))

    def _deferral(self, action: Callable[[], Any]) -> Any:
        try:
            action()
        except BaseException as raised:
            if type(raised).__name__ == "TaskDeferred":
                return raised
            raise
        raise AssertionError("the operator did not defer")

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        return self.ti.xcoms.get((task_id, key))


def reload_trigger(trigger: Any) -> Any:
    """Create a trigger from its serialized arguments, as another process does."""
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    copy = getattr(import_module(module), name)(**json.loads(json.dumps(arguments)))
    assert copy.serialize() == (path, arguments)
    return copy


class OutletEvents:
    """The event of each asset. Not a dict: the assets of Airflow 3.0 cannot be its keys."""

    def __init__(self) -> None:
        self.events: dict[str, Any] = {}

    def __getitem__(self, asset: Any) -> Any:
        return self.events.setdefault(asset.uri, SimpleNamespace(extra={}))


def first_event(trigger: Any) -> Any:
    """The payload of the first event of a trigger, as the task receives it."""

    async def first() -> Any:
        async for event in trigger.run():
            return event.payload
        raise AssertionError("the trigger fired no event")

    return json.loads(json.dumps(asyncio.run(first())))


def dag_file(name: str) -> ModuleType:
    """Import a DAG file of the examples or of the tests anew. Returns the module."""
    import importlib.util

    from tests.conftest import DAGS

    path = DAGS / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"hfspaces_dag_{name}_{uuid.uuid4().hex[:8]}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(dag: Any, conf: dict[str, Any] | None = None) -> dict[str, str]:
    """Run a DAG in this process and return the state of each task, and of the run as ``dag``.

    Polling intervals are shortened so that tests do not wait.
    """
    for task in dag.tasks:
        for name in ("poll_interval", "poke_interval"):
            for holder in (task, getattr(task, "partial_kwargs", None)):
                if isinstance(holder, dict):
                    if name in holder:
                        holder[name] = 0.05
                elif holder is not None and hasattr(holder, name):
                    try:
                        setattr(holder, name, 0.05)
                    except AttributeError:
                        continue
    dag_run = dag.test(run_conf=conf) if conf else dag.test()
    states = {}
    for ti in dag_run.get_task_instances():
        name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
        states[name] = str(getattr(ti.state, "value", ti.state))
    states["dag"] = str(getattr(dag_run.state, "value", dag_run.state))
    return states
