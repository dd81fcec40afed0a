"""The Hugging Face Hub on localhost, for demos and tests: the Spaces API without an account or a bill.

``python -m airflow_provider_hfspaces.emulator`` serves it. :class:`HubEmulator` starts it in a test::

    with HubEmulator(speed=600) as hub:
        space = hub.add_space("acme/whisper")
        ...  # connect to hub.url with hub.token

Requires the extra ``emulator``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.apps.choice import DockerApp, GradioApp
    from airflow_provider_hfspaces.emulator.apps.gradio.context import CallContext, GradioError
    from airflow_provider_hfspaces.emulator.faults.rules import Fault
    from airflow_provider_hfspaces.emulator.handle import SpaceHandle
    from airflow_provider_hfspaces.emulator.server import HubEmulator
    from airflow_provider_hfspaces.emulator.settings import Settings, Timings

__all__ = [
    "CallContext",
    "DockerApp",
    "Fault",
    "GradioApp",
    "GradioError",
    "HubEmulator",
    "Settings",
    "SpaceHandle",
    "Timings",
]

_MODULES = {
    "CallContext": "apps.gradio.context",
    "DockerApp": "apps.choice",
    "Fault": "faults.rules",
    "GradioApp": "apps.choice",
    "GradioError": "apps.gradio.context",
    "HubEmulator": "server",
    "Settings": "settings",
    "SpaceHandle": "handle",
    "Timings": "settings",
}


_load, __dir__ = lazy_names(__name__, _MODULES)


def __getattr__(name: str) -> Any:
    # Lazy, so that pytest starts without importing a web server that no test may need.
    try:
        return _load(name)
    except ModuleNotFoundError as missing:
        if missing.name not in ("starlette", "uvicorn"):
            raise
        raise ImportError(
            "The emulator requires starlette and uvicorn: pip install 'airflow-provider-hfspaces[emulator]'"
        ) from missing
