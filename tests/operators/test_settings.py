"""Operators on secrets, variables, storage tiers and volumes."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.operators.settings import (
    AddSecretOperator,
    AddVariableOperator,
    DeleteSecretOperator,
    DeleteVariableOperator,
)
from airflow_provider_hfspaces.operators.storage import (
    DeleteStorageOperator,
    DeleteVolumesOperator,
    RequestStorageOperator,
    SetVolumesOperator,
)
from tests.airflow_tools import Try
from tests.conftest import TaskLog
from tests.operators.test_hardware import changes

SPACE = "acme/whisper"
PUBLIC_BY_MISTAKE = "tok-987654"
VOLUME = {"type": "bucket", "source": "acme/data", "mount_path": "/data"}


def test_a_secret_is_added_and_deleted(hub: HubEmulator, task_log: TaskLog) -> None:
    space = hub.add_space(SPACE)
    add = AddSecretOperator(
        task_id="add", repo_id=SPACE, key="KEY", value="s3cr3t-value", description="for x"
    )
    run = Try()
    assert run.run(add) is None
    assert space.secrets == {"KEY": "s3cr3t-value"}
    assert changes(hub) == [("secrets", {"key": "KEY", "value": "s3cr3t-value", "description": "for x"})]
    for _ in range(2):
        Try().run(DeleteSecretOperator(task_id="delete", repo_id=SPACE, key="KEY"))
    assert space.secrets == {}
    assert changes(hub)[-1] == ("secrets", {"key": "KEY"})
    assert "s3cr3t" not in task_log.text
    assert "s3cr3t" not in str(run.ti.xcoms)
    assert "value" not in add.template_fields


def test_a_variable_is_added_and_deleted(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, variables={"A": {"key": "A", "value": "1"}})
    add = AddVariableOperator(task_id="add", repo_id=SPACE, key="B", value="2", description="second")
    variables = Try().run(add)
    assert {key: each["value"] for key, each in variables.items()} == {"A": "1", "B": "2"}
    assert variables["B"]["description"] == "second"
    remaining = Try().run(DeleteVariableOperator(task_id="delete", repo_id=SPACE, key="A"))
    assert set(remaining) == {"B"}
    assert space.variables == {"B": "2"}


def test_the_value_of_a_variable_with_a_secrets_name_is_hidden(hub: HubEmulator, task_log: TaskLog) -> None:
    space = hub.add_space(SPACE)
    run = Try()
    result = run.run(
        AddVariableOperator(task_id="add", repo_id=SPACE, key="API_TOKEN", value=PUBLIC_BY_MISTAKE)
    )
    assert result["API_TOKEN"]["value"] == "***"
    assert space.variables == {"API_TOKEN": PUBLIC_BY_MISTAKE}
    assert "Use AddSecretOperator instead" in task_log.text
    assert PUBLIC_BY_MISTAKE not in task_log.text + str(run.ti.xcoms)


@pytest.mark.parametrize("key", ["", "A-B"])
@pytest.mark.parametrize("kind", [AddSecretOperator, AddVariableOperator])
def test_a_bad_key_is_refused(hub: HubEmulator, kind: Any, key: str) -> None:
    hub.add_space(SPACE)
    with pytest.raises(AirflowFailException, match="key"):
        Try().run(kind(task_id="add", repo_id=SPACE, key=key, value="v"))
    assert hub.requests == []


def test_volumes_are_mounted_and_unmounted(hub: HubEmulator) -> None:
    for body in ("volumes", "empty", "runtime"):
        hub.settings.volumes_body = body
        space = hub.add_space(f"acme/{body}")
        assert Try().run(SetVolumesOperator(task_id="set", repo_id=space.repo_id, volumes=[VOLUME])) is None
        assert space.volumes == [
            {"type": "bucket", "source": "acme/data", "mountPath": "/data", "readOnly": False}
        ]
        for _ in range(2):
            Try().run(DeleteVolumesOperator(task_id="delete", repo_id=space.repo_id))
        assert space.volumes == []
        assert [name for name, _ in changes(hub)].count("volumes") == 2
        hub.world.requests.clear()


def test_a_volume_that_is_not_valid_is_refused(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    with pytest.raises(AirflowFailException, match="mount_path of a volume must begin with"):
        Try().run(
            SetVolumesOperator(task_id="set", repo_id=SPACE, volumes=[{**VOLUME, "mount_path": "data"}])
        )
    assert hub.requests == []


@pytest.mark.parametrize("refusal", ["retired", "gone", "bad_request"])
def test_the_error_for_a_refused_storage_tier_names_volumes(hub: HubEmulator, refusal: str) -> None:
    hub.settings.storage = refusal
    hub.add_space(SPACE)
    for operator in (
        RequestStorageOperator(task_id="ask", repo_id=SPACE, storage="small"),
        DeleteStorageOperator(task_id="delete", repo_id=SPACE),
    ):
        with pytest.raises(AirflowFailException, match="SetVolumesOperator"):
            Try().run(operator)


def test_a_storage_tier_is_requested_and_deleted_if_the_hub_still_offers_it(hub: HubEmulator) -> None:
    hub.settings.storage = "works"
    hub.add_space(SPACE)
    ask = RequestStorageOperator(task_id="ask", repo_id=SPACE, storage="medium")
    assert Try().run(ask)["storage"] == "medium"
    assert Try().run(DeleteStorageOperator(task_id="delete", repo_id=SPACE))["storage"] is None


def test_an_unknown_storage_tier_is_refused(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    with pytest.raises(AirflowFailException, match="small, medium, large"):
        Try().run(RequestStorageOperator(task_id="ask", repo_id=SPACE, storage="huge"))
    assert hub.requests == []
