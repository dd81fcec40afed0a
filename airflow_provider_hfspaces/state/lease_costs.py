"""What a lease costs, computed from its own record: so far, or at its end.

Come here for leases that are still held, and for leases that the janitor, the page in Airflow's UI or the
command line releases. A run that restores its Space itself has seen more of the Space, and reports its own
cost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub.cost.runs import RunCost, Sighting
from airflow_provider_hfspaces.state.pricing import cost_of_sightings, seen_at_end

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.cost.prices import PriceList
    from airflow_provider_hfspaces.hub.lease.actions import Taken
    from airflow_provider_hfspaces.hub.lease.record import LeaseHolder
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["LeaseWindow", "cost_so_far"]


def cost_so_far(
    holder: LeaseHolder,
    hardware: str | None,
    replicas: int,
    prices: PriceList,
    now: datetime,
    *,
    has_stopped: bool = False,
) -> RunCost:
    """Return the most that a lease can have cost so far: when its app started is not known.

    :param holder: the holder of the lease.
    :param hardware: the flavor that the Hub bills now; ``None`` while nothing runs.
    :param prices: the Hub's price list; empty if it is not known.
    :param now: the present moment, in UTC.
    :param has_stopped: whether the Space is asleep, paused or has failed. Until now it may have run on the
        hardware that the lease requested.
    """

    requested = frozenset(holder.requested)
    if hardware is None and has_stopped and holder.requested:
        hardware = holder.requested[-1]
    seen = [Sighting(holder.since, None), Sighting(now, hardware, replicas)]
    return RunCost.from_sightings(seen, requested, prices)


@dataclass(frozen=True)
class LeaseWindow:
    """What is known of the hardware window of a lease that was taken over and whose Space was restored.

    :ivar sightings: what was seen of the Space.
    :ivar requested: the flavors that were requested under the lease.
    """

    repo_id: str
    sightings: tuple[Sighting, ...]
    requested: tuple[str, ...]

    @classmethod
    def from_release(
        cls, hook: HfSpacesHook, repo_id: str, taken: Taken, at: datetime, after: SpaceRuntime, log: Any
    ) -> LeaseWindow | None:
        """Return what is known after the restore; ``None`` if the lease has no time of its request.

        Endpoint: ``GET /api/spaces/{repo_id}/logs/run``, which says when the app was started.

        :param taken: the lease that was taken over, with the runtime of the Space before the restore.
        :param at: when it was taken over, in UTC.
        :param after: the runtime after the restore.
        """

        first, requested = Sighting.from_snapshot(taken.previous), taken.holder.requested
        announced_at = taken.holder.requested_at
        if not taken.inherited or first is None or not requested or announced_at is None:
            return None
        announced = replace(first, at=max(announced_at, first.at), destination=requested[-1])
        seen = seen_at_end(
            hook,
            repo_id,
            taken.runtime,
            at=at,
            requested_at=announced_at,
            hardware=requested[-1],
            log=log,
        )
        last = Sighting.from_runtime(after, hook.clock())
        return cls(repo_id, (first, announced, *seen, last), requested)

    @property
    def began(self) -> datetime:
        """When the window began, in UTC."""
        return self.sightings[0].at

    def cost(self, hook: HfSpacesHook, log: Any) -> RunCost:
        """Return what the window cost, at the Hub's present list prices.

        Endpoint: ``GET /api/spaces/hardware``, if something was billed.
        """

        return cost_of_sightings(hook, self.sightings, self.requested, log)
