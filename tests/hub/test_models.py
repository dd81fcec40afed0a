"""Answers as the Hub really sends them, read without losing or inventing anything."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.hub.models import (
    HardwareFlavor,
    SpaceInfo,
    SpaceRuntime,
    SpaceStage,
    SpaceVariable,
    Volume,
    WhoAmI,
)

FULL = {
    "stage": "RUNNING",
    "hardware": {"current": "t4-small", "requested": "t4-small"},
    "gcTimeout": 3600,
    "replicas": {"current": 1, "requested": 1},
    "devMode": False,
    "domains": [{"domain": "alice-my-space.hf.space", "isCustom": False, "stage": "READY"}],
    "sha": "c52ce5e45984b9378ef6247fe7a45ed72b096b24",
    "volumes": [{"type": "bucket", "source": "alice/data", "mountPath": "/data", "readOnly": False}],
}


def test_all_fields_of_a_runtime_are_read() -> None:
    runtime = SpaceRuntime.from_payload(FULL)
    assert runtime.stage == SpaceStage.RUNNING == "RUNNING"
    assert (runtime.hardware, runtime.requested_hardware) == ("t4-small", "t4-small")
    assert runtime.sleep_time == 3600
    assert runtime.replicas.current == 1
    assert runtime.volumes == (Volume("bucket", "alice/data", "/data", read_only=False),)
    assert runtime.domains[0].domain == "alice-my-space.hf.space"
    assert runtime.raw == FULL
    assert runtime.to_dict()["volumes"] == [
        {"type": "bucket", "source": "alice/data", "mount_path": "/data", "read_only": False}
    ]
    assert runtime.volumes[0].to_payload() == FULL["volumes"][0]


def test_a_runtime_needs_nothing_but_a_stage_and_keeps_an_unknown_one() -> None:
    runtime = SpaceRuntime.from_payload({"stage": "DREAMING"})
    assert runtime.stage == "DREAMING"
    assert runtime.hardware is None
    assert not runtime.is_billed


def test_a_static_space_has_no_hardware() -> None:
    static = SpaceRuntime.from_payload(
        {"stage": "RUNNING", "hardware": {"current": None, "requested": None}, "storage": None}
    )
    assert static.is_static
    assert not static.is_billed


@pytest.mark.parametrize("never", [{}, {"gcTimeout": None}, {"gcTimeout": -1}])
def test_a_missing_sleep_time_means_never(never: dict[str, int | None]) -> None:
    assert SpaceRuntime.from_payload({"stage": "RUNNING", **never}).sleep_time is None


@pytest.mark.parametrize(
    ("stage", "current", "requested", "is_billed"),
    [
        ("RUNNING", "t4-small", "t4-small", True),
        ("RUNNING", "cpu-basic", "t4-small", False),
        ("RUNNING", "zero-a10g", "zero-a10g", False),
        ("RUNNING_BUILDING", "t4-small", "cpu-basic", True),
        ("RUNNING_APP_STARTING", "t4-small", "cpu-basic", True),
        ("APP_STARTING", None, "t4-small", True),
        ("BUILDING", None, "t4-small", False),
        ("PAUSED", None, "t4-small", False),
        ("SLEEPING", None, "t4-small", False),
        ("RUNTIME_ERROR", None, "t4-small", False),
        ("RUNNING", "tomorrows-gpu", "tomorrows-gpu", True),
    ],
)
def test_paid_hardware_is_billed_while_it_starts_or_runs(
    stage: str, current: str | None, requested: str, is_billed: bool
) -> None:
    runtime = SpaceRuntime.from_payload(
        {"stage": stage, "hardware": {"current": current, "requested": requested}}
    )
    assert runtime.is_billed is is_billed


@pytest.mark.parametrize(
    ("micro", "hourly", "price"),
    [
        (0, 0, "free"),
        (6667, 0.40, "$0.40/h"),
        (13333, 0.80, "$0.80/h"),
        (391667, 23.50, "$23.50/h"),
        (500, 0.03, "$0.03/h"),
    ],
)
def test_a_price_by_the_minute_is_the_advertised_one_by_the_hour(
    micro: int, hourly: float, price: str
) -> None:
    flavor = HardwareFlavor.from_payload(
        {"name": "x", "unitCostMicroUSD": micro, "unitCostUSD": micro / 1e6, "unitLabel": "minute"}
    )
    assert flavor.hourly_cost == hourly
    assert flavor.price == price


def test_a_price_in_an_unknown_unit_is_not_guessed() -> None:
    flavor = HardwareFlavor.from_payload({"name": "x", "unitCostUSD": 2, "unitLabel": "token"})
    assert flavor.price == "$2/token"
    assert flavor.hourly_cost is None


def test_a_missing_price_does_not_count_as_zero() -> None:
    flavor = HardwareFlavor.from_payload({"name": "x", "unitLabel": "minute"})
    assert (flavor.hourly_cost, flavor.price) == (None, "no price")


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        ({"domains": [None]}, {"domains": []}),
        ({"domains": "acme-whisper.hf.space"}, {"domains": []}),
        ({"volumes": [None, 1]}, {"volumes": []}),
        ({"replicas": 2}, {"replicas": {"current": None, "requested": 2}}),
        ({"replicas": []}, {"replicas": {"current": None, "requested": None}}),
        ({"gcTimeout": "3600"}, {"sleep_time": 3600}),
        ({"gcTimeout": -1}, {"sleep_time": None}),
    ],
)
def test_an_unreadable_minor_field_does_not_hide_the_state(odd: Any, expected: Any) -> None:
    payload = {"stage": "RUNNING", "hardware": {"current": "t4-small", "requested": "t4-small"}, **odd}
    fields = SpaceRuntime.from_payload(payload).to_dict()
    assert fields["hardware"] == "t4-small"
    assert {name: fields[name] for name in expected} == expected


@pytest.mark.parametrize(
    "payload",
    [
        {"stage": None},
        {"stage": ""},
        {},
        {"stage": "RUNNING", "hardware": "t4-small"},
        {"stage": "RUNNING", "gcTimeout": "soon"},
        {"stage": "RUNNING", "gcTimeout": []},
    ],
)
def test_an_unreadable_stage_hardware_or_sleep_time_is_an_error(payload: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        SpaceRuntime.from_payload(payload)


@pytest.mark.parametrize(
    ("payload", "static"),
    [
        ({"stage": "RUNNING", "hardware": {"current": None, "requested": None}}, True),
        ({"stage": "RUNNING"}, False),
        ({"stage": "RUNNING", "hardware": None}, False),
        ({"stage": "BUILDING", "hardware": {"current": None, "requested": None}}, False),
    ],
)
def test_only_an_explicit_null_hardware_makes_a_space_static(payload: Any, static: bool) -> None:
    assert SpaceRuntime.from_payload(payload).is_static is static


def test_a_variable_without_a_value_is_empty() -> None:
    assert SpaceVariable.from_payload("A", {"value": None}).value == ""


def test_whoami_reads_the_permissions_of_a_fine_grained_token() -> None:
    me = WhoAmI.from_payload(
        {
            "name": "alice",
            "orgs": [{"name": "acme", "roleInOrg": "admin", "plan": "team"}],
            "auth": {
                "type": "access_token",
                "accessToken": {
                    "displayName": "ci",
                    "role": "fineGrained",
                    "fineGrained": {
                        "scoped": [
                            {"entity": {"type": "user", "name": "alice"}, "permissions": ["repo.write"]}
                        ]
                    },
                },
            },
        }
    )
    assert me.organizations[0].role == "admin"
    assert me.scopes[0].permissions == ("repo.write",)


@pytest.mark.parametrize(
    "runtime",
    [
        {"stage": None},
        {"stage": "RUNNING", "hardware": "t4-small"},
        {"stage": "RUNNING", "gcTimeout": 1e999},
        "RUNNING",
        [],
        5,
        None,
    ],
)
def test_a_listed_space_with_an_unreadable_runtime_is_listed_without_it(runtime: Any) -> None:
    space = SpaceInfo.from_payload({"id": "acme/odd", "runtime": runtime, "tags": 5})
    assert (space.id, space.runtime, space.tags) == ("acme/odd", None, ())
