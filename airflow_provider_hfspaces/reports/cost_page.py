"""Renders the report on an owner's Spaces as an HTML page, from the templates in ``templates/``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from airflow_provider_hfspaces.hub.text import printable
from airflow_provider_hfspaces.reports import run_sections, sections
from airflow_provider_hfspaces.reports.cost_report import CostReport
from airflow_provider_hfspaces.reports.findings import Finding
from airflow_provider_hfspaces.reports.words import moment

__all__ = ["cost_page"]


def cost_page(report: CostReport, findings: Sequence[Finding]) -> str:
    """Return the whole page as HTML.

    :param findings: the Spaces that look forgotten.
    """
    return (
        _environment()
        .get_template("cost_page.html")
        .render(
            title=f"What the Spaces of {report.owner} cost",
            at=moment(report.at),
            selection=report.selection,
            prices_as_of=moment(report.prices.as_of),
            history=report.history.to_dict(),
            **sections.numbers(report),
            **sections.concerns(report, findings),
            **sections.hardware(report),
            **sections.spaces(report),
            **sections.billed(report),
            **sections.over_time(report),
            **sections.savings(report),
            **run_sections.runs(report),
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("airflow_provider_hfspaces.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _printable(value: Any) -> Any:
    """Return text without control characters, which the Hub may send. Markup of a template stays."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)
