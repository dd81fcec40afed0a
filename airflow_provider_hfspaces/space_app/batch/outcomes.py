"""Outcome: what the error of a call means for the item that was sent.

Come here to change after which errors an item is sent again.
"""

from __future__ import annotations

from enum import Enum

from airflow_provider_hfspaces.space_app.errors import (
    AppCallCancelled,
    AppCallLost,
    AppFailed,
    AppProtocolError,
    AppQueueFull,
    AppRateLimited,
    AppRejected,
    AppTimeout,
    AppUnavailable,
    InvalidAppInput,
    UnknownEndpoint,
)

__all__ = ["Outcome", "outcome_of"]


class Outcome(Enum):
    """What a failed call means for its item."""

    LOST = "lost"
    """The app may have worked on the item, and its answer is lost: send the item again."""

    BUSY = "busy"
    """The app accepts no more calls now: send the item again later."""

    UNAVAILABLE = "unavailable"
    """The app does not answer: wait until the Space runs, then send the item again."""

    FAILED = "failed"
    """The app answered the item with an error: record the error."""

    FATAL = "fatal"
    """No item can be sent: end the batch."""


_OUTCOMES: tuple[tuple[type[Exception], Outcome], ...] = (
    (UnknownEndpoint, Outcome.FATAL),
    (InvalidAppInput, Outcome.FAILED),
    (AppCallLost, Outcome.LOST),
    (AppCallCancelled, Outcome.LOST),
    (AppQueueFull, Outcome.BUSY),
    (AppRateLimited, Outcome.BUSY),
    (AppUnavailable, Outcome.UNAVAILABLE),
    (AppFailed, Outcome.FAILED),
    (AppRejected, Outcome.FAILED),
    (AppTimeout, Outcome.FAILED),
    (AppProtocolError, Outcome.FAILED),
)


def outcome_of(error: Exception) -> Outcome:
    """Return what the error of a call means for its item. Errors of unknown kinds are fatal."""
    return next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), Outcome.FATAL)
