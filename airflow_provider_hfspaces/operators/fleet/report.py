"""Reports of the fleet operators: JSON for an XCom, and a table for the log."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.text import text_table
from airflow_provider_hfspaces.operators.fleet.target import FAILED, LEFT_ALONE
from airflow_provider_hfspaces.rendered import from_text

__all__ = ["now", "only_owner", "read_reports", "summary", "total"]

_MAX_REASONS = 10


def now() -> str:
    """The current time in UTC, as ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def only_owner(entries: Iterable[Mapping[str, Any]]) -> str | None:
    """The owner of all these Spaces; ``None`` if there are several or none."""
    owners = {each["repo_id"].partition("/")[0].casefold(): each["repo_id"] for each in entries}
    return next(iter(owners.values())).partition("/")[0] if len(owners) == 1 else None


def total(entries: Iterable[Mapping[str, Any]], outcomes: Iterable[str], figure: str) -> float:
    """The sum of a figure, in USD, over the Spaces with one of these outcomes. Unknown amounts count as 0.

    :param figure: the key of the amount in each entry.
    """
    wanted = frozenset(outcomes)
    amounts = (each.get(figure) for each in entries if each["outcome"] in wanted)
    return round(math.fsum(each for each in amounts if each is not None), 6)


def summary(report: Mapping[str, Any], done: str, figure: str, column: str) -> str:
    """A table by hardware with totals, and the reasons why Spaces were left alone.

    :param done: the outcome that counts, such as ``paused`` or ``would be paused``.
    :param figure: the key of the amount to add up.
    :param column: the heading of the amounts.
    """

    if not report["spaces"]:
        return ""
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
    reasons = Counter(each["reason"] for each in report["spaces"] if each["outcome"] == LEFT_ALONE)
    left_alone = [f"Left alone: {count:,}, {reason}." for reason, count in reasons.most_common(_MAX_REASONS)]
    return "\n".join(["", table, _label(report), *left_alone])


def _row(name: str, entries: Sequence[Mapping[str, Any]], done: str, figure: str) -> tuple[str, ...]:
    outcomes = Counter(each["outcome"] for each in entries)
    unknown = sum(each["outcome"] == done and each.get(figure) is None for each in entries)
    amount = f"{total(entries, [done], figure):,.2f}" + (f" + {unknown} unknown" if unknown else "")
    return name, *(f"{outcomes[each]:,}" for each in (done, LEFT_ALONE, FAILED)), amount


def _label(report: Mapping[str, Any]) -> str:
    as_of = report["prices_as_of"]
    if not as_of:
        return "Amounts are unknown: the Hub's price list could not be read."
    return f"Amounts are estimates from the Hub's list prices of {as_of[:16].replace('T', ' ')} UTC."


def read_reports(value: Any) -> dict[str, dict[str, Any]]:
    """The entries of paused Spaces in reports of pauses, by the lower-case id of the Space.

    :param value: a report or several, as objects or as the text that a template renders.
    :raises InvalidInput: for a value that is not such a report.
    """

    if isinstance(value, str):
        with suppress(ValueError):
            value = from_text(value)
    reports = [value] if isinstance(value, Mapping) else value
    paused: dict[str, dict[str, Any]] = {}
    try:
        for report in reports:
            if report["action"] != "pause":
                raise KeyError("action")
            for each in report["spaces"]:
                if each["outcome"] == "paused":
                    paused[each["repo_id"].casefold()] = dict(each)
                    datetime.fromisoformat(each["at"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidInput(
            f"report={value!r:.200} is not the report of a PauseSpacesOperator. Set report=pause.output, or "
            f"report_from to the name in the pause's report_to."
        ) from None
    return paused
