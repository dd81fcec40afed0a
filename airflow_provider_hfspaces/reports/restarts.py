"""What the reports of RestartSpacesOperator say of savings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.rendered import from_text
from airflow_provider_hfspaces.reports.words import is_plausible, parsed

__all__ = ["Restarts", "restarts"]


@dataclass(frozen=True)
class Restarts:
    """Reports that have been checked."""

    reports: tuple[Mapping[str, Any], ...]

    def of(self, owner: str, log: Any) -> list[dict[str, Any]]:
        """The savings of those about this owner, as a history keeps them. A dry run saved nothing.

        Reports of one moment, as mapped tasks make them, are one entry.
        """
        entries: dict[Any, dict[str, Any]] = {}
        counted: list[Mapping[str, Any]] = []
        for report in self.reports:
            about = report.get("owner")
            if report.get("dry_run"):
                log.info("The restart of %s was a dry run, which saves nothing.", report["at"])
            elif about is not None and str(about).casefold() != owner.casefold():
                log.warning("The restart of %s is about %s and is not counted.", report["at"], about)
            elif report not in counted:
                counted.append(report)
                entry, at = _entry(report), parsed(report["at"])
                if not (entry["restarted"] or entry["failed"]):
                    continue  # a morning after a night in which nothing was paused
                entries[at] = _sum(entries[at], entry) if at in entries else entry
        return list(entries.values())


def restarts(given: Any) -> Restarts:
    """Read what a user gave: a report, several, none, or one of these as a template renders it.

    :raises InvalidInput: for anything else.
    """
    if isinstance(given, str):
        given = _from_text(given)
    if given is None:
        return Restarts(())
    if isinstance(given, Mapping):
        return Restarts((_checked(given),))
    if isinstance(given, Iterable) and not isinstance(given, (str, bytes)):
        # A run in which nothing was restarted pushes nothing.
        return Restarts(tuple(_checked(each) for each in given if each is not None))
    raise _not_a_report(given)


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
        or parsed(report.get("at")) is None
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


def _not_a_report(given: Any) -> InvalidInput:
    return InvalidInput(
        f"savings takes what RestartSpacesOperator returns, or a list of that; got {given!r:.200}."
    )
