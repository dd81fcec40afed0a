"""The columns of the fleet page, in one list that the server and the page read.

Come here to add a column: one entry in :data:`COLUMNS`. The server sends the list with the connections, and
fills the field of each column from its ``value``. The page renders a column by its ``kind``, and shows the
value as text for kind ``text``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_hfspaces.hub.cost.prices import PriceList, replicas_of
from airflow_provider_hfspaces.hub.models import SpaceInfo, SpaceRuntime
from airflow_provider_hfspaces.hub.stages import (
    DORMANT_STAGES,
    ERROR_STAGES,
    SERVING_STAGES,
    STARTING_STAGES,
    UNPAUSABLE_STAGES,
    WILL_BE_BILLED_STAGES,
    SpaceStage,
)

__all__ = ["COLUMNS", "Column", "SpaceFacts", "columns_for_page", "plain_json", "row_of"]


@dataclass(frozen=True)
class SpaceFacts:
    """What the Hub reports about one Space.

    :ivar space: the Space's description, from the owner's list.
    :ivar runtime: its newest runtime; ``None`` if the Hub sent none.
    :ivar prices: the Hub's price list; empty if it could not be read.
    :ivar endpoint: the address of the Hub.
    """

    space: SpaceInfo
    runtime: SpaceRuntime | None
    prices: PriceList
    endpoint: str


@dataclass(frozen=True)
class Column:
    """One column of the page.

    :ivar key: the name of the row's field that the column sorts by; the page fills ``runs`` itself.
    :ivar label: the heading.
    :ivar kind: how the page renders a cell: ``text``, ``space``, ``stage``, ``hardware``, ``cost``,
        ``duration``, ``time`` or ``runs``.
    :ivar value: computes the field; ``None`` where nothing is known.
    :ivar is_number: whether the cells are aligned to the right.
    :ivar is_descending: whether the first click on the heading sorts the largest values to the top.
    """

    key: str
    label: str
    kind: str
    value: Callable[[SpaceFacts], Any]
    is_number: bool = False
    is_descending: bool = False


def _of_runtime(read: Callable[[SpaceRuntime], Any]) -> Callable[[SpaceFacts], Any]:
    return lambda facts: None if facts.runtime is None else read(facts.runtime)


def _cost(facts: SpaceFacts) -> float | None:
    return None if facts.runtime is None else facts.prices.of_space(facts.runtime)


COLUMNS = (
    Column("repo_id", "Space", "space", lambda facts: facts.space.id),
    Column("stage", "Stage", "stage", _of_runtime(lambda runtime: runtime.stage)),
    Column("hardware", "Hardware", "hardware", _of_runtime(lambda runtime: runtime.hardware)),
    Column("cost", "Cost per hour", "cost", _cost, is_number=True, is_descending=True),
    Column("sleep_time", "Sleeps after", "duration", _of_runtime(lambda runtime: runtime.sleep_time)),
    Column("modified", "Last change", "time", lambda facts: facts.space.last_modified, is_descending=True),
    Column("runs", "DAG runs", "runs", lambda facts: None, is_descending=True),
)
"""The columns, from left to right."""


def columns_for_page() -> list[dict[str, Any]]:
    """Return the columns as the page reads them."""
    return [
        {
            "key": column.key,
            "label": column.label,
            "kind": column.kind,
            "number": column.is_number,
            "descending": column.is_descending,
        }
        for column in COLUMNS
    ]


def row_of(
    space: SpaceInfo, prices: PriceList, endpoint: str, runtime: SpaceRuntime | None = None
) -> dict[str, Any]:
    """Return a Space as the page shows it: the field of each column, and what its cells show besides.

    :param runtime: the Space's runtime, if a newer one is known than that of ``space``.
    :returns: plain JSON. ``cost`` is USD per hour now and ``cost_running`` USD per hour when the Space runs,
        each ``None`` if no price is known. ``starting`` is True if the Space will be billed when its build is
        done.
    """
    runtime = runtime or space.runtime
    facts = SpaceFacts(space, runtime, prices, endpoint)
    row: dict[str, Any] = {column.key: column.value(facts) for column in COLUMNS if column.kind != "runs"}
    row |= {
        "url": f"{endpoint}/spaces/{space.id}",
        "private": bool(space.private),
        "sdk": space.sdk if isinstance(space.sdk, str) else None,
        "static": space.sdk == "static" or (runtime is not None and runtime.is_static),
        "stage_kind": _stage_kind(runtime),
        "pausable": _is_pausable(space, runtime),
        "requested": runtime and runtime.requested_hardware,
        "replicas": replicas_of(runtime) if runtime else 1,
        "error": runtime and runtime.error_message,
        "billed": runtime is not None and runtime.is_billed,
        "starting": _is_starting(runtime, prices),
        "cost_running": None if runtime is None else prices.if_running(runtime),
    }
    plain: dict[str, Any] = plain_json(row)
    return plain


def _stage_kind(runtime: SpaceRuntime | None) -> str:
    """Return the kind of stage, for which the page has a colour and a sign; empty for other stages."""
    stage = runtime.stage if runtime else None
    if stage in STARTING_STAGES or stage == SpaceStage.DELETING:
        return "busy"
    if stage in SERVING_STAGES:
        return "good"
    if stage in ERROR_STAGES:
        return "bad"
    return "rest" if stage in DORMANT_STAGES else ""


def _is_pausable(space: SpaceInfo, runtime: SpaceRuntime | None) -> bool:
    if runtime is None or runtime.is_static or space.sdk == "static":
        return False
    return runtime.stage not in UNPAUSABLE_STAGES


def _is_starting(runtime: SpaceRuntime | None, prices: PriceList) -> bool:
    if runtime is None or runtime.is_billed or runtime.stage not in WILL_BE_BILLED_STAGES:
        return False
    return prices.if_running(runtime) != 0


def plain_json(value: Any) -> Any:
    """Return a value that JSON can carry, whatever the Hub has sent.

    Numbers that are not finite become ``None``, and surrogates without a partner become question marks.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(each) for each in value]
    return value if isinstance(value, (int, type(None))) else str(value)
