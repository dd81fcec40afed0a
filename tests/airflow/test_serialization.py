"""Operators, sensors, triggers and assets survive the serialization that Airflow uses for its database."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3, AIRFLOW_VERSION
from airflow_provider_hfspaces.links import SpaceLink, SpaceLogsLink
from tests.airflow.everything import (
    dag_of_everything,
    operator_classes,
    plain_arguments,
    trigger_classes,
)

pytestmark = pytest.mark.usefixtures("airflow_db")

LINKS = {link.name for link in (SpaceLink, SpaceLogsLink)}


@pytest.fixture(scope="module")
def deserialized_tasks() -> dict[str, Any]:
    """The tasks of a DAG with every operator, as the scheduler and the API server read them, by task id."""
    read = _serializer().from_dict(serialized_dag(dag_of_everything()))
    return {task.task_id: task for task in read.tasks}


def serialized_dag(dag: Any) -> Any:
    """A DAG as Airflow stores it."""
    return json.loads(json.dumps(_serializer().to_dict(dag)))


def _serializer() -> Any:
    objects = import_module("airflow.serialization.serialized_objects")
    return getattr(objects, "DagSerialization", None) or objects.SerializedDAG


def _task(deserialized_tasks: dict[str, Any], kind: type, how: str) -> Any:
    return deserialized_tasks[f"{how}-{kind.__name__}"]


def _without_tuples(value: Any) -> Any:
    """A tuple as a list, since JSON has no tuples."""
    return list(value) if isinstance(value, tuple) else value


def _is_mapped(task: Any) -> bool:
    return bool(getattr(task, "is_mapped", type(task).__name__ == "MappedOperator"))


@pytest.mark.parametrize("kind", operator_classes(), ids=lambda kind: kind.__name__)
def test_a_deserialized_operator_has_its_fields_links_and_colour(
    kind: Any, deserialized_tasks: dict[str, Any]
) -> None:
    task = _task(deserialized_tasks, kind, "plain")
    assert task.task_type == kind.__name__
    assert tuple(task.template_fields) == tuple(kind.template_fields)
    assert (task.ui_color, task.ui_fgcolor) == (kind.ui_color, kind.ui_fgcolor)
    original = kind(task_id="original", **plain_arguments(kind))
    for field in kind.template_fields:
        assert _without_tuples(getattr(task, field)) == _without_tuples(getattr(original, field)), field
    assert set(task.extra_links) == {link.name for link in kind.operator_extra_links}
    assert not _is_mapped(task)


@pytest.mark.parametrize(
    "kind",
    [kind for kind in operator_classes() if {"repo_id", "from_id"} & plain_arguments(kind).keys()],
    ids=lambda kind: kind.__name__,
)
def test_a_deserialized_mapped_operator_is_mapped_and_has_its_links(
    kind: Any, deserialized_tasks: dict[str, Any]
) -> None:
    task = _task(deserialized_tasks, kind, "mapped")
    assert _is_mapped(task)
    assert tuple(task.template_fields) == tuple(kind.template_fields)
    assert set(task.extra_links) == {link.name for link in kind.operator_extra_links} >= LINKS


@pytest.mark.parametrize("kind", trigger_classes(), ids=lambda kind: kind.__name__)
def test_a_stored_trigger_is_encrypted_and_read_back_unchanged(kind: Any) -> None:
    from airflow.models.trigger import Trigger

    trigger = kind(**plain_arguments(kind))
    row = Trigger.from_object(trigger)
    assert "acme/whisper" not in row.encrypted_kwargs
    module, _, name = row.classpath.rpartition(".")
    again = getattr(import_module(module), name)(**row.kwargs)
    assert isinstance(again, kind)
    assert again.serialize() == trigger.serialize()


@pytest.mark.skipif(not AIRFLOW_3, reason="asset watchers need Airflow 3")
def test_a_deserialized_asset_has_its_watcher_and_trigger() -> None:
    from datetime import datetime

    from airflow.sdk import DAG, AssetWatcher

    from airflow_provider_hfspaces.assets import space_asset
    from airflow_provider_hfspaces.triggers.events import SpaceEventTrigger

    trigger = SpaceEventTrigger(repo_id="acme/whisper", stages=["RUNTIME_ERROR"])
    asset = space_asset("acme/whisper", watchers=[AssetWatcher(name="broken", trigger=trigger)])
    dag = DAG(dag_id="watched", schedule=[asset], start_date=datetime(2026, 1, 1))
    text = json.dumps(_serializer().to_dict(dag))
    read = _serializer().from_dict(json.loads(text))
    (condition,) = [each for _, each in read.timetable.asset_condition.iter_assets()]
    assert condition.uri == "hf-space://acme/whisper"
    (watcher,) = condition.watchers
    path, arguments = trigger.serialize()
    serialized = (
        watcher.trigger
        if isinstance(watcher.trigger, dict)
        else dict(zip(("classpath", "kwargs"), watcher.trigger.serialize(), strict=True))
    )
    assert serialized["classpath"] == path
    assert serialized["kwargs"] == arguments


@pytest.mark.skipif(
    AIRFLOW_VERSION < (3, 3),
    reason="older versions of Airflow serialize the arguments of triggers differently",
)
def test_the_arguments_of_every_trigger_survive_airflows_serialization() -> None:
    from airflow.sdk.serde import deserialize, serialize

    for kind in trigger_classes():
        _, arguments = kind(**plain_arguments(kind)).serialize()
        assert deserialize(json.loads(json.dumps(serialize(arguments)))) == arguments
