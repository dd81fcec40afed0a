"""A hardware request that reaches the Hub after its run has lost the lease, as a frozen worker sends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.lease.record import LeaseRecord
from airflow_provider_hfspaces.operators.leases import RestoreAbandonedLeasesOperator
from airflow_provider_hfspaces.state.leases import LeaseOwner
from tests.airflow_tools import Try
from tests.lease_tools import (
    SPACE,
    AirflowWithoutServer,
    Window,
    hold,
    holders,
    previous_state,
    write_lease,
)

OTHER = LeaseOwner("other_dag", "other", "gpu.snapshot")


pytestmark = pytest.mark.usefixtures("airflow")


@pytest.fixture
def while_frozen(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Freezes the worker immediately before its first hardware request, until a function has returned."""
    send = requests.Session.send

    def freeze(meanwhile: Callable[[], None]) -> None:
        frozen = []

        def send_late(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
            if request.method == "POST" and str(request.url).endswith("/hardware") and not frozen:
                frozen.append(request)
                meanwhile()
            return send(session, request, **options)

        monkeypatch.setattr(requests.Session, "send", send_late)

    return freeze


def give_the_lease_back() -> None:
    """End the lease, as the restore does that runs when Airflow has given the frozen task up."""
    write_lease(LeaseRecord(SPACE, 1).to_text())


def test_a_late_request_is_undone_when_nobody_has_the_lease(
    hub: HubEmulator, while_frozen: Callable[[Callable[[], None]], None]
) -> None:
    space = hub.add_space(SPACE, hardware="cpu-upgrade", sleep_time=7200)
    window = Window()
    window.run("snapshot")
    while_frozen(give_the_lease_back)
    with pytest.raises(
        Exception, match=r"lost its lease when the request for t4-small arrived\. It is on cpu-upgrade again"
    ):
        window.run("upgrade")
    assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 7200)
    assert holders() == ()


def test_a_late_request_gives_the_next_holder_its_hardware_back(
    hub: HubEmulator, airflow: AirflowWithoutServer, while_frozen: Callable[[Callable[[], None]], None]
) -> None:
    space = hub.add_space(SPACE)
    window = Window()
    window.run("snapshot")

    def next_run_works() -> None:
        give_the_lease_back()
        airflow.remember(hold(requested=("a10g-small",), sleep_time=900), OTHER)
        HfSpacesHook().request_hardware(SPACE, "a10g-small", sleep_time=900)

    while_frozen(next_run_works)
    with pytest.raises(
        Exception,
        match=r"a10g-small, which it took away, is requested again for task gpu.snapshot of run other",
    ):
        window.run("upgrade")
    assert (space.requested_hardware, space.sleep_time) == ("a10g-small", 900)
    assert [each.requested for each in holders()] == [("a10g-small",)]


@pytest.mark.parametrize("is_over", [True, False])
def test_a_late_request_is_left_to_a_holder_that_has_requested_nothing_or_is_over(
    hub: HubEmulator,
    airflow: AirflowWithoutServer,
    while_frozen: Callable[[Callable[[], None]], None],
    is_over: bool,
) -> None:
    space = hub.add_space(SPACE)
    window = Window()
    window.run("snapshot")

    def next_run_begins() -> None:
        give_the_lease_back()
        airflow.remember(hold(requested=("a10g-small",) if is_over else ()), OTHER)
        airflow.over.update({OTHER.run_id} if is_over else ())

    while_frozen(next_run_begins)
    with pytest.raises(Exception, match=r"It is left to task gpu\.snapshot of run other"):
        window.run("upgrade")
    assert space.requested_hardware == "t4-small"
    assert [each.previous for each in holders()] == [previous_state()]


def test_a_janitor_that_was_overtaken_requests_the_hardware_of_the_other_run_again_and_says_so(
    hub: HubEmulator,
    airflow: AirflowWithoutServer,
    task_log: Any,
    while_frozen: Callable[[Callable[[], None]], None],
) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    hold(abandoned=True, holder_id="cd" * 16)

    def next_run_works() -> None:
        give_the_lease_back()
        airflow.remember(hold(requested=("a10g-small",), sleep_time=900), OTHER)
        HfSpacesHook().request_hardware(SPACE, "a10g-small", sleep_time=900)

    while_frozen(next_run_works)
    (entry,) = Try().run(RestoreAbandonedLeasesOperator(task_id="leases", author="acme"))
    assert entry["outcome"] == "left alone"
    assert entry["reason"].startswith("leased by task gpu.snapshot of run other of DAG other_dag")
    assert (space.requested_hardware, space.sleep_time) == ("a10g-small", 900)
    assert "the restore removed its hardware. a10g-small is requested again." in task_log.text


def test_hardware_that_a_user_has_chosen_since_is_not_undone(
    hub: HubEmulator, while_frozen: Callable[[Callable[[], None]], None]
) -> None:
    space = hub.add_space(SPACE)
    window = Window()
    window.run("snapshot", "upgrade")
    give_the_lease_back()
    HfSpacesHook().request_hardware(SPACE, "l4x1")
    window.upgrade.on_kill()
    assert space.requested_hardware == "l4x1"


def test_a_killed_task_undoes_its_late_request_when_nobody_has_the_lease(
    hub: HubEmulator, task_log: Any, while_frozen: Callable[[Callable[[], None]], None]
) -> None:
    space = hub.add_space(SPACE)
    window = Window()
    window.run("snapshot")

    def airflow_gives_the_task_up() -> None:
        give_the_lease_back()
        window.upgrade.killed.set()

    while_frozen(airflow_gives_the_task_up)
    with pytest.raises(Exception, match="the task was killed while it requested t4-small"):
        window.run("upgrade")
    assert space.requested_hardware == "cpu-basic"
    assert "is restored, because the task was killed" in task_log.text


@pytest.mark.parametrize("hardware", ["a10g-small", "t4-small"])
def test_a_killed_task_gives_the_next_holder_its_hardware_back(
    hub: HubEmulator,
    airflow: AirflowWithoutServer,
    while_frozen: Callable[[Callable[[], None]], None],
    hardware: str,
) -> None:
    space = hub.add_space(SPACE)
    window = Window()
    window.run("snapshot")

    def airflow_gives_the_task_up_and_the_next_run_works() -> None:
        give_the_lease_back()
        airflow.remember(hold(requested=(hardware,), sleep_time=900), OTHER)
        HfSpacesHook().request_hardware(SPACE, hardware, sleep_time=900)
        window.upgrade.killed.set()

    while_frozen(airflow_gives_the_task_up_and_the_next_run_works)
    with pytest.raises(Exception, match="the task was killed while it requested t4-small"):
        window.run("upgrade")
    assert space.requested_hardware == hardware


def test_a_killed_task_starts_no_space_of_the_next_holder(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    space = hub.add_space(SPACE)
    window = Window()
    window.run("snapshot", "upgrade")
    give_the_lease_back()
    airflow.remember(hold(requested=("a10g-small",)), OTHER)
    HfSpacesHook().request_hardware(SPACE, "a10g-small")
    HfSpacesHook().pause(SPACE)
    window.upgrade.on_kill()
    assert (space.requested_hardware, space.stage) == ("a10g-small", "PAUSED")


def test_a_request_in_time_costs_one_look_at_the_lease(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    window = Window()
    window.run("snapshot", "upgrade")
    calls = [(each.method, each.path.rpartition("/")[2]) for each in hub.requests]
    request = calls.index(("POST", "hardware"))
    assert calls[request + 1 :][:1] == [("GET", "airflow-lease")]
