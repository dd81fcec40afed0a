"""What a kind of fault of an app consists of."""

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
    """What one kind of fault does to a request to an app.

    :ivar description: one line for the documentation.
    :ivar strike: answers the request, or does not.
    :ivar needs_seconds: whether ``seconds`` is required.
    :ivar skips: whether the app does not see the request, unless the fault says ``after=True``.
    """

    description: str
    strike: Callable[[Fault, AppCall], Awaitable[None]]
    needs_seconds: bool = False
    skips: bool = False
