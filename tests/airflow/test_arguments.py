"""Arguments from tasks and templates reach the Hub unchanged, and secrets stay secret."""

from __future__ import annotations

import inspect
import json
import sqlite3
from importlib import import_module
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.operators.app import SpaceBatchOperator
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.operators.hardware import RestoreHardwareOperator
from airflow_provider_hfspaces.operators.lifecycle import GetSpaceRuntimeOperator, RestartSpaceOperator
from airflow_provider_hfspaces.operators.settings import AddSecretOperator
from tests.airflow.everything import operator_classes, plain_arguments
from tests.airflow_tools import dag_file, run
from tests.conftest import HOME, TaskLog

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

pytestmark = pytest.mark.usefixtures("airflow_db")

SPACE = "acme/whisper"


def dag_of(name: str) -> Any:
    return getattr(dag_file("arguments"), name)


def run_dag(name: str) -> dict[str, str]:
    return run(dag_of(name))


def stored_fields(dag_id: str) -> str:
    """The rendered fields of a DAG's tasks, as Airflow stores them."""
    with sqlite3.connect(HOME / "airflow.db") as database:
        rows = database.execute(
            "SELECT task_id, rendered_fields FROM rendered_task_instance_fields WHERE dag_id = ?", (dag_id,)
        ).fetchall()
    assert rows
    return str(rows)


def stored_xcoms(dag_id: str, task_id: str) -> str:
    with sqlite3.connect(HOME / "airflow.db") as database:
        return str(
            database.execute(
                "SELECT key, value FROM xcom WHERE dag_id = ? AND task_id = ?", (dag_id, task_id)
            ).fetchall()
        )


def serialized(dag: Any) -> str:
    objects = import_module("airflow.serialization.serialized_objects")
    serializer = getattr(objects, "DagSerialization", None) or objects.SerializedDAG
    return json.dumps(serializer.to_dict(dag))


def test_a_secret_may_be_the_output_of_a_task(hub: HubEmulator, task_log: TaskLog) -> None:
    space = hub.add_space(SPACE)
    dag = dag_of("secret_of_a_task")
    assert dag.get_task("add").upstream_task_ids == {"make_secret"}
    assert set(run(dag).values()) == {"success"}
    assert space.secrets == {"KEY": "very-s3cr3t"}
    assert "s3cr3t" not in stored_fields("secret_of_a_task") + stored_xcoms("secret_of_a_task", "add")


def test_mapped_secrets_may_be_the_output_of_a_task(hub: HubEmulator) -> None:
    spaces = [hub.add_space(f"acme/{number}") for number in (1, 2)]
    assert set(run_dag("secrets_of_a_task").values()) == {"success"}
    assert [space.secrets for space in spaces] == [{"KEY": "very-s3cr3t-1"}, {"KEY": "very-s3cr3t-2"}]
    assert "s3cr3t" not in stored_fields("secrets_of_a_task")


def test_the_output_of_a_task_is_not_rendered_as_a_template(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    assert set(run_dag("secrets_with_braces").values()) == {"success"}
    braces = "{{ 7 * 7 }}"
    assert space.secrets == {"ONE": braces, "TWO": braces, "THREE": braces, "FOUR": "49"}


def test_mapped_tasks_may_share_the_output_of_a_task_as_their_secret(hub: HubEmulator) -> None:
    spaces = [hub.add_space(f"acme/{number}") for number in (1, 2)]
    dag = dag_of("shared_secret_of_a_task")
    assert dag.get_task("add").upstream_task_ids == {"make_secret"}
    assert set(run(dag).values()) == {"success"}
    assert [space.secrets for space in spaces] == [{"KEY": "very-s3cr3t"}] * 2


def test_a_secret_may_be_an_argument_of_a_mapped_group(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    assert set(run_dag("secret_of_a_mapped_group").values()) == {"success"}
    assert space.secrets["KEY"].startswith("very-s3cr3t-")
    assert "s3cr3t" not in stored_fields("secret_of_a_mapped_group")


def test_secrets_of_a_copy_may_be_the_output_of_a_task(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    dag = dag_of("copy_with_secret_of_a_task")
    assert dag.get_task("copy").upstream_task_ids == {"make_secret"}
    assert set(run(dag).values()) == {"success"}
    assert hub.space("acme/copy").secrets == {"KEY": "very-s3cr3t", "PLAIN": "written"}
    assert "s3cr3t" not in stored_fields("copy_with_secret_of_a_task")


def test_the_serialized_dag_holds_no_secret() -> None:
    dag = dag_of("copy_with_secret_of_a_task")
    assert "written" not in serialized(dag)


@pytest.mark.parametrize(
    "operator",
    [
        lambda: AddSecretOperator.partial(task_id="add", key="KEY", value="written"),
        lambda: AddSecretOperator.partial(task_id="add", key="KEY").expand(value=["written"]),
        lambda: AddSecretOperator.partial(task_id="add", key="KEY").expand_kwargs([{"value": "written"}]),
        lambda: DuplicateSpaceOperator.partial(task_id="add", secrets={"KEY": "written"}),
        lambda: DuplicateSpaceOperator.partial(
            task_id="add", secrets=[{"key": "KEY", "value": "written", "description": "plain"}]
        ),
    ],
    ids=["partial", "expand", "expand_kwargs", "a mapping", "a list"],
)
def test_a_mapped_secret_that_is_written_out_is_refused_without_showing_it(operator: Any) -> None:
    with dag_of("named_copies"), pytest.raises(ValueError, match="'add' is written out in") as refusal:
        operator()
    assert "'written'" not in str(refusal.value)


@pytest.mark.parametrize(
    ("operator", "name"),
    [
        (lambda value: RestoreHardwareOperator(task_id="t", from_task="s", pause=value), "pause"),
        (lambda value: RestoreHardwareOperator(task_id="t", from_task="s", wait=value), "wait"),
        (lambda value: RestartSpaceOperator(task_id="t", wait=value), "wait"),
        (lambda value: RestartSpaceOperator(task_id="t", factory_reboot=value), "factory_reboot"),
    ],
)
def test_the_output_of_a_task_is_refused_by_name_where_a_plain_value_is_needed(
    operator: Any, name: str
) -> None:
    with (
        DAG("needs_plain_values", schedule=None, default_args={"repo_id": SPACE}),
        pytest.raises(ValueError, match=rf"^{name} of .*'t' comes from a task.*pass a plain value"),
    ):
        operator(GetSpaceRuntimeOperator(task_id="source", repo_id=SPACE).output)


def test_a_mapped_secret_may_be_a_template(hub: HubEmulator) -> None:
    with dag_of("named_copies") as dag:
        AddSecretOperator.partial(task_id="add", key="KEY", value="{{ var.value.secret }}").expand(
            repo_id=["acme/1", "acme/2"]
        )
    assert "add" in dag.task_ids


def test_each_mapped_copy_is_labelled_with_the_space_it_is_mapped_over(hub: HubEmulator) -> None:
    for space in (SPACE, "lab/a", "lab/b"):
        hub.add_space(space)
    assert set(run_dag("named_copies").values()) == {"success"}
    with sqlite3.connect(HOME / "airflow.db") as database:
        names = database.execute(
            "SELECT task_id, rendered_map_index FROM task_instance "
            "WHERE dag_id = 'named_copies' AND map_index >= 0"
        ).fetchall()
    assert set(names) == {
        ("copy", "acme/one"),
        ("copy", "acme/two"),
        ("copy_of", "lab/a"),
        ("copy_of", "lab/b"),
    }


def test_restore_takes_the_output_of_the_snapshot(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    dag = dag_of("restored_from_output")
    assert dag.get_task("restore").from_task == "snapshot"
    assert dag.get_task("restore").upstream_task_ids == {"snapshot"}
    assert set(run(dag).values()) == {"success"}


NEEDED: dict[str, dict[str, Any]] = {"retry_capacity_until": {"retry_capacity_after": 60}}
"""What a parameter needs besides itself."""


def own_parameters(kind: type) -> set[str]:
    """The parameters of an operator that this package defines."""
    return {
        name
        for base in kind.__mro__
        if base.__module__.startswith("airflow_provider_hfspaces") and "__init__" in vars(base)
        for name, parameter in inspect.signature(vars(base)["__init__"]).parameters.items()
        if name != "self" and parameter.kind is parameter.KEYWORD_ONLY
    }


@pytest.mark.parametrize("kind", operator_classes(), ids=lambda kind: kind.__name__)
def test_every_argument_accepts_the_output_of_a_task_or_refuses_it_at_parse_time(kind: Any) -> None:
    arguments = plain_arguments(kind)
    argument_names = set(kind.template_fields) | set(getattr(kind, "secret_fields", ())) | {"from_task"}
    argument_names |= set(getattr(kind, "renamed_arguments", ()))
    with dag_of("secret_of_a_task") as dag:
        output = dag.get_task("make_secret").output
        for number, name in enumerate(sorted(own_parameters(kind))):
            options = {**arguments, **NEEDED.get(name, {}), name: output, "task_id": f"task_{number}"}
            if name in argument_names:
                assert "make_secret" in kind(**options).upstream_task_ids, name
            else:
                with pytest.raises((ValueError, TypeError)):
                    kind(**options)


def test_a_mapped_batch_follows_the_task_whose_output_is_its_folder() -> None:
    with dag_of("secret_of_a_task") as dag:
        output = dag.get_task("make_secret").output
        batch = SpaceBatchOperator.partial(task_id="batch", api="/predict", items=["a"], output=output)
        assert batch.expand(repo_id=[SPACE]).upstream_task_ids == {"make_secret"}


def test_text_stays_text_under_native_rendering(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    assert set(run_dag("native_text").values()) == {"success"}
    assert space.variables == {
        "NUMBER": "007",
        "FLOAT": "1e3",
        "QUOTED": "'quoted'",
        "PORT": "7860",
        "MAPPED": "1e3",
    }
    assert space.secrets == {"JSON": '{"a": 1}', "DIGITS": "7860"}
    assert space.volumes[0]["revision"] == "1234567"
    copy = hub.space("acme/copy")
    assert (copy.variables["ONE"], copy.secrets) == ("1", {"TWO": "2"})


def test_the_inputs_of_a_call_stay_text_under_native_rendering(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    assert set(run_dag("native_call").values()) == {"success"}
    calls = [request.json["data"] for request in space.app_requests if request.method == "POST"]
    assert calls == [["007"], ["007"]]


def test_one_template_may_return_all_variables_or_secrets(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    assert set(run_dag("text_of_structures").values()) == {"success"}
    copy = hub.space("acme/copy")
    assert (copy.variables, copy.secrets) == ({"ONE": "1"}, {"TWO": "2"})
