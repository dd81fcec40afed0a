"""The steps that read the declaration of a Gradio app, and share it between the calls of a client."""

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
"""The protocol of Gradio 4.44 and newer."""

DESCRIPTION_SECONDS = 60.0
"""Time for which a declaration is reused. A redeployed app may have its inputs in another order."""

_FORM_ERRORS = (AttributeError, LookupError, TypeError, ValueError)


def describe(core: AppCore, deadline: Deadline) -> Steps[AppDescription]:
    """The steps that read ``GET /config`` and ``GET /info``, at most once a minute for all calls of a client.

    :raises NotGradio: if the app is not a Gradio app, or its version of Gradio is too old.
    :raises SpaceAppError: a subclass for each other cause.
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
    """Read the declaration once for all calls that wait for it. An error is raised in all of them too."""
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
        raise _not_gradio(core, f"the app answers GET /config with {error.status}") from None
    if not _is_config(config):
        raise _not_gradio(core, "the app's /config is not that of Gradio")
    protocol = str(config.get("protocol") or "ws")
    if protocol != SUPPORTED_PROTOCOL:
        raise NotGradio(
            f"Space {core.repo_id} runs Gradio {config.get('version')}, whose protocol {protocol!r:.20} is "
            f"too old. Update the app to Gradio 4.44 or newer.",
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
        f"Space {core.repo_id} does not run a Gradio app: {reason}. Call the app with a path instead of api, "
        f"or set root to the path under which the app mounts Gradio.",
        repo_id=core.repo_id,
    )
