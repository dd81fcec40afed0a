"""The savings in the reports of RestartSpacesOperator.

Come here to change which reports the cost report accepts, and how it counts them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.rendered import from_text
from airflow_provider_hfspaces.reports.words import is_plausible, parse_time

__all__ = ["Restarts", "restarts"]


@dataclass(frozen=True)
class Restarts:
    """The reports of restarts that the cost report counts."""

    reports: tuple[Mapping[str, Any], ...]

    def savings_of(self, owner: str, log: Any) -> list[dict[str, Any]]:
        """Return the savings of one owner, as entries of a history. Dry runs save nothing.

        Reports with the same time, such as those of mapped tasks, become one entry.
        """
        entries: dict[Any, dict[str, Any]] = {}
        counted: list[Mapping[str, Any]] = []
        for report in self.reports:
            about = report.get("owner")
            if report.get("dry_run"):
                log.info("The restart of %s is not counted: it was a dry run.", report["at"])
            elif about is not None and str(about).casefold() != owner.casefold():
                log.warning("The restart of %s is not counted: it is about %s.", report["at"], about)
            elif report not in counted:
                counted.append(report)
                entry, at = _entry(report), parse_time(report["at"])
                if not (entry["restarted"] or entry["failed"]):
                    continue  # a morning after a night in which nothing was paused
                entries[at] = _sum(entries[at], entry) if at in entries else entry
        return list(entries.values())


def restarts(value: Any) -> Restarts:
    """Read the ``savings`` of an operator: a report, several, none, or the text that a template renders.

    :raises InvalidInput: for anything else.
    """
    if isinstance(value, str):
        value = _from_text(value)
    if value is None:
        return Restarts(())
    if isinstance(value, Mapping):
        return Restarts((_checked(value),))
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        # A restart task that was skipped pushes no report.
        return Restarts(tuple(_checked(each) for each in value if each is not None))
    raise _not_a_report(value)


def _from_text(text: str) -> Any:
    if text.strip() in ("", "None"):
        return None
    try:
        return from_text(text)
    except ValueError:
        raise _not_a_report(text) from None


def _checked(report: Any) -> Mapping[str, Any]:
    if not isinstance(report, Mapping):
        raise _not_a_report(report)
    spaces = report.get("spaces")
    if (
        not isinstance(spaces, list)
        or not all(isinstance(each, Mapping) for each in spaces)
        or report.get("action") != "restart"
        or parse_time(report.get("at")) is None
        or not all(each.get("saved") is None or is_plausible(each["saved"]) for each in (report, *spaces))
    ):
        raise _not_a_report(report)
    return report


def _entry(report: Mapping[str, Any]) -> dict[str, Any]:
    outcomes = [each.get("outcome") for each in report["spaces"]]
    saved = report.get("saved")
    if saved is None:
        saved = math.fsum(each.get("saved") or 0 for each in report["spaces"])
    return {
        "at": report["at"],
        "saved": round(saved, 6),
        "restarted": outcomes.count("restarted"),
        "failed": outcomes.count("failed"),
    }


def _sum(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {name: one[name] + other[name] for name in ("saved", "restarted", "failed")}
    return {"at": one["at"], **numbers, "saved": round(numbers["saved"], 6)}


def _not_a_report(value: Any) -> InvalidInput:
    return InvalidInput(
        f"savings must be the report of a RestartSpacesOperator or a list of them; got {value!r:.200}."
    )
