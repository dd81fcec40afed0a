"""What takes several calls, written once for both clients: a generator of calls that gets the answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.errors import HubError

__all__ = ["Steps", "atake", "take"]

T = TypeVar("T")
Steps = Generator[Call[Any], Any, T]
"""Yields calls, is sent what the Hub answers or thrown its error, and returns a result."""


def take(steps: Steps[T], send: Callable[[Call[Any]], Any]) -> T:
    """Take the steps with :meth:`~airflow_provider_hfspaces.hub.http.client.HubClient.send`.

    :raises HubError: that the steps do not deal with.
    """
    try:
        call = next(steps)
        while True:
            answer = _answer(send, call)
            call = steps.throw(answer) if isinstance(answer, HubError) else steps.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result


async def atake(steps: Steps[T], send: Callable[[Call[Any]], Awaitable[Any]]) -> T:
    """The same with :meth:`~airflow_provider_hfspaces.hub.http.aio.AsyncHubClient.send`.

    :raises HubError: that the steps do not deal with.
    """
    try:
        call = next(steps)
        while True:
            answer = await _aanswer(send, call)
            call = steps.throw(answer) if isinstance(answer, HubError) else steps.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result


def _answer(send: Callable[[Call[Any]], Any], call: Call[Any]) -> Any:
    try:
        return send(call)
    except HubError as error:
        return error


async def _aanswer(send: Callable[[Call[Any]], Awaitable[Any]], call: Call[Any]) -> Any:
    try:
        return await send(call)
    except HubError as error:
        return error
