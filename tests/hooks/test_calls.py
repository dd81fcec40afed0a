"""HfSpacesHook finds the app inside a Space, wakes it and calls it."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import SpaceNotFound, SpaceWaitError
from airflow_provider_hfspaces.space_app import UnknownEndpoint
from tests.airflow_tools import connection
from tests.conftest import TaskLog

SPACE = "acme/caption"


def test_the_address_of_an_app_is_the_one_that_the_hub_names(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    assert HfSpacesHook().app_url(SPACE) == space.app_url
    assert HfSpacesHook().app_url(f"{hub.url}/spaces/{SPACE}") == space.app_url


def test_a_space_without_an_app_and_one_that_is_not_visible_have_no_address(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_space("acme/page", sdk="static")
    hub.add_space(SPACE, private=True)
    with pytest.raises(InvalidInput, match=r"^Space acme/page is static"):
        HfSpacesHook().app_url("acme/page")
    monkeypatch.setenv("AIRFLOW_CONN_STRANGER", connection(hub, hub.add_token("stranger")))
    with pytest.raises(SpaceNotFound, match=SPACE):
        HfSpacesHook("stranger").app_url(SPACE)


def test_a_call_wakes_the_space_and_logs_what_the_app_says(hub: HubEmulator, task_log: TaskLog) -> None:
    hub.add_space(SPACE, stage="SLEEPING", private=True)
    assert HfSpacesHook().call(SPACE, "/progress", {"text": "hello"}, timeout=30).value == "hello"
    assert f"Space {SPACE} sleeps. A visit wakes it." in task_log.text
    assert f"Space {SPACE} says:" in task_log.text


def test_a_call_from_an_event_loop_wakes_the_space_too(hub: HubEmulator) -> None:
    hub.add_space(SPACE, stage="SLEEPING", private=True)
    result = asyncio.run(HfSpacesHook().acall(SPACE, "/echo", ["hello"], timeout=30))
    assert result.value == "hello"


def test_a_call_of_a_paused_space_and_a_wrong_call_end_at_once(hub: HubEmulator) -> None:
    hub.add_space("acme/paused", stage="PAUSED")
    asleep = hub.add_space("acme/asleep", stage="SLEEPING")
    hub.add_space(SPACE)
    with pytest.raises(SpaceWaitError, match="sleeps, and wake=False"):
        HfSpacesHook().call("acme/asleep", "/echo", ["x"], timeout=30, wake=False)
    assert asleep.stage == "SLEEPING"
    with pytest.raises(SpaceWaitError, match="is paused"):
        HfSpacesHook().call("acme/paused", "/echo", ["x"], timeout=30)
    with pytest.raises(UnknownEndpoint, match="Did you mean '/echo'"):
        HfSpacesHook().call(SPACE, "/ecko", ["x"], timeout=30)


def test_a_client_serves_many_calls(hub: HubEmulator) -> None:
    hub.add_space(SPACE, private=True)
    with HfSpacesHook().open_app(SPACE) as app:
        assert [app.call("/echo", [text]).value for text in "ab"] == ["a", "b"]
