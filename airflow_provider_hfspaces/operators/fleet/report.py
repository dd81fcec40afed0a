"""The reports of the fleet operators: plain JSON for an XCom, and a table for the log."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from airflow_provider_hfspaces.operators.fleet.base import FAILED, LEFT_ALONE
from airflow_provider_hfspaces.rendered import from_text

__all__ = ["now", "read_reports", "summary", "total"]

_MOST_REASONS = 10


def now() -> str:
    """This moment in UTC, as ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def total(entries: Iterable[Mapping[str, Any]], outcomes: Iterable[str], figure: str) -> float:
    """The sum of a figure, in USD, over the Spaces with one of these outcomes; unknown ones are left out."""
    wanted = frozenset(outcomes)
    known = (each.get(figure) for each in entries if each["outcome"] in wanted)
    return round(math.fsum(each for each in known if each is not None), 6)


def summary(report: Mapping[str, Any], done: str, figure: str, column: str) -> str:
    """A table by hardware, with totals, and why Spaces were left alone.

    :param done: the outcome that counts: ``paused``, or ``would be paused``.
    :param figure: which figure of each Space is summed up.
    :param column: what to call it.
    """
    from airflow_provider_hfspaces.hub.text import text_table

    groups: dict[str, list[Mapping[str, Any]]] = {}
    for each in report["spaces"]:
        groups.setdefault(each["hardware"] or "none", []).append(each)
    rows = [
        (total(entries, [done], figure), name, _row(name, entries, done, figure))
        for name, entries in groups.items()
    ]
    lines = [row for *_, row in sorted(rows, key=lambda row: (-row[0], row[1]))]
    if len(lines) != 1:
        lines.append(_row("all", report["spaces"], done, figure))
    table = text_table(("hardware", done, LEFT_ALONE, FAILED, column), lines, right=[1, 2, 3, 4])
    said = [table, _label(report)]
    reasons = Counter(each["reason"] for each in report["spaces"] if each["outcome"] == LEFT_ALONE)
    said.extend(f"Left alone: {count:,}, {reason}." for reason, count in reasons.most_common(_MOST_REASONS))
    return "\n".join(said)


def _row(name: str, entries: Sequence[Mapping[str, Any]], done: str, figure: str) -> tuple[str, ...]:
    outcomes = Counter(each["outcome"] for each in entries)
    unknown = sum(each["outcome"] == done and each.get(figure) is None for each in entries)
    amount = f"{total(entries, [done], figure):,.2f}" + (f" + {unknown} unknown" if unknown else "")
    return name, *(f"{outcomes[each]:,}" for each in (done, LEFT_ALONE, FAILED)), amount


def _label(report: Mapping[str, Any]) -> str:
    as_of = report["prices_as_of"]
    if not as_of:
        return "The Hub's price list could not be read, or was not needed: amounts are not known."
    return f"Amounts are estimates from the Hub's list prices of {as_of[:16].replace('T', ' ')} UTC."


def read_reports(given: Any) -> dict[str, dict[str, Any]]:
    """What reports of pauses say was paused, by the id of the Space in small letters.

    :param given: a report or several, as they are or as the text that a template makes of them.
    :raises InvalidInput: for anything else.
    """
    from airflow_provider_hfspaces.hub.checks import InvalidInput

    if isinstance(given, str):
        with suppress(ValueError):
            given = from_text(given)
    reports = [given] if isinstance(given, Mapping) else given
    found: dict[str, dict[str, Any]] = {}
    try:
        for report in reports:
            if report["action"] != "pause":
                raise KeyError("action")
            for each in report["spaces"]:
                if each["outcome"] == "paused":
                    found[each["repo_id"].casefold()] = dict(each)
                    datetime.fromisoformat(each["at"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidInput(
            f"No report of a PauseSpacesOperator: {given!r:.200}. Give report=pause.output, or what that "
            f"task has returned, or report_from= the name that the pause keeps it under."
        ) from None
    return found
