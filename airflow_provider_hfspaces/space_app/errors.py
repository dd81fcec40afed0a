"""The exceptions of calls to the app inside a Space, as one tree. Come here to see what to catch.

SpaceAppError
├── InvalidAppInput       the call does not match the app's declaration; nothing was sent (also a ValueError)
│   └── UnknownEndpoint   the app has no such endpoint, or does not document it
├── NotGradio             the app is not a Gradio app, or its version of Gradio is too old
├── AppUnavailable        the app did not answer: check the Space's stage on the Hub
│   └── AppNotFound       401, 403 or 404 of the Hub's proxy: wrong address, or no access to the Space
├── AppQueueFull          the app's queue stayed full until the deadline
├── AppRateLimited        429: too many requests
├── AppLoginRequired      the app has a login of its own
├── AppRejected           the app rejects the input (400, 422 and other 4xx)
│   └── AppInputTooLarge  413, or a file above the app's limit
├── AppFailed             the app raised an error; the text has its message
├── AppCallLost           the app accepted the call, but its answer is lost
├── AppCallCancelled      another client cancelled the call in the app
├── AppTimeout            the call did not end before its deadline
└── AppProtocolError      an answer that the app's protocol does not allow, or an answer beyond the limits

Two attributes of each error decide what to do next. ``may_have_run`` is True if the app may have worked on
the call, so that another call may repeat the work. ``permanent`` is False if the same call, sent later, could
succeed.

:func:`error_to_dict` and :func:`error_from_dict` pass an error to another process.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_hfspaces.hub.errors import (
    InvalidInput,
    RegisteredError,
    error_from_dict,
    error_to_dict,
)

__all__ = [
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
]


class SpaceAppError(RegisteredError):
    """A call to the app inside a Space failed.

    ::

        try:
            app.call("/predict", ["hello"])
        except SpaceAppError as error:
            print(error.app_message, error.may_have_run, error.permanent)

    :ivar message: the text of the error.
    :ivar repo_id: the Space, as ``owner/name``.
    :ivar api: endpoint of the call, such as ``/predict``, or method and path of a plain request.
    :ivar status: HTTP status of the app's answer; ``None`` without an answer.
    :ivar app_message: the app's message; ``None`` without one.
    :ivar cause: why the app did not answer, in a few words; ``None`` for other errors.
    :ivar retry_after: seconds after which the app accepts calls again; ``None`` if it did not say.
    """

    permanent: bool = False
    """False if the same call, sent later, could succeed."""

    may_have_run: bool = False
    """True if the app may have worked on the call."""

    retry_after: float | None = None
    cause: str | None = None

    def __init__(
        self,
        message: str,
        *,
        repo_id: str,
        api: str | None = None,
        status: int | None = None,
        app_message: str | None = None,
        may_have_run: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.repo_id = repo_id
        self.api = api
        self.status = status
        self.app_message = app_message
        if may_have_run is not None:
            self.may_have_run = may_have_run

    def to_dict(self) -> dict[str, Any]:
        """Return the error as plain JSON, for :func:`error_from_dict`."""
        return error_to_dict(self)


class InvalidAppInput(SpaceAppError, InvalidInput):
    """The call does not match the app's declaration. Nothing was sent."""

    permanent = True


class UnknownEndpoint(InvalidAppInput):
    """The app has no such endpoint, or does not document it. Nothing was sent."""


class NotGradio(SpaceAppError):
    """The app is not a Gradio app, or its version of Gradio is too old."""

    permanent = True


class AppUnavailable(SpaceAppError):
    """The app did not answer, or the Hub's proxy answered with a page of its own.

    Check the Space's stage on the Hub for the reason.
    """


class AppNotFound(AppUnavailable):
    """401, 403 or 404 of the Hub's proxy: a wrong address, or a private Space that the token may not see."""


class AppQueueFull(SpaceAppError):
    """The app's queue stayed full until the deadline. The call did not run."""


class AppRateLimited(SpaceAppError):
    """429: too many requests. The call did not run."""


class AppLoginRequired(SpaceAppError):
    """The app has a login of its own, and the client has no valid user name and password for it."""

    permanent = True


class AppRejected(SpaceAppError):
    """The app rejects the input."""

    permanent = True


class AppInputTooLarge(AppRejected):
    """The app rejects the input because it is too large."""


class AppFailed(SpaceAppError):
    """The app raised an error.

    :ivar title: title of the app's error, such as ``ZeroGPU quota exceeded``; ``None`` without one.
    """

    may_have_run = True
    title: str | None = None


class AppCallLost(SpaceAppError):
    """The app accepted the call, or may have accepted it, and the answer is lost. Apps keep no answers."""

    may_have_run = True


class AppCallCancelled(SpaceAppError):
    """Another client cancelled the call in the app, which may have done a part of the work."""

    may_have_run = True


class AppTimeout(SpaceAppError):
    """The call did not end before its deadline."""


class AppProtocolError(SpaceAppError):
    """An answer that the app's protocol does not allow, or an answer beyond the client's limits."""
