"""EventQueue, the queue of a miniature Gradio, in which events wait, run and end."""

from __future__ import annotations

import asyncio
import inspect
import math
import uuid
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.emulator.apps.choice import GradioApp
from airflow_provider_hfspaces.emulator.apps.gradio.context import CallContext, GradioError, Host
from airflow_provider_hfspaces.emulator.apps.gradio.diffs import changes
from airflow_provider_hfspaces.emulator.apps.gradio.endpoints import Endpoint
from airflow_provider_hfspaces.emulator.apps.gradio.files import FileStore
from airflow_provider_hfspaces.emulator.apps.gradio.sessions import MAX_SESSIONS, Sessions
from airflow_provider_hfspaces.emulator.apps.timing import AppTime

__all__ = ["Event", "EventQueue", "QueueFullError"]

_MAX_RUNNING = 40
"""Events of all endpoints that run at once, as many as Gradio has threads by default."""

_MAX_IN_BATCH = 4
"""Calls in one batch, Gradio's default."""

_MAX_ESTIMATES = 100
"""Waiting events that get messages about their place. More would fill the memory in a long queue."""


class QueueFullError(Exception):
    """The queue has no room for another event."""


@dataclass(eq=False)
class Event:
    """A call of an endpoint, from its arrival to its end.

    :ivar simple: whether the call came by ``/call``, whose messages never contain diffs.
    :ivar headers: headers of the request, by name in lower case.
    :ivar base: address of the app's API as the caller knows it, for addresses of files.
    :ivar alive: False after the reader of its session disconnected.
    :ivar has_values: whether the generator has yielded a value.
    :ivar run: the task that runs the event, alone or in a batch; ``None`` while the event waits.
    """

    endpoint: Endpoint
    session: str
    data: list[Any]
    simple: bool
    headers: Mapping[str, str]
    base: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    alive: bool = True
    has_values: bool = False
    run: asyncio.Task[None] | None = None


class EventQueue:
    """The queue of the app of one replica.

    :param host: the Space and the replica.
    """

    def __init__(
        self, app: GradioApp, sessions: Sessions, files: FileStore, time: AppTime, host: Host
    ) -> None:
        self._app, self._sessions, self._files = app, sessions, files
        self._time, self._host = time, host
        self._waiting: list[Event] = []
        self._running: list[Event] = []
        self._slots: Counter[str] = Counter()
        self._last_seconds: dict[str, float] = {}
        self._background: set[asyncio.Future[Any]] = set()
        self._session_by_event: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, event: Event) -> None:
        """Add an event to the queue.

        :raises QueueFullError: if the queue is full. Only waiting events count.
        """
        size = self._app.queue_size
        if event.endpoint.queue and size is not None and len(self._waiting) >= size:
            raise QueueFullError(f"Queue is full. Max size is {size} and size is {len(self._waiting)}.")
        self._sessions.open(event.session)
        self._sessions.pending.setdefault(event.session, set()).add(event.id)
        self._session_by_event[event.id] = event.session
        if len(self._session_by_event) > MAX_SESSIONS:
            self._session_by_event.popitem(last=False)
        self._waiting.append(event)
        self._estimate()
        self._start_ready()

    async def answer(self, event: Event) -> dict[str, Any]:
        """Run an event at once, without the queue, and return its output.

        :raises Exception: any exception of the function.
        """
        return self._output(await self._call(event), is_generating=False)

    def session_of(self, event_id: str) -> str | None:
        """The session of an event; ``None`` for an unknown event."""
        return self._session_by_event.get(event_id)

    def lose(self, session: str) -> None:
        """Drop a session whose reader disconnected: its waiting events, and the results of running ones."""
        self._sessions.forget(session)
        self._waiting = [event for event in self._waiting if event.session != session]
        for event in self._running:
            if event.session == session:
                event.alive = False

    def cancel(self, event_id: str, session: str, index: int) -> None:
        """Cancel an event.

        As in Gradio, all running events of this function in this session end too, without a message.
        """
        for event in [
            each for each in self._running if (each.session, each.endpoint.index) == (session, index)
        ]:
            # Gradio cannot cancel a batch.
            if event.run is not None and not event.endpoint.batch:
                event.run.cancel()
                self._free(event)
        self._start_ready()
        if self._app.version >= 6:
            self._waiting = [event for event in self._waiting if event.id != event_id]
        if event_id in self._sessions.pending.get(session, ()):
            self._sessions.send(session, self._completed_message(event_id, {}, success=True))

    async def stop(self) -> None:
        """Cancel all running events, and drop all waiting ones."""
        tasks = list(self._background)
        self._waiting.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Which event runs

    def _start_ready(self) -> None:
        for event in list(self._waiting):
            if event in self._waiting and self._has_slot(event.endpoint):
                batch = self._batch(event)
                for each in batch:
                    self._waiting.remove(each)
                    self._running.append(each)
                self._slots[event.endpoint.name] += 1
                task = asyncio.ensure_future(self._run(batch))
                for each in batch:
                    each.run = task
                self._background.add(task)
                task.add_done_callback(self._background.discard)
        self._estimate()

    def _has_slot(self, endpoint: Endpoint) -> bool:
        if not endpoint.queue:
            return True
        limit = self._app.concurrency if endpoint.concurrency == -1 else endpoint.concurrency
        free = limit is None or self._slots[endpoint.name] < limit
        return free and self._slots.total() < max(_MAX_RUNNING, self._app.concurrency)

    def _batch(self, first: Event) -> list[Event]:
        if not first.endpoint.batch:
            return [first]
        return [each for each in self._waiting if each.endpoint is first.endpoint][:_MAX_IN_BATCH]

    def _free(self, event: Event) -> None:
        if event in self._running:
            self._running.remove(event)
            if not any(each.run is event.run for each in self._running):
                self._slots[event.endpoint.name] -= 1

    def _estimate(self) -> None:
        for rank, event in enumerate(self._waiting[:_MAX_ESTIMATES]):
            if event.session == event.id:
                # Calls by /call without a session get no estimates.
                continue
            seconds = self._last_seconds.get(event.endpoint.name)
            eta = None if seconds is None else seconds * (rank + 1)
            self._send(event, {"msg": "estimation", "rank": rank, "queue_size": len(self), "rank_eta": eta})

    # What a running event does

    async def _run(self, batch: list[Event]) -> None:
        name, began = batch[0].endpoint.name, self._time.now()
        for event in batch:
            self._send(event, {"msg": "process_starts", "eta": self._last_seconds.get(name)})
        try:
            if batch[0].endpoint.batch:
                await self._run_batch(batch)
            elif batch[0].endpoint.kind == "generator":
                await self._run_generator(batch[0])
            else:
                outputs = await self._call(batch[0])
                self._complete(batch[0], outputs)
        except Exception as problem:
            self._host.log(f"{type(problem).__name__}: {problem}")
            for event in batch:
                self._fail(event, problem)
        self._last_seconds[name] = self._time.now() - began
        for event in batch:
            self._free(event)
        self._start_ready()

    async def _call(self, event: Event) -> list[Any]:
        await self._time.sleep(self._app.seconds)
        arguments = await self._arguments(event)
        function = event.endpoint.function
        if inspect.iscoroutinefunction(function):
            work = asyncio.ensure_future(function(**arguments))
        else:
            work = asyncio.ensure_future(asyncio.to_thread(function, **arguments))
        if event.endpoint.kind == "plain":
            # A thread cannot be cancelled: the function runs to its end, and its result is dropped.
            self._background.add(work)
            work.add_done_callback(self._background.discard)
            result = await asyncio.shield(work)
        else:
            result = await work
        return self._outputs(event, result)

    async def _run_batch(self, batch: list[Event]) -> None:
        await self._time.sleep(self._app.seconds)
        each_arguments = [await self._arguments(event) for event in batch]
        names = [parameter.name for parameter in batch[0].endpoint.inputs]
        columns = {name: [arguments[name] for arguments in each_arguments] for name in names}
        result = await asyncio.to_thread(batch[0].endpoint.function, **columns)
        for number, event in enumerate(batch):
            one = (
                result[number] if len(event.endpoint.outputs) == 1 else tuple(each[number] for each in result)
            )
            self._complete(event, self._outputs(event, one))

    async def _run_generator(self, event: Event) -> None:
        await self._time.sleep(self._app.seconds)
        arguments = await self._arguments(event)
        last: list[Any] | None = None
        async for result in _iterate(event.endpoint.function(**arguments)):
            if not event.alive:
                return
            outputs = self._outputs(event, result)
            shown = (
                outputs
                if event.simple or last is None
                else [changes(before, after) for before, after in zip(last, outputs, strict=True)]
            )
            output = self._output(shown, is_generating=True)
            message = {"msg": "process_generating", "output": output, "success": True}
            self._send(event, message if self._app.version == 4 else {**message, "time_limit": None})
            last, event.has_values = outputs, True
        self._complete(event, last or [None for _ in event.endpoint.outputs])

    async def _arguments(self, event: Event) -> dict[str, Any]:
        """The arguments of the function, by name.

        :raises ValueError: if the caller sent too few values. As in Gradio, excess values are ignored.
        """
        inputs, data = event.endpoint.inputs, list(event.data)
        stateless = [parameter for parameter in inputs if not parameter.component.is_state]
        if event.simple and self._app.version >= 6 and len(data) == len(stateless):
            data = _with_state(inputs, data)
        if len(data) < len(inputs):
            raise ValueError(
                f"An event handler ({event.endpoint.name}) didn't receive enough input values "
                f"(needed: {len(inputs)}, got: {len(data)})."
            )
        arguments: dict[str, Any] = {}
        for parameter, value in zip(inputs, data, strict=False):
            if parameter.component.is_state:
                arguments[parameter.name] = self._sessions.state.get((event.session, parameter.name))
            else:
                arguments[parameter.name] = await self._files.read_input(parameter.component, value)
        if event.endpoint.context is not None:
            arguments[event.endpoint.context] = CallContext(
                self._time, event.headers, self._host, lambda message: self._send(event, message)
            )
        return arguments

    def _outputs(self, event: Event, result: Any) -> list[Any]:
        components = event.endpoint.outputs
        values = [] if not components else [result] if len(components) == 1 else list(result)
        state_names = [each.name for each in event.endpoint.inputs if each.component.is_state]
        outputs: list[Any] = []
        for component, value in zip(components, values, strict=True):
            if component.is_state:
                self._sessions.state[event.session, state_names.pop(0) if state_names else ""] = value
                outputs.append(None)
            else:
                outputs.append(_as_json(self._files.write_output(component, value, event.base)))
        return outputs

    # Messages to the reader of a session

    def _send(self, event: Event, message: dict[str, Any]) -> None:
        if self._app.version == 4 and message["msg"] == "log":
            message = {name: value for name, value in message.items() if name != "title"}
        self._deliver(event, {"msg": message["msg"], "event_id": event.id, **message})

    def _deliver(self, event: Event, message: dict[str, Any]) -> None:
        # A session may get a new reader, which receives no messages of events before it.
        if event.alive:
            self._sessions.send(event.session, message)

    def _complete(self, event: Event, outputs: list[Any]) -> None:
        output = self._output(outputs, is_generating=None if event.endpoint.batch else False)
        self._deliver(event, self._completed_message(event.id, output, success=True))

    def _fail(self, event: Event, problem: Exception) -> None:
        # A generator that fails after its first value gives no title.
        title = None if event.has_values else "Error"
        if isinstance(problem, GradioError):
            title = problem.title
        output = self.shown_error(problem)
        self._deliver(event, self._completed_message(event.id, output, success=False, title=title))

    def shown_error(self, problem: Exception) -> dict[str, Any]:
        """The output of a failed event, with only as much of the error as callers may see."""
        if isinstance(problem, GradioError):
            text = repr(problem.message) if self._app.version == 4 else problem.message
            shown: dict[str, Any] = {"error": text, "duration": problem.duration, "visible": problem.visible}
            return shown if self._app.version == 4 else {**shown, "title": problem.title}
        if not self._app.show_error:
            return {"error": None}
        return {"error": str(problem), **({"visible": True} if self._app.version >= 6 else {})}

    def _completed_message(
        self, event_id: str, output: dict[str, Any], *, success: bool, title: str | None = None
    ) -> dict[str, Any]:
        message = {"msg": "process_completed", "event_id": event_id, "output": output, "success": success}
        if self._app.version >= 5:
            message["title"] = title
        if self._app.version >= 6:
            message.update(used_cache=None, cache_duration=None, avg_time=None)
        return message

    def _output(self, data: list[Any], *, is_generating: bool | None) -> dict[str, Any]:
        output = {
            "data": data,
            "is_generating": is_generating,
            "duration": 0.0,
            "average_duration": 0.0,
            "render_config": None,
            "changed_state_ids": [],
        }
        return {**output, "used_cache": None} if self._app.version >= 6 else output


def _with_state(inputs: tuple[Any, ...], data: list[Any]) -> list[Any]:
    rest = iter(data)
    return [None if parameter.component.is_state else next(rest) for parameter in inputs]


async def _iterate(generator: Any) -> AsyncIterator[Any]:
    if hasattr(generator, "__aiter__"):
        async for value in generator:
            yield value
        return
    end = object()
    while (value := await asyncio.to_thread(next, generator, end)) is not end:
        yield value


def _as_json(value: Any) -> Any:
    """The value with ``None`` in place of NaN and infinities, which JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _as_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(each) for each in value]
    return value
