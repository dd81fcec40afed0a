"""The contents of the tables on a report. The templates in ``tables.html`` draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Cell", "SpaceLink", "StageCell", "Table"]


@dataclass(frozen=True)
class SpaceLink:
    """A cell with a link to the page of a Space."""

    repo_id: str
    address: str


@dataclass(frozen=True)
class StageCell:
    """A cell with a stage, and with the Hub's error message if there is one."""

    stage: str
    error: str | None


Cell = str | SpaceLink | StageCell


@dataclass(frozen=True)
class Table:
    """A table of a report.

    :ivar numbers: the columns with numbers, counted from 0.
    :ivar total: the cells of the last row; empty for no such row.
    :ivar visible_rows: the number of rows that are visible without unfolding the table.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: frozenset[int]
    caption: str
    total: Sequence[Cell] = ()
    visible_rows: int = 25
