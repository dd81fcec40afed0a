"""A copy is made once, however often the task that makes it is tried."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.errors import HubError, SpaceWaitTimeout
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from tests.airflow_tools import Try, connection
from tests.conftest import TaskLog
from tests.operators.test_hardware import changes, env_connection, lose_next_answer
from tests.stub import Say, StubHub

SPACE = "acme/whisper"
COPY = "acme/copy"


def duplicate(**options: Any) -> DuplicateSpaceOperator:
    return DuplicateSpaceOperator(
        **{"task_id": "copy", "from_id": SPACE, "to_id": COPY, "poll_interval": 0.02, **options}
    )


def test_a_copy_is_private_by_default(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    result = Try().run(duplicate())
    assert result == {"repo_id": COPY, "url": f"{hub.url}/spaces/{COPY}", "created": True}
    assert hub.space(COPY).private
    Try().run(duplicate(to_id="acme/open", private=False))
    assert not hub.space("acme/open").private


def test_a_copy_gets_everything_that_was_passed(hub: HubEmulator) -> None:
    hub.add_space(
        SPACE, variables={"A": {"key": "A", "value": "1"}}, secrets={"S": {"key": "S", "value": "x"}}
    )
    volume = {"type": "bucket", "source": "acme/data", "mountPath": "/data"}
    Try().run(
        duplicate(
            hardware="t4-small",
            sleep_time="360000",
            secrets={"TOKEN": "s3cr3t"},
            variables=[{"key": "B", "value": "2", "description": "second"}],
            volumes=[volume],
            wait=True,
        )
    )
    copy = hub.space(COPY)
    assert (copy.stage, copy.hardware, copy.sleep_time) == ("RUNNING", "t4-small", 360000)
    assert copy.secrets == {"TOKEN": "s3cr3t"}
    assert copy.variables == {"A": "1", "B": "2"}
    assert copy.volumes[0]["source"] == "acme/data"


def test_without_to_id_the_copy_belongs_to_the_tokens_owner(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    assert Try().run(duplicate(to_id=None))["repo_id"] == "alice/whisper"


def test_without_to_id_the_copy_belongs_to_the_connections_namespace(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_space("lab/x")
    hub.add_space(SPACE)
    monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub, namespace="lab"))
    assert Try().run(duplicate(to_id=None))["repo_id"] == "lab/whisper"
    assert Try().run(duplicate(to_id="other"))["repo_id"] == "lab/other"


def test_an_existing_target_fails_the_task_unless_exist_ok_is_set(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    hub.add_space(COPY, hardware="cpu-upgrade")
    with pytest.raises(AirflowFailException, match="already exists, and was not made by this task"):
        Try().run(duplicate())
    assert Try().run(duplicate(exist_ok=True))["created"] is False
    assert changes(hub) == []


@pytest.mark.parametrize("lost_message", ["answer", "request"])
def test_after_a_lost_answer_the_task_finds_out_whether_the_copy_was_made(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, lost_message: str
) -> None:
    hub.add_space(SPACE)
    lose_next_answer(monkeypatch, "/duplicate", took_effect=lost_message == "answer")
    run = Try()
    if lost_message == "answer":
        assert run.run(duplicate())["created"] is True
    else:
        with pytest.raises(HubError, match="not known whether the request took effect"):
            run.run(duplicate())
        assert run.run(duplicate())["created"] is True
    assert len(changes(hub)) == 1
    assert run.store.values == {}


def test_a_retry_after_the_worker_died_finds_the_requested_copy(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    run = Try()
    # What a worker leaves that dies between its request and the answer.
    requested_at = datetime.now(timezone.utc).isoformat()
    run.store.set("duplicate", {"from_id": SPACE, "to_id": COPY, "at": requested_at})
    hub.add_space(COPY, private=True)
    assert run.run(duplicate())["created"] is True
    assert changes(hub) == []
    assert run.store.values == {}


def test_a_retry_after_a_wait_that_failed_waits_for_the_copy_that_was_made(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    tries = Try()
    with pytest.raises(SpaceWaitTimeout):
        tries.run(duplicate(wait=True, timeout=0))
    assert tries.run(duplicate(wait=True))["created"]
    assert tries.store.values == {}
    assert [name for name, _ in changes(hub)] == ["duplicate"]


def test_a_copy_that_was_deleted_meanwhile_is_made_again(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    tries = Try()
    with pytest.raises(SpaceWaitTimeout):
        tries.run(duplicate(wait=True, timeout=0))
    HfSpacesHook().delete_space(COPY)
    assert tries.run(duplicate(wait=True))["created"]
    assert hub.space(COPY).stage == "RUNNING"


def test_a_space_that_is_older_than_the_request_is_not_taken_for_the_copy(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    hub.add_space(COPY)
    run = Try()
    run.store.set("duplicate", {"from_id": SPACE, "to_id": COPY, "at": "2999-01-01T00:00:00+00:00"})
    with pytest.raises(AirflowFailException, match="was not made by this task"):
        run.run(duplicate())


@pytest.mark.parametrize("url", [True, False])
def test_a_copy_that_somebody_else_makes_in_between_is_named_whether_or_not_the_hub_names_its_page(
    hub: HubEmulator, url: bool
) -> None:
    hub.settings.duplicate_conflict_url = url
    hub.add_space(SPACE)
    hub.add_space(COPY)
    # The first look comes before the other Space does.
    hub.faults.add(kind="status", status=404, path=COPY, times=1, message="Repository not found")
    with pytest.raises(AirflowFailException, match=f"^Space {COPY} already exists") as refusal:
        Try().run(duplicate())
    assert "exist_ok=True" in str(refusal.value)
    assert [name for name, _ in changes(hub)] == ["duplicate"]


def test_a_secret_is_rendered_and_masked_everywhere(hub: HubEmulator, task_log: TaskLog) -> None:
    hub.add_space(SPACE)
    operator = duplicate(secrets={"KEY": "{{ 'very-' ~ 's3cr3t' }}"})
    run = Try()
    run.run(operator)
    assert hub.space(COPY).secrets == {"KEY": "very-s3cr3t"}
    assert "very-s3cr3t" not in task_log.text
    assert "very-s3cr3t" not in str(run.ti.xcoms)
    assert "secrets" not in operator.template_fields


def test_secrets_that_cannot_be_read_are_refused_without_being_shown(
    hub: HubEmulator, task_log: TaskLog
) -> None:
    hub.add_space(SPACE)
    with pytest.raises(AirflowFailException, match=r"^secrets is text that is neither JSON nor") as refusal:
        Try().run(duplicate(secrets="{{ 'very-' ~ 's3cr3t' }}"))
    assert "s3cr3t" not in task_log.text + str(refusal.value)
    assert changes(hub) == []


def test_a_copy_onto_itself_is_refused(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    with pytest.raises(AirflowFailException, match="onto itself"):
        Try().run(duplicate(to_id=SPACE))


def test_a_copy_without_its_files_is_waited_for(hub: HubEmulator) -> None:
    hub.settings.files_copy_pending = 300
    hub.add_space(SPACE)
    Try().run(duplicate(wait=True, timeout=60))
    copy = hub.space(COPY)
    assert copy.stage == "RUNNING"
    assert copy.history[0].stage == "NO_APP_FILE"


def test_an_existing_target_is_waited_for_as_it_is(hub: HubEmulator, task_log: TaskLog) -> None:
    hub.add_space(SPACE)
    hub.add_space(COPY)
    Try().run(duplicate(exist_ok=True, hardware="t4-small", wait=True, timeout=5))
    assert "is used as it is, on cpu-basic and not on t4-small" in task_log.text
    assert changes(hub) == []


@pytest.mark.parametrize(
    "payload", [{"createdAt": "yesterday"}, {"createdAt": "2999-01-01T00:00:00", "private": False}, {}]
)
def test_a_space_that_somebody_else_may_have_made_is_not_taken_for_the_copy(payload: dict[str, Any]) -> None:
    copy = Say(200, {"id": COPY, **payload})
    with StubHub(otherwise=copy) as stub, env_connection(stub.url):
        run = Try()
        run.store.set("duplicate", {"from_id": SPACE, "to_id": COPY, "at": "2026-01-01T00:00:00+00:00"})
        with pytest.raises(AirflowFailException, match="was not made by this task"):
            run.run(duplicate())


def test_a_copy_is_recognized_by_its_date_of_creation(hub: HubEmulator) -> None:
    copy = Say(200, {"id": COPY, "createdAt": "2026-01-01T00:00:01", "private": True})
    with StubHub(otherwise=copy) as stub, env_connection(stub.url):
        run = Try()
        run.store.set("duplicate", {"from_id": SPACE, "to_id": COPY, "at": "2026-01-01T00:00:00+00:00"})
        assert run.run(duplicate())["created"] is True
