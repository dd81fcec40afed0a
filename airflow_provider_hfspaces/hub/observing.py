"""Report requests and waits to observers, such as one that sends metrics.

::

    class Printer(Observer):
        def request_answered(self, method, outcome, seconds):
            print(method, outcome, seconds)

    add_observer(Printer())

Observers belong to the process: they get the events of all clients, from any thread and event loop, and must
return fast. An error in an observer does not reach the request or the wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

__all__ = ["OUTCOMES", "WAIT_OUTCOMES", "Observer", "add_observer", "notify", "outcome_of", "remove_observer"]

log = logging.getLogger(__name__)

OUTCOMES = ("ok", "not_found", "rejected", "rate_limited", "server_error", "no_answer")
"""How a request may end."""

WAIT_OUTCOMES = ("reached", "failed", "timeout", "stopped")
"""How a wait for a Space may end."""


class Observer:
    """Receives events of requests and waits. A subclass overrides the methods of the events it needs."""

    def request_answered(self, method: str, outcome: str, seconds: float) -> None:
        """One try of a request has ended.

        :param method: the HTTP method.
        :param outcome: one of :data:`OUTCOMES`.
        :param seconds: from sending the request to its answer.
        """

    def quota_reported(self, remaining: int, quota: int | None) -> None:
        """The Hub has reported how many requests the token may still send in this window.

        :param quota: requests per window; ``None`` if the Hub has not said.
        """

    def request_delayed(self, reason: str, seconds: float) -> None:
        """A request is going to wait before it is sent.

        :param reason: ``quota`` for a quota that is used up, ``retry`` for another try.
        """

    def wait_ended(self, outcome: str, seconds: float) -> None:
        """A wait for a Space has ended.

        :param outcome: one of :data:`WAIT_OUTCOMES`.
        :param seconds: from its beginning.
        """


_observers: list[Observer] = []


def add_observer(observer: Observer) -> None:
    """Report to this observer from now on. Adding it twice has no effect."""
    if observer not in _observers:
        _observers.append(observer)


def remove_observer(observer: Observer) -> None:
    """Report to this observer no longer."""
    if observer in _observers:
        _observers.remove(observer)


def notify(event: Callable[..., None], *details: Any) -> None:
    """Report an event to all observers.

    :param event: the method of :class:`Observer`.
    :param details: its arguments.
    """
    for observer in tuple(_observers):
        _report(observer, event.__name__, details)


def _report(observer: Observer, event: str, details: tuple[Any, ...]) -> None:
    try:
        getattr(observer, event)(*details)
    except Exception as error:
        log.debug("An observer failed: %s: %s", type(error).__name__, error)


def outcome_of(status: int) -> str:
    """Return the outcome that an HTTP status stands for, one of :data:`OUTCOMES`."""
    if status < 400:
        return "ok"
    if status >= 500:
        return "server_error"
    return {404: "not_found", 429: "rate_limited"}.get(status, "rejected")
