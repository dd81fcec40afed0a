"""Selections of Spaces."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.bulk.selection import SELECTED_BY, SpaceSelection
from airflow_provider_hfspaces.hub.checks import InvalidHardware, InvalidInput, InvalidStage
from airflow_provider_hfspaces.hub.models import HardwareFlavor, SpaceInfo


def space(repo_id: str, stage: str = "RUNNING", hardware: str | None = "t4-small", **more: Any) -> SpaceInfo:
    current = hardware if stage.startswith("RUNNING") else None
    runtime = {"stage": stage, "hardware": {"current": current, "requested": hardware}}
    return SpaceInfo.from_payload({"id": repo_id, "runtime": runtime, **more})


FLEET = [
    space("acme/Whisper", tags=["speech", "demo"]),
    space("acme/whisper-2", "SLEEPING", tags=["speech"]),
    space("acme/site", hardware=None),
    space("acme/free", hardware="cpu-basic"),
    space("acme/building", "BUILDING", "l4x1"),
    space("acme/paused", "PAUSED"),
    space("acme/stopped", "STOPPED", "a100-large"),
    space("other/whisper"),
]


def select(**options: Any) -> list[str]:
    return [each.id for each in SpaceSelection("acme", **options).select(FLEET)]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, "Whisper whisper-2 site free building paused stopped"),
        ({"stages": "RUNNING"}, "Whisper site free"),
        ({"stages": ["SLEEPING", "PAUSED"]}, "whisper-2 paused stopped"),
        ({"hardware": ["l4x1", "a100-large"]}, "building stopped"),
        ({"billed_only": True}, "Whisper building"),
        ({"include": "whisper*"}, "Whisper whisper-2"),
        ({"include": ["ACME/whisper", "site"]}, "Whisper site"),
        ({"include": "acme/*", "exclude": ["*whisper*", "s*"]}, "free building paused"),
        ({"exclude": "acme/*"}, ""),
        ({"tags": ["speech", "demo"]}, "Whisper"),
        ({"tags": "speech", "stages": None, "hardware": (), "include": None}, "Whisper whisper-2"),
    ],
)
def test_each_criterion_narrows_the_selection(options: dict[str, Any], names: str) -> None:
    assert select(**options) == [f"acme/{name}" for name in names.split()]


def test_a_string_is_one_glob() -> None:
    assert SpaceSelection("acme", include="site").include == ("site",)
    assert select(include="e") == []


def test_owners_match_case_insensitively() -> None:
    assert SpaceSelection("ACME").matches(FLEET[0])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stages": ["RUNNIN"]}, InvalidStage, "Did you mean 'RUNNING'"),
        ({"hardware": "t4-smal"}, InvalidHardware, "Did you mean 't4-small'"),
        ({"author": "a/b"}, InvalidInput, "not a valid name of a user"),
        ({"include": [1]}, InvalidInput, "include"),
        ({"exclude": ""}, InvalidInput, "exclude"),
        ({"billed_only": "yes"}, InvalidInput, "billed_only"),
    ],
)
def test_invalid_criteria_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        SpaceSelection(**{"author": "acme", **options})


def test_a_new_flavor_is_accepted_if_the_hub_offers_it() -> None:
    offers = [HardwareFlavor("z9", "Z9", "", "", None, 1.0, "minute")]
    assert SpaceSelection("acme", hardware="z9", offered=offers).hardware == {"z9"}


def test_a_space_without_a_runtime_matches_only_if_no_criterion_needs_one() -> None:
    silent = SpaceInfo.from_payload({"id": "acme/silent"})
    assert SpaceSelection("acme").matches(silent)
    assert not SpaceSelection("acme", billed_only=True).matches(silent)


def test_a_list_contains_everything_that_a_selection_needs(hub: HubEmulator) -> None:
    hub.add_space("acme/whisper", hardware="t4-small", tags=("speech",))
    entries = HfSpacesHook().list_spaces(author="acme", expand=SELECTED_BY)
    selection = SpaceSelection("acme", tags="speech", billed_only=True, hardware="t4-small")
    assert [each.id for each in selection.select(entries)] == ["acme/whisper"]
    assert len(hub.requests) == 1
