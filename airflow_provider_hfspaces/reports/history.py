"""The history of past reports, which the page itself stores.

Come here to change what a report keeps for later reports.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_hfspaces.hub.cost.prices import FleetCost
from airflow_provider_hfspaces.reports.words import is_plausible, parse_time

__all__ = ["MAX_ENTRIES", "DamagedHistory", "History", "PaidSpace"]

MAX_ENTRIES = 400
"""Number of entries of a kind that are stored; the oldest are dropped."""

_ELEMENT = re.compile(r'<script type="application/json" id="hf-spaces-history">(.*?)</script>', re.DOTALL)


class DamagedHistory(ValueError):
    """The page stores no history, or its history cannot be read."""


@dataclass(frozen=True)
class PaidSpace:
    """A Space on paid hardware, with the times since when every report has seen it there.

    :ivar since: time of the first of consecutive reports on this hardware, as ISO 8601.
    :ivar stage_since: time of the first of consecutive reports in this stage, as ISO 8601.
    """

    hardware: str
    since: str
    stage: str
    stage_since: str


@dataclass(frozen=True)
class History:
    """Past reports about an owner, the oldest first.

    :ivar fleet: ``{"at", "hourly_cost", "spaces", "billed", "unknown"}`` for each report.
    :ivar savings: ``{"at", "saved", "restarted", "failed"}`` for each restart.
    :ivar on: the Spaces on paid hardware, by id.
    :ivar dropped: number of stored entries that could not be read, and are left out.
    """

    owner: str
    fleet: tuple[dict[str, Any], ...] = ()
    savings: tuple[dict[str, Any], ...] = ()
    on: Mapping[str, PaidSpace] = field(default_factory=dict)
    dropped: int = 0

    @classmethod
    def from_page(cls, page: str) -> History:
        """Read the history that a page stores.

        :raises DamagedHistory: if the page stores none, or if it cannot be read.
        """
        element = _ELEMENT.search(page)
        if element is None:
            raise DamagedHistory("it contains no history")
        try:
            stored = json.loads(element[1])
            owner, fleet, savings, on = stored["owner"], stored["fleet"], stored["savings"], stored["on"]
            readable = {repo_id: PaidSpace(**each) for repo_id, each in on.items() if _is_on(each)}
            fleet_kept = tuple(each for each in fleet if _is_entry(each, _FLEET))
            savings_kept = tuple(each for each in savings if _is_entry(each, _SAVINGS))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DamagedHistory("its history cannot be read") from error
        kept = len(readable) + len(fleet_kept) + len(savings_kept)
        dropped = len(on) + len(fleet) + len(savings) - kept
        return cls(str(owner), fleet_kept, savings_kept, readable, dropped)

    def to_dict(self) -> dict[str, Any]:
        """Return the history as plain JSON, as a page stores it."""
        on = {repo_id: vars(each) for repo_id, each in self.on.items()}
        return {"owner": self.owner, "fleet": self.fleet, "savings": self.savings, "on": on}

    def with_report(
        self, at: datetime, fleet: FleetCost, savings: Iterable[Mapping[str, Any]] = ()
    ) -> History:
        """Return the history with one more report.

        :param at: the time of the report.
        :param savings: new entries of :attr:`savings`. An entry whose ``at`` is already stored is ignored.
        """
        entry = {
            "at": at.isoformat(),
            "hourly_cost": fleet.hourly,
            "spaces": fleet.total.spaces,
            "billed": fleet.total.billed,
            "unknown": fleet.total.unknown,
        }
        on = {}
        for space in fleet.spaces:
            if (space.is_billed or space.will_be_billed) and space.hardware and space.stage:
                before, now = self.on.get(space.repo_id), at.isoformat()
                stays = before is not None and before.hardware == space.hardware
                same = stays and before is not None and before.stage == space.stage
                on[space.repo_id] = PaidSpace(
                    hardware=space.hardware,
                    since=before.since if before and stays else now,
                    stage=space.stage,
                    stage_since=before.stage_since if before and same else now,
                )
        return History(
            self.owner, _joined(self.fleet, [entry]), _joined(self.savings, map(dict, savings)), on
        )

    @property
    def saved(self) -> float:
        """USD saved, over all stored entries."""
        return round(math.fsum(each["saved"] for each in self.savings), 2)


_FLEET = ("hourly_cost", "spaces", "billed", "unknown")
_SAVINGS = ("saved", "restarted", "failed")


def _joined(known: Iterable[dict[str, Any]], new: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    by_moment: dict[datetime | None, dict[str, Any]] = {}
    for each in (*known, *new):
        by_moment.setdefault(parse_time(each["at"]), each)
    return tuple(each for _, each in sorted(by_moment.items(), key=lambda item: str(item[0])))[-MAX_ENTRIES:]


def _is_entry(entry: Any, numbers: tuple[str, ...]) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == {"at", *numbers}
        and parse_time(entry["at"]) is not None
        and all(is_plausible(entry[name]) for name in numbers)
    )


def _is_on(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == {"hardware", "since", "stage", "stage_since"}
        and all(isinstance(value, str) for value in entry.values())
        and parse_time(entry["since"]) is not None
        and parse_time(entry["stage_since"]) is not None
    )
