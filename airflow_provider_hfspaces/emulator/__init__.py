"""A Hub on localhost: the Spaces API of Hugging Face for demos and tests, without a bill.

``python -m airflow_provider_hfspaces.emulator`` serves it; :class:`HubEmulator` starts the same
inside a test. Needs the extra ``emulator``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.faults.rules import Fault
    from airflow_provider_hfspaces.emulator.handle import SpaceHandle
    from airflow_provider_hfspaces.emulator.server import HubEmulator
    from airflow_provider_hfspaces.emulator.settings import Settings, Timings

__all__ = ["Fault", "HubEmulator", "Settings", "SpaceHandle", "Timings"]

_PLACES = {
    "Fault": "faults.rules",
    "HubEmulator": "server",
    "Settings": "settings",
    "SpaceHandle": "handle",
    "Timings": "settings",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that pytest's start-up does not pay for a web server that no test may use.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_PLACES[name]}")
    except ModuleNotFoundError as missing:
        if missing.name not in ("starlette", "uvicorn"):
            raise
        raise ImportError(
            "The emulator needs starlette and uvicorn: pip install 'airflow-provider-hfspaces[emulator]'"
        ) from missing
    return getattr(module, name)
