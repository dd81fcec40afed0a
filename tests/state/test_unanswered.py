"""Records in Variables are not overwritten while Airflow does not answer."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from airflow_provider_hfspaces.compat.runs import NotAnswered
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.cost.runs import BilledTime, RunCost
from airflow_provider_hfspaces.state.budgets import measure_spend, recorded_spend
from airflow_provider_hfspaces.state.last_resort import state_before_pause
from airflow_provider_hfspaces.state.ledger import Ledger
from airflow_provider_hfspaces.state.retry_store import VariableStore
from airflow_provider_hfspaces.state.run_costs import record_run_cost
from tests.airflow_variables import AirflowVariables


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> AirflowVariables:
    return AirflowVariables(monkeypatch)


def record_pause(repo_id: str) -> None:
    Ledger("nightly").change({repo_id: {"repo_id": repo_id, "at": 1}})


def record_cost(run_id: str) -> bool:
    hook = HfSpacesHook()
    cost = RunCost.from_times([BilledTime("t4-small", 1, 60.0)], hook.price_list())
    return record_run_cost("acme/whisper", cost, ("began", "run", run_id, "-1"), dag_id="nightly")


def measure() -> float:
    spend = measure_spend(HfSpacesHook(), "acme", 12.0, 500.0)
    assert spend.spend is not None
    return spend.spend.usd


def of_retry() -> VariableStore:
    ti = SimpleNamespace(dag_id="nightly", run_id="run", task_id="pause", map_index=-1, try_number=2)
    return VariableStore(ti, "pause", -1)


def assert_write_fails(variables: AirflowVariables, write: Callable[[], object]) -> None:
    """Assert that a write fails and leaves the Variables as they are, while Airflow does not answer."""
    before = dict(variables)
    assert before
    variables.stop_answering()
    with pytest.raises(NotAnswered, match="does not say whether the Variable hf_spaces_"):
        write()
    assert dict(variables) == before


def test_recorded_pauses_are_not_replaced(variables: AirflowVariables) -> None:
    record_pause("acme/whisper")
    assert_write_fails(variables, lambda: record_pause("acme/diffusion"))


def test_recorded_costs_are_not_replaced(hub: HubEmulator, variables: AirflowVariables) -> None:
    assert record_cost("first")
    before = dict(variables)
    variables.stop_answering()
    assert not record_cost("second")
    assert dict(variables) == before


def test_an_estimate_does_not_begin_again_at_zero(hub: HubEmulator, variables: AirflowVariables) -> None:
    hub.faults.add(kind="status", status=403, path="/billing/usage")
    measure()
    assert_write_fails(variables, measure)
    assert recorded_spend("acme").spend is None, "an upgrade reads the amount too, and only warns"


def test_a_retry_does_not_go_on_without_the_record_of_the_first_try(variables: AirflowVariables) -> None:
    of_retry().set("previous", {"hardware": "cpu-basic"})
    assert_write_fails(variables, lambda: of_retry().get("previous"))


def test_a_paused_space_is_not_recorded_as_the_state_to_restore(
    hub: HubEmulator, variables: AirflowVariables
) -> None:
    hub.add_space("acme/whisper", hardware="t4-small", stage="PAUSED")
    runtime = HfSpacesHook().get_runtime("acme/whisper")
    assert state_before_pause("acme/whisper", runtime) is None
    variables.stop_answering()
    with pytest.raises(NotAnswered):
        state_before_pause("acme/whisper", runtime)
