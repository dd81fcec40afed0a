"""Many calls at once: bounded connections, sessions that are shared or not, and calls that end early."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from airflow_provider_hfspaces import space_app as errors
from airflow_provider_hfspaces.hub.collector import MANY_WAITS
from airflow_provider_hfspaces.space_app import AcceptedCall, AppListener, SpaceApp
from tests.space_app.app_server import CUT, AppRequest, Reply, html
from tests.space_app.conftest import SPACE, TOKEN
from tests.space_app.gradio_app import GradioApp, as_bytes, completion

CALL = "POST /gradio_api/call/echo"
CANCEL = "POST /gradio_api/cancel"


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 60))


class HeldFunction:
    """A function that works until the test lets it go, or the app gets a cancel."""

    def __init__(self, gradio: GradioApp) -> None:
        self.running = threading.Event()
        self._gradio = gradio
        gradio.functions["echo"] = self.work
        gradio.replies[CANCEL] = [self.cancel] * 1_000
        self._may_end: asyncio.Event | None = None
        self.outcome: list[Any] = [completion(["released"])]

    async def work(self, text: str) -> list[Any]:
        self._may_end = self._may_end or asyncio.Event()
        self.running.set()
        await self._may_end.wait()
        return self.outcome

    def cancel(self, request: AppRequest) -> Reply:
        self.outcome = [{"msg": "process_completed", "output": {}, "success": True}]
        assert self._may_end is not None
        self._may_end.set()
        return Reply(body={"success": True})


def test_sixty_calls_share_eight_connections(gradio: GradioApp) -> None:
    async def work() -> list[Any]:
        async with SpaceApp(SPACE, gradio.url, TOKEN, connections=8) as app:
            calls = [app.acall("/echo", [str(number)]) for number in range(60)]
            return [each.value for each in await asyncio.gather(*calls)]

    assert run(work()) == [str(number) for number in range(60)]
    assert gradio.most_connections <= 12
    assert len(gradio.requests_named("GET /config")) == 1
    sessions = [each.json["session_hash"] for each in gradio.requests_named(CALL)]
    assert len(set(sessions)) == 60


def test_full_collections_are_rare_while_hundreds_of_coroutines_call(gradio: GradioApp) -> None:
    thresholds = []

    async def echo(text: str) -> list[Any]:
        thresholds.append(gc.get_threshold()[2])
        return [text]

    async def work() -> None:
        async with SpaceApp(SPACE, gradio.url, TOKEN, connections=8) as app:
            await asyncio.gather(*(app.acall("/echo", [str(number)]) for number in range(MANY_WAITS)))

    gradio.functions["echo"] = echo
    before = gc.get_threshold()
    run(work())
    assert max(thresholds) == thresholds[0] > before[2]
    assert gc.get_threshold() == before


def test_threads_share_the_connections_too(gradio: GradioApp) -> None:
    values: list[Any] = []
    with SpaceApp(SPACE, gradio.url, TOKEN, connections=3) as app:
        threads = [
            threading.Thread(
                target=lambda text: values.append(app.call("/echo", [text]).value), args=[str(n)]
            )
            for n in range(20)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
    assert sorted(values, key=int) == [str(number) for number in range(20)]
    assert gradio.most_connections <= 4


def test_many_callers_of_an_app_that_is_away_ask_for_it_once(gradio: GradioApp) -> None:
    async def answer_when_all_have_called(request: Any) -> Any:
        await asyncio.sleep(1)
        return html(503)

    gradio.replies["GET /config"] = [answer_when_all_have_called] * 100

    async def work() -> list[Any]:
        async with SpaceApp(SPACE, gradio.url, TOKEN) as app:
            calls = [app.acall("/echo", ["x"], patience=0) for _ in range(20)]
            return await asyncio.gather(*calls, return_exceptions=True)

    assert {type(each) for each in run(work())} == {errors.AppUnavailable}
    assert len(gradio.requests_named("GET /config")) == 1


def test_a_client_serves_one_event_loop_after_the_other(gradio: GradioApp) -> None:
    app = SpaceApp(SPACE, gradio.url, TOKEN)
    assert run(app.acall("/echo", ["a"])).value == "a"
    assert run(app.acall("/echo", ["b"])).value == "b"
    assert app.call("/echo", ["c"]).value == "c"
    app.close()


def test_a_cancelled_coroutine_cancels_its_call_in_the_app(gradio: GradioApp) -> None:
    function = HeldFunction(gradio)

    async def work() -> None:
        async with SpaceApp(SPACE, gradio.url, TOKEN) as app:
            call = asyncio.create_task(app.acall("/echo", ["x"]))
            await asyncio.to_thread(function.running.wait, 30)
            (call_in_flight,) = app.in_flight
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert app.in_flight == []
            (cancel,) = gradio.requests_named(CANCEL)
            assert cancel.json == {
                "event_id": call_in_flight.event_id,
                "session_hash": call_in_flight.session_hash,
                "fn_index": 0,
            }
            assert cancel.headers["x-hf-authorization"] == f"Bearer {TOKEN}"

    run(work())


def test_another_thread_may_cancel_the_calls_in_flight(gradio: GradioApp) -> None:
    function = HeldFunction(gradio)
    errors_met: list[BaseException] = []
    with SpaceApp(SPACE, gradio.url, TOKEN) as app:

        def work() -> None:
            try:
                app.call("/echo", ["x"])
            except errors.SpaceAppError as error:
                errors_met.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        assert function.running.wait(30)
        assert app.cancel() == 1
        thread.join(30)
        assert app.cancel() == 0
    assert [type(each) for each in errors_met] == [errors.AppCallCancelled]


def test_a_cancel_that_the_app_does_not_hear_is_an_error(gradio: GradioApp) -> None:
    gradio.replies[CANCEL] = [html(503)]
    with SpaceApp(SPACE, gradio.url, TOKEN) as app, pytest.raises(errors.AppUnavailable):
        app.cancel(AcceptedCall("/echo", "e", "s", 0, "/gradio_api"))


def test_a_call_waits_for_its_turn_within_its_timeout(gradio: GradioApp) -> None:
    function = HeldFunction(gradio)

    async def work() -> None:
        async with SpaceApp(SPACE, gradio.url, TOKEN, connections=1) as app:
            first = asyncio.create_task(app.acall("/echo", ["x"]))
            await asyncio.to_thread(function.running.wait, 30)
            with pytest.raises(
                errors.AppTimeout, match=r"1 other calls are in flight\. Nothing ran"
            ) as excinfo:
                await app.acall("/echo", ["y"], timeout=0.05)
            assert not excinfo.value.may_have_run
            await app.acancel()
            with pytest.raises(errors.AppCallCancelled):
                await first

    run(work())
    assert len(gradio.requests_named(CALL)) == 1


class SessionApp(GradioApp):
    """An app whose sessions carry many calls, as messages of which a test decides the order."""

    def __init__(self) -> None:
        super().__init__(6)
        self.queues: dict[str, asyncio.Queue[Any]] = {}
        self.events: list[str] = []
        self.on_join = self.answer_at_once

    def respond(self, request: AppRequest) -> Any:
        if request.name == CALL:
            event_id = f"e{len(self.events)}"
            self.events.append(event_id)
            self.on_join(self.queue(request.json["session_hash"]), event_id, request.json["data"][0])
            return Reply(body={"event_id": event_id})
        if request.path == "/gradio_api/queue/data":
            return self.stream(request.query["session_hash"])
        return super().respond(request)

    def queue(self, session_hash: str) -> asyncio.Queue[Any]:
        return self.queues.setdefault(session_hash, asyncio.Queue())

    def answer_at_once(self, queue: asyncio.Queue[Any], event_id: str, text: str) -> None:
        queue.put_nowait({**completion([text]), "event_id": event_id})
        queue.put_nowait({"msg": "close_stream", "event_id": None})

    def stream(self, session_hash: str) -> Reply:
        async def frames() -> Any:
            queue = self.queue(session_hash)
            while True:
                message = await queue.get()
                yield message if isinstance(message, str) else as_bytes(message)
                if message["msg"] in ("close_stream", "unexpected_error"):
                    return

        return Reply(headers={"Content-Type": "text/event-stream"}, chunks=frames())


def run_in_session(app: SessionApp, work: Any) -> Any:
    async def within() -> Any:
        async with SpaceApp(SPACE, app.url, TOKEN) as client, client.shared_session() as session:
            return await work(session)

    return run(within())


def test_a_shared_session_answers_many_calls_over_few_connections() -> None:
    with SessionApp() as app:

        async def work(session: Any) -> list[Any]:
            results = await asyncio.gather(*(session.call("/echo", [str(n)]) for n in range(40)))
            return [each.value for each in results]

        assert run_in_session(app, work) == [str(number) for number in range(40)]
        assert len({each.json["session_hash"] for each in app.requests_named(CALL)}) == 1
        assert app.most_connections <= 6


def test_answers_of_a_shared_session_may_come_in_any_order_and_before_their_acceptance() -> None:
    with SessionApp() as app:
        waiting: list[tuple[str, str]] = []

        def at_the_third(queue: asyncio.Queue[Any], event_id: str, text: str) -> None:
            waiting.append((event_id, text))
            if len(waiting) == 3:
                for each, value in reversed(waiting):
                    queue.put_nowait({"msg": "process_starts", "event_id": each})
                    queue.put_nowait({**completion([value]), "event_id": each})
                queue.put_nowait({"msg": "close_stream", "event_id": None})

        app.on_join = at_the_third

        async def work(session: Any) -> list[Any]:
            results = await asyncio.gather(*(session.call("/echo", [text]) for text in "abc"))
            app.on_join = app.answer_at_once
            results.append(await session.call("/echo", ["later"]))
            return [each.value for each in results]

        assert run_in_session(app, work) == ["a", "b", "c", "later"]


@pytest.mark.parametrize(
    "end", [CUT, {"msg": "unexpected_error", "event_id": None, "message": "404: Not Found"}]
)
def test_a_broken_stream_loses_every_call_of_the_session_and_the_next_one_begins_a_new_session(
    end: Any,
) -> None:
    with SessionApp() as app:

        def break_at_third(queue: asyncio.Queue[Any], event_id: str, text: str) -> None:
            if len(app.events) == 3:
                queue.put_nowait(end)

        app.on_join = break_at_third

        async def work(session: Any) -> Any:
            calls = [session.call("/echo", [text]) for text in "abc"]
            losses = await asyncio.gather(*calls, return_exceptions=True)
            app.on_join = app.answer_at_once
            return losses, (await session.call("/echo", ["again"])).value

        losses, again = run_in_session(app, work)
        assert {type(each) for each in losses} == {errors.AppCallLost}
        assert again == "again"
        sessions = [each.json["session_hash"] for each in app.requests_named(CALL)]
        assert len(set(sessions[:3])) == 1
        assert sessions[3] != sessions[0]


def test_a_call_of_a_shared_session_that_times_out_leaves_the_others_alone() -> None:
    with SessionApp() as app:

        def slow(queue: asyncio.Queue[Any], event_id: str, text: str) -> None:
            if text == "quick":
                queue.put_nowait({**completion([text]), "event_id": event_id})

        app.on_join = slow

        async def work(session: Any) -> Any:
            return await asyncio.gather(
                session.call("/echo", ["slow"], timeout=0.3),
                session.call("/echo", ["quick"]),
                return_exceptions=True,
            )

        late, quick = run_in_session(app, work)
        assert (type(late), late.may_have_run) == (errors.AppTimeout, True)
        assert quick.value == "quick"
        assert app.requests_named(CANCEL) == []


def test_a_shared_session_refuses_endpoints_that_keep_a_state() -> None:
    with SessionApp() as app:

        async def work(session: Any) -> None:
            with pytest.raises(errors.InvalidAppInput, match="has a session state"):
                await session.call("/stateful", ["x"])

        run_in_session(app, work)
        assert app.requests_named(CALL) == []


def test_a_shared_session_tells_each_listener_of_its_own_call() -> None:
    class CountingListener(AppListener):
        def __init__(self) -> None:
            self.started_calls = 0

        def started(self, eta_seconds: float | None) -> None:
            self.started_calls += 1

    with SessionApp() as app:

        def start_and_answer(queue: asyncio.Queue[Any], event_id: str, text: str) -> None:
            queue.put_nowait({"msg": "process_starts", "event_id": event_id})
            app.answer_at_once(queue, event_id, text)

        app.on_join = start_and_answer
        listeners = [CountingListener(), CountingListener()]

        async def work(session: Any) -> None:
            for each in listeners:
                await session.call("/echo", ["x"], listener=each)

        run_in_session(app, work)
        assert [each.started_calls for each in listeners] == [1, 1]


def test_the_error_of_one_listener_ends_its_own_call_only() -> None:
    class Failing(AppListener):
        def started(self, eta_seconds: float | None) -> None:
            raise RuntimeError("stop")

    with SessionApp() as app:
        waiting: list[tuple[str, str]] = []

        def at_the_second(queue: asyncio.Queue[Any], event_id: str, text: str) -> None:
            waiting.append((event_id, text))
            if len(waiting) == 2:
                for each, value in waiting:
                    queue.put_nowait({"msg": "process_starts", "event_id": each})
                    queue.put_nowait({**completion([value]), "event_id": each})
                queue.put_nowait({"msg": "close_stream", "event_id": None})

        app.on_join = at_the_second

        async def work(session: Any) -> Any:
            return await asyncio.gather(
                session.call("/echo", ["bad"], listener=Failing()),
                session.call("/echo", ["good"]),
                return_exceptions=True,
            )

        bad, good = run_in_session(app, work)
        assert (type(bad), good.value) == (RuntimeError, "good")


def test_a_session_that_is_closed_loses_its_calls() -> None:
    with SessionApp() as app:
        app.on_join = lambda queue, event_id, text: None

        async def work(session: Any) -> Any:
            is_accepted = asyncio.Event()

            class Waiting(AppListener):
                def accepted(self, call: AcceptedCall) -> None:
                    is_accepted.set()

            call = asyncio.create_task(session.call("/echo", ["x"], listener=Waiting()))
            await is_accepted.wait()
            await session.aclose()
            return await asyncio.gather(call, return_exceptions=True)

        (loss,) = run_in_session(app, work)
        assert type(loss) is errors.AppCallLost
