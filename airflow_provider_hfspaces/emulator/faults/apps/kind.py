"""AppKind, the type of each kind of fault that strikes requests to apps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.apps.call import AppCall
    from airflow_provider_hfspaces.emulator.faults.rules import Fault

__all__ = ["AppKind"]


@dataclass(frozen=True)
class AppKind:
    """One kind of fault that strikes requests to apps.

    :ivar description: one line for the documentation.
    :ivar strike: handles the request with the fault's effect.
    :ivar needs_seconds: whether ``seconds`` is required.
    :ivar skips: whether the request does not reach the app, unless the fault has ``after=True``.
    """

    description: str
    strike: Callable[[Fault, AppCall], Awaitable[None]]
    needs_seconds: bool = False
    skips: bool = False
