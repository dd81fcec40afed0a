"""The page on what an owner's Spaces cost: one file, with no script and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_hfspaces.reports import sections
from airflow_provider_hfspaces.reports.findings import Finding
from airflow_provider_hfspaces.reports.markup import Markup, tag
from airflow_provider_hfspaces.reports.report import CostReport
from airflow_provider_hfspaces.reports.style import STYLE
from airflow_provider_hfspaces.reports.words import moment

__all__ = ["cost_page"]

# Should something hostile get in all the same, the browser neither runs nor loads it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def cost_page(report: CostReport, found: Sequence[Finding]) -> str:
    """The whole page, as HTML.

    :param found: what is on and should perhaps not be.
    """
    title = f"What the Spaces of {report.owner} cost"
    of = f" {report.selection}" if report.selection else ""
    prices = f"Estimates from the Hub's list prices, as read on {moment(report.prices.as_of)}."
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", title),
        tag("style", STYLE),
    )
    body = tag(
        "main",
        tag("h1", title),
        tag("p", f"{moment(report.at)}.{of} {prices}", class_="soft"),
        sections.numbers(report),
        sections.concerns(report, found),
        sections.hardware(report),
        sections.fleet(report),
        sections.billed(report),
        sections.over_time(report),
        sections.savings(report),
        _footer(report),
    )
    page = tag("html", head, tag("body", body, report.history.element()), lang="en")
    return f"<!doctype html>\n{page}\n"


def _footer(report: CostReport) -> Markup:
    return tag(
        "footer",
        tag(
            "p",
            "The Hub bills each replica by the begun minute while a Space starts and runs on hardware that "
            "costs. The estimates leave out credits, agreements, taxes and storage. The Hub's price list "
            f"has no date of its own; this one was read on {moment(report.prices.as_of)}.",
        ),
    )
