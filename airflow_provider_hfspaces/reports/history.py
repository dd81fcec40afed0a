"""What past reports said, kept in the page itself."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_hfspaces.hub.cost.prices import FleetCost
from airflow_provider_hfspaces.reports.markup import Markup
from airflow_provider_hfspaces.reports.words import is_plausible, parsed

__all__ = ["MOST", "DamagedHistory", "History", "On"]

MOST = 400
"""Entries of a kind that are kept; the oldest go first."""

_ELEMENT = '<script type="application/json" id="hf-spaces-history">'
_IN_PAGE = re.compile(re.escape(_ELEMENT) + r"(.*?)</script>", re.DOTALL)


class DamagedHistory(ValueError):
    """A page that holds no history that can be read."""


@dataclass(frozen=True)
class On:
    """Since when a Space has been seen on billed hardware, and in its stage, in every report.

    :ivar since: of the first report in a row that saw it on this hardware, as ISO 8601.
    :ivar stage_since: likewise for the stage.
    """

    hardware: str
    since: str
    stage: str
    stage_since: str


@dataclass(frozen=True)
class History:
    """What past reports about an owner said, oldest first.

    :ivar fleet: ``{"at", "hourly_cost", "spaces", "billed", "unknown"}`` of each report.
    :ivar savings: ``{"at", "saved", "restarted", "failed"}`` of each morning's restart.
    :ivar on: what is on since when, by Space.
    :ivar dropped: how many entries could not be read.
    """

    owner: str
    fleet: tuple[dict[str, Any], ...] = ()
    savings: tuple[dict[str, Any], ...] = ()
    on: Mapping[str, On] = field(default_factory=dict)
    dropped: int = 0

    @classmethod
    def from_page(cls, page: str) -> History:
        """The history in a page that :meth:`element` is part of.

        :raises DamagedHistory: if there is none that can be read.
        """
        found = _IN_PAGE.search(page)
        if found is None:
            raise DamagedHistory("there is no history in it")
        try:
            said = json.loads(found[1])
            owner, fleet, savings, on = said["owner"], said["fleet"], said["savings"], said["on"]
            readable = {repo_id: On(**each) for repo_id, each in on.items() if _is_on(each)}
            fleet_kept = tuple(each for each in fleet if _is_entry(each, _FLEET))
            savings_kept = tuple(each for each in savings if _is_entry(each, _SAVINGS))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DamagedHistory("its history is no JSON of a report") from error
        kept = len(readable) + len(fleet_kept) + len(savings_kept)
        dropped = len(on) + len(fleet) + len(savings) - kept
        return cls(str(owner), fleet_kept, savings_kept, readable, dropped)

    def element(self) -> Markup:
        """The history as an element of a page, which no browser shows or runs."""
        on = {repo_id: vars(each) for repo_id, each in self.on.items()}
        said = {"owner": self.owner, "fleet": self.fleet, "savings": self.savings, "on": on}
        text = json.dumps(said, allow_nan=False)
        # Nothing in it may end the element.
        for character in "<>&":
            text = text.replace(character, f"\\u{ord(character):04x}")
        return Markup(f"{_ELEMENT}{text}</script>")

    def with_report(
        self, at: datetime, fleet: FleetCost, savings: Iterable[Mapping[str, Any]] = ()
    ) -> History:
        """The history with a further report.

        :param at: when the report was made.
        :param savings: entries of :attr:`savings`; one whose ``at`` is known already is not counted
            again.
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
                on[space.repo_id] = On(
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
        """USD, over all entries that are kept."""
        return round(math.fsum(each["saved"] for each in self.savings), 2)


_FLEET = ("hourly_cost", "spaces", "billed", "unknown")
_SAVINGS = ("saved", "restarted", "failed")


def _joined(known: Iterable[dict[str, Any]], new: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    by_moment: dict[datetime | None, dict[str, Any]] = {}
    for each in (*known, *new):
        by_moment.setdefault(parsed(each["at"]), each)
    return tuple(each for _, each in sorted(by_moment.items(), key=lambda item: str(item[0])))[-MOST:]


def _is_entry(entry: Any, numbers: tuple[str, ...]) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == {"at", *numbers}
        and parsed(entry["at"]) is not None
        and all(is_plausible(entry[name]) for name in numbers)
    )


def _is_on(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == {"hardware", "since", "stage", "stage_since"}
        and all(isinstance(value, str) for value in entry.values())
        and parsed(entry["since"]) is not None
        and parsed(entry["stage_since"]) is not None
    )
