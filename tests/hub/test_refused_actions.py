"""An action that the Hub refuses with 503 ends soon, with the Space's own reason."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub import HubClient, calls
from airflow_provider_hfspaces.hub.errors import HubConflict, HubUnavailable

SPACE = "acme/whisper"


@pytest.fixture
def client(hub: HubEmulator) -> HubClient:
    """A client whose waits take no time."""
    seconds = [0.0]

    def sleep(nap: float) -> None:
        seconds[0] += nap

    return HubClient(hub.token, hub.url, sleep=sleep, clock=lambda: seconds[0])


def requests(hub: HubEmulator, suffix: str) -> int:
    return sum(request.path.endswith(suffix) for request in hub.requests)


def test_a_refused_restart_says_why_and_is_sent_three_times(hub: HubEmulator, client: HubClient) -> None:
    hub.add_space(SPACE, stage="RUNTIME_ERROR", error_message="Flagged as abusive")
    hub.faults.add(kind="status", path="/restart", status=503, message="Something went wrong")
    with pytest.raises(
        HubUnavailable, match=r"Something went wrong.*own reason: 'Flagged as abusive'"
    ) as excinfo:
        client.send(calls.restart(SPACE))
    assert excinfo.value.tries == requests(hub, "/restart") == 3
    assert requests(hub, "/runtime") == 1


def test_an_action_refused_without_a_reason_is_sent_five_times_while_the_hub_is_up(
    hub: HubEmulator, client: HubClient
) -> None:
    hub.add_space(SPACE, stage="PAUSED")
    hub.faults.add(kind="status", path="/restart", status=503, message="Something went wrong")
    with pytest.raises(HubUnavailable, match="Something went wrong"):
        client.send(calls.restart(SPACE))
    assert requests(hub, "/restart") == 5


def test_an_action_is_retried_as_long_as_the_policy_allows_while_the_hub_is_down(
    hub: HubEmulator, client: HubClient
) -> None:
    hub.add_space(SPACE, stage="PAUSED")
    hub.faults.add(kind="status", status=503, message="Maintenance")
    with pytest.raises(HubUnavailable, match="Maintenance"):
        client.send(calls.restart(SPACE))
    assert requests(hub, "/restart") > 8


def test_a_temporary_refusal_is_retried(hub: HubEmulator, client: HubClient) -> None:
    space = hub.add_space(SPACE, stage="PAUSED")
    hub.faults.add(kind="status", path="/restart", status=503, message="Something went wrong", times=2)
    client.send(calls.restart(SPACE))
    assert space.stage != "PAUSED"


def test_the_conflict_of_a_copy_names_the_space_that_exists(hub: HubEmulator, client: HubClient) -> None:
    hub.add_space(SPACE)
    hub.add_space("acme/copy")
    with pytest.raises(HubConflict, match=r"^Space acme/copy cannot be created from Space acme/whisper"):
        client.send(calls.duplicate(SPACE, "acme/copy"))
