"""Prints how long each takeover of a lease took, at the end of the tests."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest

from tests.processes.leased import TAKEOVERS, Takeover

_PROPERTY = "takeover"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> None:
    """Attach what was measured to the report of the test, which reaches the main process of xdist."""
    item.user_properties.extend((_PROPERTY, astuple(each)) for each in TAKEOVERS)
    TAKEOVERS.clear()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table."""
    rows = [
        Takeover(*value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for name, value in report.user_properties
        if name == _PROPERTY
    ]
    if not rows:
        return
    terminalreporter.section("how long a takeover took")
    width = max(len(each.event) for each in rows)
    for each in sorted(rows, key=lambda each: each.event):
        terminalreporter.write_line(f"{each.event:{width}}  {each.seconds:5.0f} s  until {each.until}")
