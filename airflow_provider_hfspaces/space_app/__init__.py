"""Call the app inside a Space, in plain Python.

.. code-block:: python

    from airflow_provider_hfspaces.space_app import SpaceApp

    with SpaceApp("acme/whisper", "https://acme-whisper.hf.space", token) as app:
        print(app.call("/predict", {"text": "hello"}).value)

This module exports every public name, and imports its module when the name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.hub.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_hfspaces.space_app.app import SpaceApp
    from airflow_provider_hfspaces.space_app.errors import (
        AppCallCancelled,
        AppCallLost,
        AppFailed,
        AppInputTooLarge,
        AppLoginRequired,
        AppNotFound,
        AppProtocolError,
        AppQueueFull,
        AppRateLimited,
        AppRejected,
        AppTimeout,
        AppUnavailable,
        InvalidAppInput,
        NotGradio,
        SpaceAppError,
        UnknownEndpoint,
        error_from_dict,
        error_to_dict,
    )
    from airflow_provider_hfspaces.space_app.files import file_input, files_in
    from airflow_provider_hfspaces.space_app.gradio.description import (
        AppDescription,
        AppEndpoint,
        AppParameter,
    )
    from airflow_provider_hfspaces.space_app.health import AppHealth
    from airflow_provider_hfspaces.space_app.limits import AppLimits
    from airflow_provider_hfspaces.space_app.listener import AcceptedCall, AppListener, AppProgress
    from airflow_provider_hfspaces.space_app.plain import AppResponse, Poll
    from airflow_provider_hfspaces.space_app.result import AppResult
    from airflow_provider_hfspaces.space_app.started import StartedCall

__all__ = [
    "AcceptedCall",
    "AppCallCancelled",
    "AppCallLost",
    "AppDescription",
    "AppEndpoint",
    "AppFailed",
    "AppHealth",
    "AppInputTooLarge",
    "AppLimits",
    "AppListener",
    "AppLoginRequired",
    "AppNotFound",
    "AppParameter",
    "AppProgress",
    "AppProtocolError",
    "AppQueueFull",
    "AppRateLimited",
    "AppRejected",
    "AppResponse",
    "AppResult",
    "AppTimeout",
    "AppUnavailable",
    "InvalidAppInput",
    "NotGradio",
    "Poll",
    "SpaceApp",
    "SpaceAppError",
    "StartedCall",
    "UnknownEndpoint",
    "error_from_dict",
    "error_to_dict",
    "file_input",
    "files_in",
]

_MODULES = {
    "app": ("SpaceApp",),
    "errors": (
        "AppCallCancelled",
        "AppCallLost",
        "AppFailed",
        "AppInputTooLarge",
        "AppLoginRequired",
        "AppNotFound",
        "AppProtocolError",
        "AppQueueFull",
        "AppRateLimited",
        "AppRejected",
        "AppTimeout",
        "AppUnavailable",
        "InvalidAppInput",
        "NotGradio",
        "SpaceAppError",
        "UnknownEndpoint",
        "error_from_dict",
        "error_to_dict",
    ),
    "files": ("file_input", "files_in"),
    "gradio.description": ("AppDescription", "AppEndpoint", "AppParameter"),
    "health": ("AppHealth",),
    "limits": ("AppLimits",),
    "listener": ("AcceptedCall", "AppListener", "AppProgress"),
    "plain": ("AppResponse", "Poll"),
    "result": ("AppResult",),
    "started": ("StartedCall",),
}
__getattr__, __dir__ = lazy_names(
    __name__, {name: module for module, names in _MODULES.items() for name in names}
)
