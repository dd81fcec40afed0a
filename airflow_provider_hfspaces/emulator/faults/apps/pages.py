"""The faults ``status`` and ``html``: an error page of the edge, or a placeholder page with status 200."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

from airflow_provider_hfspaces.emulator.apps.pages import error_page
from airflow_provider_hfspaces.emulator.faults.apps.kind import AppKind

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.apps.call import AppCall
    from airflow_provider_hfspaces.emulator.faults.rules import Fault

__all__ = ["HTML", "STATUS"]

_PLACEHOLDER = (
    "<!doctype html><html><head><title>Spaces</title></head><body><h1>Preparing Space</h1></body></html>"
)


async def _status(fault: Fault, call: AppCall) -> None:
    if fault.after:
        await call.forward_unheard()
    response = error_page(fault.status or 502)
    if fault.seconds is not None:
        response.headers["Retry-After"] = f"{fault.seconds:g}"
    await call.respond(response)


async def _html(fault: Fault, call: AppCall) -> None:
    if fault.after:
        await call.forward_unheard()
    await call.respond(HTMLResponse(fault.message or _PLACEHOLDER, fault.status or 200))


STATUS = AppKind(
    "an error page of the edge, 502 by default, as for a Space that is RUNNING while its app does not serve",
    _status,
    skips=True,
)
HTML = AppKind("an HTML page with status 200 by default, such as a placeholder", _html, skips=True)
