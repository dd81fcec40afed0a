"""Execute a plan, which is a sequence of calls, with the blocking or the asynchronous client.

A plan such as :func:`~airflow_provider_hfspaces.hub.desired.plan_move` is a generator: it yields calls
and delays, receives the Hub's answers, and returns a result. The plan itself sends nothing::

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
    """A step that waits.

    :ivar seconds: how long to wait before the next step.
    """

    seconds: float


Steps = Generator[Any, Any, T]
"""A plan: yields calls (or other objects that ``send`` accepts) and delays, and returns a result.

``yield call`` returns the answer, or raises the exception of the request."""


def execute(steps: Steps[T], send: Callable[[Any], Any], *, sleep: Callable[[float], Any] = time.sleep) -> T:
    """Execute a plan with a blocking client, and return its result.

    :param send: sends a call and returns the answer, usually :meth:`HubClient.send
        <airflow_provider_hfspaces.hub.http.client.HubClient.send>`.
    :param sleep: waits for the seconds of a :class:`Delay`. If ``sleep`` raises an exception, the plan ends
        with it.
    :raises Exception: an exception of ``send`` that the plan does not handle.
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
    """Execute a plan on an event loop, see :func:`execute`.

    :param send: sends a call and returns the answer, usually :meth:`AsyncHubClient.send
        <airflow_provider_hfspaces.hub.http.aio.AsyncHubClient.send>`.
    :param sleep: waits for the seconds of a :class:`Delay`. If ``sleep`` raises an exception, the plan ends
        with it.
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
