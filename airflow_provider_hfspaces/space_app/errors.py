"""The exceptions of calls to the app inside a Space, as one tree.

SpaceAppError
├── InvalidAppInput       the call does not fit the app; nothing was sent (also a ValueError)
│   └── UnknownEndpoint   the app has no such endpoint
├── NotGradio             the app does not speak Gradio's protocol, or a version of it that is too old
├── AppUnavailable        the app did not answer: ask the Hub for the Space's stage
│   └── AppNotFound       404: the Space's address leads nowhere, or the token may not see the Space
├── AppQueueFull          the app's queue stayed full until the deadline
├── AppRateLimited        429: too many requests
├── AppLoginRequired      the app has a login of its own
├── AppRejected           the app refuses what was sent (400, 413, 422 and other 4xx)
│   └── AppInputTooLarge  413, or a file above the app's limit
├── AppFailed             the app's own error, in its own words
├── AppCallLost           the app accepted the call, and its answer is lost
├── AppCallCancelled      somebody cancelled the call in the app
├── AppTimeout            the call did not end before its deadline
└── AppProtocolError      an answer that the app's protocol does not allow, or one beyond the limits

Each error says two things that decide what to do next. ``may_have_run`` is True if the app may have worked
on the call, so that calling again may repeat the work. ``permanent`` is False if the same call, sent
later, could succeed.

:func:`error_to_dict` and :func:`error_from_dict` carry an error to another process.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_hfspaces.hub.errors import (
    InvalidInput,
    RegisteredError,
    error_from_dict,
    error_to_dict,
    rebuild_error,
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

    :ivar message: the whole text.
    :ivar repo_id: the Space, as ``owner/name``.
    :ivar api: endpoint of the call, such as ``/predict``, or method and path of a plain request.
    :ivar status: HTTP status of the app's answer; ``None`` if there was no answer.
    :ivar app_message: the app's own words; ``None`` if it gave none.
    :ivar cause: why the app did not answer, in a few words; ``None`` for other errors.
    :ivar retry_after: seconds after which the app asks to be called again; ``None`` if it did not say.
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
        self.message = message
        self.repo_id = repo_id
        self.api = api
        self.status = status
        self.app_message = app_message
        if may_have_run is not None:
            self.may_have_run = may_have_run

    def to_dict(self) -> dict[str, Any]:
        """Return the error as plain JSON, from which :func:`error_from_dict` makes it again."""
        return error_to_dict(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild_error, (type(self), self.message, dict(self.__dict__))


class InvalidAppInput(SpaceAppError, InvalidInput):
    """The call does not fit what the app declares. Nothing was sent."""

    permanent = True


class UnknownEndpoint(InvalidAppInput):
    """The app has no such endpoint, or does not document it. Nothing was sent."""


class NotGradio(SpaceAppError):
    """The app does not speak Gradio's protocol, or a version of it that is too old."""

    permanent = True


class AppUnavailable(SpaceAppError):
    """The app did not answer, or a page of the Hub answered in its place.

    Only the Hub knows why: ask it for the Space's stage.
    """


class AppNotFound(AppUnavailable):
    """404 that does not come from the app: a wrong address, or a private Space that the token may not see."""


class AppQueueFull(SpaceAppError):
    """The app's queue stayed full until the deadline. The call did not run."""


class AppRateLimited(SpaceAppError):
    """429: too many requests. The call did not run."""


class AppLoginRequired(SpaceAppError):
    """The app has a login of its own, and no valid user name and password for it."""

    permanent = True


class AppRejected(SpaceAppError):
    """The app refuses what was sent."""

    permanent = True


class AppInputTooLarge(AppRejected):
    """The app refuses what was sent because it is too large."""


class AppFailed(SpaceAppError):
    """The app's own error, in its own words.

    :ivar title: the error's title if the app set one, such as ``ZeroGPU quota exceeded``.
    """

    may_have_run = True
    title: str | None = None


class AppCallLost(SpaceAppError):
    """The app accepted the call, or may have, and the answer is lost. No app keeps an answer."""

    may_have_run = True


class AppCallCancelled(SpaceAppError):
    """Somebody cancelled the call in the app. A part of its work may have been done."""

    may_have_run = True


class AppTimeout(SpaceAppError):
    """The call did not end before its deadline."""


class AppProtocolError(SpaceAppError):
    """An answer that the app's protocol does not allow, or one beyond the client's limits."""
