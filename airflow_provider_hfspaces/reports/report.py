"""All that a page on an owner's Spaces is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_hfspaces.hub.cost.billing import BilledUsage
from airflow_provider_hfspaces.hub.cost.prices import FleetCost, PriceList
from airflow_provider_hfspaces.hub.models import SpaceInfo
from airflow_provider_hfspaces.reports.history import History

__all__ = ["CostReport"]


@dataclass(frozen=True)
class CostReport:
    """One look at an owner's Spaces.

    :ivar at: when, in UTC.
    :ivar endpoint: address of the Hub, for links.
    :ivar spaces: by id.
    :ivar usage: what the Hub says that it billed; ``None`` where that could not be read.
    :ivar no_usage: why it could not be.
    :ivar history: of past reports and this one.
    :ivar selection: which Spaces were looked at, in words, if not all.
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
