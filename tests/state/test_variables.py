"""The Airflow Variables in which the package keeps state: their names, and how often they are looked up."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_hfspaces.state.ledger import Ledger
from airflow_provider_hfspaces.state.retry_store import RetryStore, forget_of_task, retry_store
from airflow_provider_hfspaces.state.variables import unique_variable_name, variable_name
from tests.airflow_variables import AirflowVariables

VALID = re.compile(r"[A-Za-z0-9_-]{1,109}")
"""What Azure Key Vault accepts, after Airflow's own prefix."""

RUN = "scheduled__2026-11-28T06:00:00+00:00"


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> AirflowVariables:
    return AirflowVariables(monkeypatch)


def store(task_id: str = "group.upgrade", try_number: int = 1, map_index: int = -1) -> RetryStore:
    return retry_store(context(task_id, try_number, map_index))


def context(task_id: str, try_number: int = 1, map_index: int = -1) -> dict[str, Any]:
    ti = SimpleNamespace(
        dag_id="nightly.batch", run_id=RUN, task_id=task_id, map_index=map_index, try_number=try_number
    )
    return {"ti": ti}


def test_every_name_is_valid_in_every_secrets_backend(variables: AirflowVariables) -> None:
    long = {"dag_id": "d" * 250, "run_id": RUN + "r" * 200, "task_id": "t" * 250, "map_index": 7}
    for each in (store(), store(map_index=3), retry_store({"ti": SimpleNamespace(**long, try_number=2)})):
        each.set("previous", {"hardware": "t4-small"})
    for name in ("nightly", "eu:nightly.v2", "n" * 200):
        Ledger(name).change({"acme/whisper": {"repo_id": "acme/whisper", "at": 1}})
    assert len(variables) == 6
    assert [name for name in (*variables, *variables.lookups) if not VALID.fullmatch(name)] == [
        "hf_spaces_fleet:nightly",
        "hf_spaces_fleet:eu:nightly.v2",
        f"hf_spaces_fleet:{'n' * 200}",
    ], "only the names of version 0.1 are not"


def test_two_values_never_share_a_name() -> None:
    assert unique_variable_name("kind", "a", "b-c") != unique_variable_name("kind", "a-b", "c")
    assert unique_variable_name("kind", "a:b") != unique_variable_name("kind", "a.b")
    names = {variable_name("hf_spaces_fleet", name) for name in ("a.b", "a:b", "a-b", "n" * 199, "n" * 200)}
    assert len(names) == 5
    assert variable_name("hf_spaces_fleet", "nightly") == "hf_spaces_fleet-nightly"


def test_a_first_try_reads_no_variable(variables: AirflowVariables) -> None:
    first = store("group.first")
    assert first.get("previous") is None
    assert variables.lookups == []
    first.set("previous", {"hardware": "cpu-basic"})
    assert store("group.first").get("previous") == {"hardware": "cpu-basic"}


def test_a_retry_reads_the_record_of_the_first_try_with_one_lookup(variables: AirflowVariables) -> None:
    store().set("previous", {"hardware": "cpu-basic"})
    variables.lookups.clear()
    assert store(try_number=2).get("previous") == {"hardware": "cpu-basic"}
    assert len(variables.lookups) == 1
    store(try_number=2).delete("previous")
    assert variables == {}
    assert store(try_number=3).get("previous") is None


def test_a_restore_deletes_the_record_of_the_upgrade(variables: AirflowVariables) -> None:
    store("group.upgrade", map_index=2).set("previous", {"hardware": "cpu-basic"})
    forget_of_task(context("group.restore", map_index=2), "group.upgrade", 2, "previous")
    assert variables == {}


def test_a_retry_reads_and_deletes_the_record_of_version_0_1(variables: AirflowVariables) -> None:
    old = f"hf_spaces:nightly.batch:{RUN}:group.upgrade:previous"
    variables[old] = '{"hardware": "cpu-basic"}'
    again = store(try_number=2)
    assert again.get("previous") == {"hardware": "cpu-basic"}
    again.delete("previous")
    assert variables == {}


def test_a_ledger_of_version_0_1_is_read_once_and_moved(variables: AirflowVariables) -> None:
    record = {"repo_id": "acme/whisper", "at": 1}
    variables["hf_spaces_fleet:nightly"] = json.dumps({"spaces": [record]})
    ledger = Ledger("nightly")
    assert ledger.read() == {"acme/whisper": record}
    assert list(variables) == ["hf_spaces_fleet-nightly"]
    ledger.change({}, remove={"acme/whisper": record})
    variables.lookups.clear()
    assert Ledger("nightly").read() == {}
    assert variables.lookups == ["hf_spaces_fleet-nightly"]
