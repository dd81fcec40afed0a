"""Several calls that belong together, written once and executed by either client.

A plan such as :func:`~airflow_provider_hfspaces.hub.desired.plan_move` is a generator: it yields calls
and delays, receives what the Hub answered, and returns a result. It sends nothing itself::

    runtime = execute(plan_move(desired), client.send)
    runtime = await aexecute(plan_move(desired), async_client.send)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["Delay", "Steps", "aexecute", "execute"]

T = TypeVar("T")


@dataclass(frozen=True)
class Delay:
    """A step that waits before the next one.

    :ivar seconds: how long.
    """

    seconds: float


Steps = Generator[Any, Any, T]
"""Yields calls (or other objects that ``send`` accepts) and delays, and returns a result.

Each call returns the answer or raises the error of the request."""


def execute(steps: Steps[T], send: Callable[[Any], Any], *, sleep: Callable[[float], Any] = time.sleep) -> T:
    """Execute the steps with a blocking client.

    :param send: usually :meth:`HubClient.send <airflow_provider_hfspaces.hub.http.client.HubClient.send>`.
    :param sleep: waits for the seconds of a :class:`Delay`. An exception from it ends the steps.
    :raises Exception: of ``send``, if the steps do not handle it.
    """
    try:
        step = next(steps)
        while True:
            if isinstance(step, Delay):
                sleep(step.seconds)
                step = steps.send(None)
                continue
            try:
                answer = send(step)
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result


async def aexecute(
    steps: Steps[T],
    send: Callable[[Any], Awaitable[Any]],
    *,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
) -> T:
    """Execute the steps on an event loop, see :func:`execute`.

    :param send: usually :meth:`AsyncHubClient.send
        <airflow_provider_hfspaces.hub.http.aio.AsyncHubClient.send>`.
    """
    try:
        step = next(steps)
        while True:
            if isinstance(step, Delay):
                await sleep(step.seconds)
                step = steps.send(None)
                continue
            try:
                answer = await send(step)
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result
