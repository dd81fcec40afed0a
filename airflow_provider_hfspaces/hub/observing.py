"""Report requests and waits to observers, for example to send metrics.

::

    class Printer(Observer):
        def request_answered(self, method, outcome, seconds):
            print(method, outcome, seconds)

    add_observer(Printer())

An observer belongs to the process: it receives the events of all clients, in their threads and event loops,
so its methods must be thread-safe and return fast. An exception in an observer is logged at level DEBUG, and
the request or wait continues.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

__all__ = ["OUTCOMES", "WAIT_OUTCOMES", "Observer", "add_observer", "notify", "outcome_of", "remove_observer"]

log = logging.getLogger(__name__)

OUTCOMES = ("ok", "not_found", "rejected", "rate_limited", "server_error", "no_answer")
"""The outcomes of a request."""

WAIT_OUTCOMES = ("reached", "failed", "timeout", "stopped")
"""The outcomes of a wait for a Space."""


class Observer:
    """Receives events of requests and waits. A subclass overrides the methods of the events it needs."""

    def request_answered(self, method: str, outcome: str, seconds: float) -> None:
        """Called at the end of each try of a request.

        :param method: the HTTP method.
        :param outcome: one of :data:`OUTCOMES`.
        :param seconds: time from sending the request to the end of the try.
        """

    def quota_reported(self, remaining: int, quota: int | None) -> None:
        """Called when the Hub reports the rate limit.

        :param remaining: requests that the token may still send in this window.
        :param quota: requests per window; ``None`` if the Hub has not reported them.
        """

    def request_delayed(self, reason: str, seconds: float) -> None:
        """Called before a request waits.

        :param reason: ``quota`` if the quota is used up, ``retry`` between two tries.
        :param seconds: how long the request waits.
        """

    def wait_ended(self, outcome: str, seconds: float) -> None:
        """Called at the end of a wait for a Space.

        :param outcome: one of :data:`WAIT_OUTCOMES`.
        :param seconds: time since the wait began.
        """


_observers: list[Observer] = []


def add_observer(observer: Observer) -> None:
    """Report all further events to this observer. Adding an observer twice has no effect."""
    if observer not in _observers:
        _observers.append(observer)


def remove_observer(observer: Observer) -> None:
    """Stop reporting to this observer. Removing an unknown observer has no effect."""
    if observer in _observers:
        _observers.remove(observer)


def notify(event: Callable[..., None], *details: Any) -> None:
    """Report an event to all observers.

    :param event: the method of :class:`Observer` to call.
    :param details: the arguments of the method.
    """
    for observer in tuple(_observers):
        _report(observer, event.__name__, details)


def _report(observer: Observer, event: str, details: tuple[Any, ...]) -> None:
    try:
        getattr(observer, event)(*details)
    except Exception as error:
        log.debug("Observer %r failed: %s: %s", observer, type(error).__name__, error)


def outcome_of(status: int) -> str:
    """Return the outcome for an HTTP status, one of :data:`OUTCOMES`."""
    if status < 400:
        return "ok"
    if status >= 500:
        return "server_error"
    return {404: "not_found", 429: "rate_limited"}.get(status, "rejected")
