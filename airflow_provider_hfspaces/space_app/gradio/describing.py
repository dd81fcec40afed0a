"""The steps of reading what an app declares of itself."""

from __future__ import annotations

from typing import Any

from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.space_app.core import AppCore, Deadline
from airflow_provider_hfspaces.space_app.errors import (
    AppRejected,
    NotGradio,
    SpaceAppError,
    error_from_dict,
)
from airflow_provider_hfspaces.space_app.gradio.description import AppDescription
from airflow_provider_hfspaces.space_app.http.exchange import Alone

__all__ = ["describe"]

SUPPORTED_PROTOCOL = "sse_v3"
DESCRIPTION_SECONDS = 60.0
"""How long a description counts. An app that was deployed again may take its inputs in another order."""

_FORM_ERRORS = (AttributeError, LookupError, TypeError, ValueError)


def describe(core: AppCore, deadline: Deadline) -> Steps[AppDescription]:
    """The steps of reading ``/config`` and ``/info``, once a minute for all calls of a client.

    :raises NotGradio: if the app is not a Gradio app, or an old one.
    """
    known = _cached(core)
    if known is None:
        failures = core.failures
        known = yield Alone(lambda: _read_once(core, deadline, failures))
    return known


def _cached(core: AppCore) -> AppDescription | None:
    is_new = core.clock() - core.described < DESCRIPTION_SECONDS
    return core.description if is_new else None


def _read_once(core: AppCore, deadline: Deadline, failures: int) -> Steps[AppDescription]:
    """Read it once for all calls that have waited for it, and fail once for them."""
    known = _cached(core)
    if known is not None:
        return known
    if core.failure is not None and core.failures > failures:
        raise error_from_dict(core.failure.to_dict())
    try:
        known = yield from _read(core, deadline)
    except SpaceAppError as error:
        core.failure = error
        core.failures += 1
        raise
    core.description, core.described = known, core.clock()
    return known


def _read(core: AppCore, deadline: Deadline) -> Steps[AppDescription]:
    try:
        config = yield from core.get_json("/config", deadline)
    except AppRejected as error:
        raise _not_gradio(core, f"it answers GET /config with {error.status}") from None
    if not _is_config(config):
        raise _not_gradio(core, "its /config is not Gradio's")
    protocol = str(config.get("protocol") or "ws")
    if protocol != SUPPORTED_PROTOCOL:
        raise NotGradio(
            f"Space {core.repo_id} runs Gradio {config.get('version')}, whose protocol {protocol!r:.20} is "
            f"too old. "
            f"Update the app to Gradio 4.44 or newer.",
            repo_id=core.repo_id,
        )
    prefix = str(config.get("api_prefix") or "").rstrip("/")
    info = yield from core.get_json(f"{prefix}/info", deadline, query={"serialize": "False"})
    try:
        return AppDescription.from_payloads(config, info)
    except _FORM_ERRORS as problem:
        raise core.words.protocol("GET /info", f"sent an unknown form ({type(problem).__name__})") from None


def _is_config(config: Any) -> bool:
    return (
        isinstance(config, dict)
        and isinstance(config.get("dependencies"), list)
        and isinstance(config.get("components"), list)
        and "version" in config
    )


def _not_gradio(core: AppCore, reason: str) -> NotGradio:
    return NotGradio(
        f"Space {core.repo_id} does not run a Gradio app: {reason}. Call it with a path instead of api, or "
        f"set root "
        f"to the path under which the app mounts Gradio.",
        repo_id=core.repo_id,
    )
