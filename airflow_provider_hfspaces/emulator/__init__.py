"""A Hub on localhost: the Spaces API of Hugging Face for demos and tests, without a bill.

``python -m airflow_provider_hfspaces.emulator`` serves it; :class:`HubEmulator` starts the same
inside a test. Needs the extra ``emulator``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.server import HubEmulator
    from airflow_provider_hfspaces.emulator.settings import Settings, Timings

__all__ = ["HubEmulator", "Settings", "Timings"]


def __getattr__(name: str) -> Any:
    # Lazy, so that pytest's start-up does not pay for a web server that no test may use.
    if name == "HubEmulator":
        from airflow_provider_hfspaces.emulator.server import HubEmulator

        return HubEmulator
    if name in ("Settings", "Timings"):
        from airflow_provider_hfspaces.emulator import settings

        return getattr(settings, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
