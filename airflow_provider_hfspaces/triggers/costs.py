"""RunCostTrigger watches, without a worker, what a run costs, until it costs too much or is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.runs import FINAL_STATES, task_states
from airflow_provider_hfspaces.compat.server import in_thread
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.cost.prices import PriceList
from airflow_provider_hfspaces.hub.cost.runs import RunCost, Sighting, sightings_from
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.hub.models import HardwareFlavor
from airflow_provider_hfspaces.triggers.base import StoredTrigger

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import TriggerEvent

__all__ = ["RunCostTrigger"]

_STATE_INTERVAL_SECONDS = 5.0
"""Seconds between two checks of whether the run has restored the Space."""


@dataclass(kw_only=True, eq=False, repr=False)
class RunCostTrigger(StoredTrigger):
    """Watch what a run costs on a Space.

    The task ``limit`` of a task group with ``max_run_cost`` defers to this trigger. It fires one event,
    ``{"status": "reached" | "over" | "unwatched", "repo_id": …, "cost_usd": …, "changes": […]}``:
    ``reached`` when the estimated cost reaches the limit, ``over`` when the task that restores the Space
    has ended, and ``unwatched`` at once where Airflow runs triggers one after the other, as ``dag.test()``
    does.

    :param repo_id: the Space, as ``owner/name``.
    :param max_run_cost: USD.
    :param requested: the flavors that the run requested.
    :param sightings: what the run has seen of the Space so far, as
        :meth:`~airflow_provider_hfspaces.hub.cost.runs.Sighting.to_dict`.
    :param dag_id: the DAG of the run.
    :param run_id: the run.
    :param map_index: of the task that restores the Space; -1 if it is not mapped.
    :param closing_task: the id of the task that restores the Space.
    :param poll_interval: seconds between two looks at the Space, by default 30.
    :param hf_spaces_conn_id: the connection to the Hub.
    """

    max_run_cost: float
    requested: Sequence[str]
    sightings: Sequence[Mapping[str, Any]]
    dag_id: str
    run_id: str
    closing_task: str
    map_index: int = -1
    poll_interval: float = 30.0
    hf_spaces_conn_id: str = "hf_spaces_default"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.requested, self.sightings = list(self.requested), list(self.sightings)
        self._seen = sightings_from(self.sightings)
        self._spent: float | None = None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch, and fire the one event."""
        # Without a trigger id this is dag.test(), where the tasks to watch would wait for this trigger.
        status = "unwatched" if self.trigger_id is None else await self._watch()
        known = len(sightings_from(self.sightings))
        changes = [each.to_dict() for each in self._seen[known:]]
        yield self.event(status, cost_usd=self._spent, changes=changes)

    async def _watch(self) -> str:
        hook = HfSpacesHook(self.hf_spaces_conn_id)
        prices: PriceList | None = None
        async with await hook.async_client() as client:
            while True:
                try:
                    if prices is None:
                        flavors: list[HardwareFlavor] = await client.send(calls.list_hardware())
                        prices = PriceList.from_flavors(flavors)
                    self._note(await client.send(calls.get_runtime(self.repo_id)))
                except (HubError, InvalidInput) as error:
                    self.log.warning("%s The cost of this run is checked again later.", error)
                else:
                    cost = RunCost.from_sightings(self._seen, self.requested, prices)
                    self._spent = cost.usd
                    # Hardware without a list price reaches each limit.
                    if self._spent is None or self._spent >= self.max_run_cost:
                        return "reached"
                if await self._is_over_within(self.poll_interval):
                    return "over"

    def _note(self, runtime: Any) -> None:
        """Keep a sighting. Of several sightings of one state, the first and the last are enough."""
        now = datetime.now(timezone.utc)
        before = self._seen[-1] if self._seen else None
        sighting = Sighting.from_runtime(runtime, now)
        if before is not None and before.billing != sighting.billing:
            sighting = Sighting.from_runtime(runtime, now, since=now)
        known = len(self.sightings)
        is_repeated = len(self._seen) > known + 1 and self._seen[-2].billing == sighting.billing
        if is_repeated and before is not None and before.billing == sighting.billing:
            self._seen.pop()
        self._seen.append(sighting)

    async def _is_over_within(self, seconds: float) -> bool:
        """Return whether the task that restores the Space ends within some seconds."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            try:
                states = await in_thread(
                    task_states, self.dag_id, self.run_id, [self.closing_task], self.map_index
                )
            except Exception as error:
                self.log.debug("Airflow does not say whether %s has ended: %s", self.closing_task, error)
                states = {}
            if states.get(self.closing_task) in FINAL_STATES:
                return True
            remaining = end - asyncio.get_running_loop().time()
            if remaining <= 0:
                return False
            await asyncio.sleep(min(_STATE_INTERVAL_SECONDS, remaining))
