"""Spaces are created, deleted, moved and published once, and never by accident."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.operators.repository import (
    CreateSpaceOperator,
    DeleteSpaceOperator,
    MoveSpaceOperator,
    SetDevModeOperator,
    SetReplicasOperator,
    SetVisibilityOperator,
)
from airflow_provider_hfspaces.state.copies import COPY_OF, CopyMark
from tests.airflow_tools import Try
from tests.operators.test_hardware import changes, lose_next_answer

SPACE = "acme/whisper"
OTHER = "acme/other"
MARK = CopyMark.new("acme/original", SPACE, 3600)
COPY = MARK.copy_id
MARKED = {COPY_OF: MARK.to_variable()}


def create(**options: Any) -> CreateSpaceOperator:
    return CreateSpaceOperator(**{"task_id": "create", "repo_id": SPACE, "sdk": "gradio", **options})


def delete(**options: Any) -> DeleteSpaceOperator:
    return DeleteSpaceOperator(**{"task_id": "delete", "repo_id": SPACE, **options})


def move(**options: Any) -> MoveSpaceOperator:
    return MoveSpaceOperator(**{"task_id": "move", "repo_id": SPACE, "to_id": OTHER, **options})


class TestCreate:
    @pytest.fixture(autouse=True)
    def _organization(self, hub: HubEmulator) -> None:
        hub.add_space("acme/base")

    def test_makes_a_private_space_in_one_request(self, hub: HubEmulator) -> None:
        result = Try().run(
            create(
                hardware="t4-small",
                sleep_time="3600",
                secrets={"TOKEN": "s3cr3t"},
                variables={"MODEL": "large"},
                volumes=[{"type": "bucket", "source": "acme/data", "mount_path": "/data"}],
            )
        )
        assert result == {"repo_id": SPACE, "url": f"{hub.url}/spaces/{SPACE}", "created": True}
        space = hub.space(SPACE)
        assert (space.private, space.sleep_time) == (True, 3600)
        assert (space.secrets, space.variables) == ({"TOKEN": "s3cr3t"}, {"MODEL": "large"})
        assert [volume["source"] for volume in space.volumes] == ["acme/data"]
        assert [name for name, _ in changes(hub)] == ["create"]

    def test_fails_for_an_existing_space_unless_exist_ok_is_set(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        with pytest.raises(AirflowFailException, match="already exists, and was not made by this task"):
            Try().run(create())
        assert Try().run(create(exist_ok=True))["created"] is False
        assert changes(hub) == []

    @pytest.mark.parametrize("lost_message", ["answer", "request"])
    def test_finds_out_after_a_lost_answer_whether_the_space_was_made(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, lost_message: str
    ) -> None:
        lose_next_answer(monkeypatch, "/create", took_effect=lost_message == "answer")
        run = Try()
        if lost_message == "request":
            with pytest.raises(HubError, match="not known whether the request took effect"):
                run.run(create())
        assert run.run(create())["created"] is True
        assert [name for name, _ in changes(hub)] == ["create"]
        assert run.store.values == {}

    def test_builds_a_template_at_once(self, hub: HubEmulator) -> None:
        Try().run(create(sdk="docker", template="SpacesExamples/jupyterlab"))
        assert hub.space(SPACE).stage != "NO_APP_FILE"

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"sdk": "streamlit"}, "sdk of task 'create' must be one of gradio, docker, static"),
            ({"visibility": "secret"}, "visibility of task 'create' must be one of private, public"),
        ],
    )
    def test_refuses_values_that_are_not_valid_when_the_dag_is_parsed(
        self, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            create(**options)

    def test_refuses_rendered_values_that_are_not_valid_before_any_request(self, hub: HubEmulator) -> None:
        task = create(sdk="{{ params.sdk }}")
        task.sdk = "streamlit"
        with pytest.raises(AirflowFailException, match="sdk must be one of"):
            Try().run(task)
        assert hub.requests == []


class TestDelete:
    def test_deletes_a_space_whose_id_is_confirmed(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        run = Try()
        assert run.run(delete(confirm=SPACE)) == {"repo_id": SPACE, "deleted": True}
        assert SPACE not in [space.repo_id for space in hub.world.spaces.values()]
        assert run.store.values == {}

    @pytest.mark.parametrize(
        "variables", [{}, {COPY_OF: SPACE}, {COPY_OF: "[]"}], ids=["none", "text", "list"]
    )
    def test_leaves_a_space_alone_without_confirmation_and_mark(
        self, hub: HubEmulator, variables: dict[str, str]
    ) -> None:
        hub.add_space(SPACE, variables=variables)
        with pytest.raises(AirflowFailException, match="is not deleted: it has no variable AIRFLOW_COPY_OF"):
            Try().run(delete())
        assert changes(hub) == []

    def test_deletes_a_marked_copy_without_confirmation(self, hub: HubEmulator) -> None:
        hub.add_space(COPY, variables=MARKED, private=True)
        assert Try().run(delete(repo_id=COPY))["deleted"] is True

    def test_leaves_a_published_copy_alone_without_confirmation(self, hub: HubEmulator) -> None:
        hub.add_space(COPY, variables=MARKED, private=False)
        with pytest.raises(AirflowFailException, match="is a copy that is not private any more"):
            Try().run(delete(repo_id=COPY))
        assert Try().run(delete(repo_id=COPY, confirm=COPY))["deleted"] is True

    def test_leaves_a_copy_of_a_marked_copy_alone(self, hub: HubEmulator) -> None:
        """The Hub copies variables, and with them the mark."""
        hub.add_space(COPY, variables=MARKED)
        Try().run(DuplicateSpaceOperator(task_id="copy", from_id=COPY, to_id=OTHER))
        assert json.loads(hub.space(OTHER).variables[COPY_OF])["copy"] == COPY
        with pytest.raises(AirflowFailException, match="has no variable AIRFLOW_COPY_OF"):
            Try().run(delete(repo_id=OTHER))
        assert hub.space(OTHER).repo_id == OTHER

    def test_leaves_a_renamed_space_alone(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        Try().run(move())
        with pytest.raises(AirflowFailException, match=f"was renamed to {OTHER} and is not deleted"):
            Try().run(delete(confirm=SPACE))
        assert hub.space(OTHER).repo_id == OTHER

    def test_leaves_a_space_alone_if_another_one_is_confirmed(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        task = delete(confirm="{{ params.space }}")
        task.confirm = OTHER
        with pytest.raises(AirflowFailException, match=f"confirm is '{OTHER}'"):
            Try().run(task)
        with pytest.raises(ValueError, match="set both to the Space that the task deletes"):
            delete(confirm=OTHER)
        assert changes(hub) == []

    @pytest.mark.parametrize("took_effect", [True, False])
    def test_finds_out_after_a_lost_answer_whether_the_space_is_deleted(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, took_effect: bool
    ) -> None:
        hub.add_space(SPACE)
        lose_next_answer(monkeypatch, "/delete", took_effect=took_effect)
        run = Try()
        if not took_effect:
            with pytest.raises(HubError, match="not known whether the request took effect"):
                run.run(delete(confirm=SPACE))
        assert run.run(delete(confirm=SPACE))["deleted"] is True
        assert len(changes(hub)) == 1

    def test_a_retry_does_not_fail_for_a_space_that_an_earlier_try_has_deleted(
        self, hub: HubEmulator
    ) -> None:
        run = Try()
        # What a worker leaves that dies between its request and the answer.
        run.store.set("delete", {"repo_id": SPACE})
        assert run.run(delete(confirm=SPACE)) == {"repo_id": SPACE, "deleted": True}
        assert run.store.values == {}

    def test_a_missing_space_fails_the_task_unless_missing_ok_is_set(self, hub: HubEmulator) -> None:
        with pytest.raises(AirflowFailException, match="cannot be deleted: it does not exist"):
            Try().run(delete(confirm=SPACE))
        assert Try().run(delete(confirm=SPACE, missing_ok=True))["deleted"] is False


class TestMove:
    def test_renames_a_space_and_returns_its_new_address(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        assert Try().run(move()) == {"repo_id": OTHER, "url": f"{hub.url}/spaces/{OTHER}"}
        assert hub.space(OTHER).repo_id == OTHER
        assert Try().run(move())["repo_id"] == OTHER
        assert len(changes(hub)) == 1

    @pytest.mark.parametrize("took_effect", [True, False])
    def test_finds_out_after_a_lost_answer_whether_the_space_has_moved(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, took_effect: bool
    ) -> None:
        hub.add_space(SPACE)
        lose_next_answer(monkeypatch, "/move", took_effect=took_effect)
        run = Try()
        if not took_effect:
            with pytest.raises(HubError, match="not known whether the request took effect"):
                run.run(move())
        assert run.run(move())["repo_id"] == OTHER
        assert len(changes(hub)) == 1

    def test_fails_if_the_new_id_is_taken(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        hub.add_space(OTHER)
        with pytest.raises(AirflowFailException, match="already exists"):
            Try().run(move())
        assert hub.space(SPACE).repo_id == SPACE

    def test_leaves_a_space_alone_that_was_renamed_to_another_id(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        Try().run(move(to_id="acme/elsewhere"))
        with pytest.raises(AirflowFailException, match="was renamed to acme/elsewhere and is not moved"):
            Try().run(move())

    def test_refuses_to_move_a_space_onto_itself(self, hub: HubEmulator) -> None:
        with pytest.raises(AirflowFailException, match="already has this id"):
            Try().run(move(to_id=SPACE))
        assert hub.requests == []


@pytest.mark.parametrize("visibility", ["public", "private", "protected"])
def test_sets_who_can_see_a_space(hub: HubEmulator, visibility: str) -> None:
    hub.add_space(SPACE)
    task = SetVisibilityOperator(task_id="publish", repo_id=SPACE, visibility=visibility)
    assert Try().run(task) == {"repo_id": SPACE, "visibility": visibility}
    assert hub.world.spaces[SPACE].visibility == visibility


def test_sets_the_replicas_of_a_space_on_paid_hardware(hub: HubEmulator) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    runtime = Try().run(SetReplicasOperator(task_id="scale", repo_id=SPACE, replicas="3"))
    assert runtime["replicas"]["requested"] == 3


def test_fails_for_replicas_on_free_hardware(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    with pytest.raises(AirflowFailException, match="the Hub answered 4"):
        Try().run(SetReplicasOperator(task_id="scale", repo_id=SPACE, replicas=3))


@pytest.mark.parametrize("enabled", [True, "False"])
def test_turns_the_dev_mode_on_and_off(hub: HubEmulator, enabled: Any) -> None:
    hub.add_space(SPACE)
    runtime = Try().run(SetDevModeOperator(task_id="dev_mode", repo_id=SPACE, enabled=enabled))
    assert runtime["dev_mode"] is (enabled is True)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (SetVisibilityOperator, {"visibility": "hidden"}, "visibility of task 'set' must be one of"),
        (SetReplicasOperator, {"replicas": 0}, "replicas of task 'set' must be a whole number"),
        (SetReplicasOperator, {"replicas": True}, "replicas of task 'set' must be a whole number"),
        (SetDevModeOperator, {"enabled": "perhaps"}, "enabled of task 'set' must be True or False"),
    ],
)
def test_a_value_that_is_not_valid_is_refused_when_the_dag_is_parsed(
    kind: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kind(task_id="set", repo_id=SPACE, **options)
    template = dict.fromkeys(options, "{{ params.value }}")
    assert kind(task_id="set", repo_id=SPACE, **template).task_id == "set"
