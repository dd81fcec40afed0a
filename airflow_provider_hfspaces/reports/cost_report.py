"""The data of a report on an owner's Spaces.

Come here to give the report another source of data; ``operators/cost_reporting.py`` collects the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_hfspaces.hub.cost.billing import BilledUsage
from airflow_provider_hfspaces.hub.cost.prices import FleetCost, PriceList
from airflow_provider_hfspaces.hub.models import SpaceInfo
from airflow_provider_hfspaces.reports.history import History
from airflow_provider_hfspaces.state.run_costs import DailyCost

__all__ = ["CostReport"]


@dataclass(frozen=True)
class CostReport:
    """An owner's Spaces and what they cost, at one point in time.

    :ivar at: the time of the report, in UTC.
    :ivar endpoint: the address of the Hub, for links.
    :ivar spaces: the Spaces by id.
    :ivar history: past reports and this one.
    :ivar usage: what the Hub billed; ``None`` if it could not be read.
    :ivar no_usage: why the billing could not be read.
    :ivar runs: what the runs of this Airflow cost in the last sixty days; ``None`` if that could not be read.
    :ivar selection: which Spaces the report is about, in words; ``None`` for all of them.
    """

    owner: str
    at: datetime
    endpoint: str
    spaces: Mapping[str, SpaceInfo]
    prices: PriceList
    fleet: FleetCost
    history: History
    usage: BilledUsage | None = None
    no_usage: str | None = None
    selection: str | None = None
    runs: tuple[DailyCost, ...] | None = ()
