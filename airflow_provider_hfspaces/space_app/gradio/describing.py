"""The steps of reading what an app declares of itself."""

from __future__ import annotations

from typing import Any

from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.space_app.core import AppCore, Deadline
from airflow_provider_hfspaces.space_app.errors import AppRejected, NotGradio
from airflow_provider_hfspaces.space_app.gradio.description import AppDescription

__all__ = ["describe"]

SUPPORTED_PROTOCOL = "sse_v3"
_FORM_ERRORS = (AttributeError, LookupError, TypeError, ValueError)


def describe(core: AppCore, deadline: Deadline) -> Steps[AppDescription]:
    """The steps of reading ``/config`` and ``/info``, once for all calls of a client.

    :raises NotGradio: if the app is not a Gradio app, or an old one.
    """
    if core.description is not None:
        known: AppDescription = core.description
        return known
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
        description = AppDescription.from_payloads(config, info)
    except _FORM_ERRORS as problem:
        raise core.words.protocol("GET /info", f"sent an unknown form ({type(problem).__name__})") from None
    core.description = description
    return description


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
