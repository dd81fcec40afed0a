"""Each failure between a call and its answer raises its own error; no failure looks like a success."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_hfspaces import space_app as errors
from airflow_provider_hfspaces.space_app import AppLimits, SpaceAppError, error_from_dict
from tests.space_app.app_server import CUT, RESET, Reply, html, stream
from tests.space_app.conftest import SPACE, TOKEN, Caller, Clock
from tests.space_app.gradio_app import GradioApp, as_bytes, completion, failure

Made = Callable[..., Caller]
CALL = "POST /gradio_api/call/echo"
DATA = "GET /gradio_api/queue/data"


def fails(app: Caller, kind: type[SpaceAppError], match: str, **options: Any) -> Any:
    with pytest.raises(kind, match=match) as excinfo:
        app.call("/echo", ["x"], **{"timeout": 600, "patience": 0, **options})
    assert type(excinfo.value) is kind
    assert excinfo.value.repo_id == SPACE
    return excinfo.value


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [{"msg": "process_starts"}],
        [{"msg": "process_starts"}, CUT],
        [CUT],
        [b'data: {"msg": "process_comp', CUT],
        [b'data: {"msg": "process_comp'],
        [{"msg": "process_starts"}, {"msg": "close_stream", "event_id": None}],
        [{"msg": "unexpected_error", "event_id": None, "message": "404: Not Found", "success": False}, CUT],
        [{"msg": "unexpected_error", "event_id": None, "message": "404: Session not found."}],
        [{"msg": "unexpected_error", "event_id": None, "message": "Server stopped unexpectedly."}],
        [{"msg": "process_generating", "output": {"data": ["half"]}, "success": True}, CUT],
    ],
)
def test_a_stream_without_a_last_message_is_a_lost_call(
    client: Made, gradio: GradioApp, frames: list[Any]
) -> None:
    gradio.functions["echo"] = lambda text: stream(*frames)
    error = fails(client(gradio.url), errors.AppCallLost, "lost the call of /echo")
    assert error.may_have_run
    assert not error.permanent
    assert len(gradio.requests_named(CALL)) == len(gradio.requests_named(DATA)) == 1


def test_an_app_that_dies_in_the_middle_of_a_call_has_lost_it(client: Made, gradio: GradioApp) -> None:
    gradio.functions["echo"] = lambda text: RESET
    fails(client(gradio.url), errors.AppCallLost, "lost the call of /echo")


def test_a_call_that_somebody_cancelled_in_the_app_is_not_a_success(client: Made, gradio: GradioApp) -> None:
    gradio.functions["echo"] = lambda text: [
        {"msg": "process_completed", "output": {}, "success": True},
    ]
    error = fails(client(gradio.url), errors.AppCallCancelled, "another client cancelled")
    assert error.may_have_run


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (failure("bad input: z", title="Error"), "failed in /echo with an error: bad input: z"),
        (failure("'bad input: z'"), "failed in /echo with an error: bad input: z"),
        (failure("You have exceeded", title="ZeroGPU quota exceeded"), "ZeroGPU quota exceeded: You have"),
        (failure(None), "and the app hides the reason"),
    ],
)
def test_an_error_of_the_app_arrives_in_its_own_words(
    client: Made, gradio: GradioApp, message: dict[str, Any], words: str
) -> None:
    gradio.functions["echo"] = lambda text: [{"msg": "process_starts"}, message]
    error = fails(client(gradio.url), errors.AppFailed, words)
    assert error.may_have_run
    assert not error.permanent


def test_a_generator_that_fails_after_its_first_values_has_failed(client: Made, gradio: GradioApp) -> None:
    gradio.functions["echo"] = lambda text: [
        {"msg": "process_generating", "output": {"data": ["1"]}, "success": True},
        {"msg": "process_generating", "output": {"error": "failed after yields"}, "success": False},
    ]
    fails(client(gradio.url), errors.AppFailed, "failed after yields")


@pytest.mark.parametrize(
    "frames",
    [
        [b"data: not json\n\n"],
        [b"data: [1]\n\n"],
        [{"msg": "process_completed", "output": None, "success": True}],
        [{"msg": "process_completed", "output": {"is_generating": False}, "success": True}],
    ],
)
def test_a_message_that_the_protocol_does_not_allow_is_an_error(
    client: Made, gradio: GradioApp, frames: list[Any]
) -> None:
    gradio.functions["echo"] = lambda text: stream(*frames)
    assert fails(client(gradio.url), errors.AppProtocolError, f"Space {SPACE} sent").may_have_run


def test_heartbeats_do_not_keep_a_dead_call_alive(client: Made, gradio: GradioApp, clock: Clock) -> None:
    beat = as_bytes({"msg": "heartbeat", "event_id": None})

    async def beats() -> Any:
        while True:
            clock.now += 15
            yield beat

    gradio.functions["echo"] = lambda text: Reply(
        headers={"Content-Type": "text/event-stream"}, chunks=beats()
    )
    error = fails(client(gradio.url), errors.AppTimeout, "did not finish /echo within 600 seconds")
    assert error.may_have_run
    assert len(gradio.requests_named("POST /gradio_api/cancel")) == 1


@pytest.mark.parametrize("limits", [AppLimits(answer_bytes=20_000), AppLimits(messages=2)])
def test_a_stream_beyond_the_limits_is_left(client: Made, gradio: GradioApp, limits: AppLimits) -> None:
    gradio.functions["echo"] = lambda text: [
        *[{"msg": "heartbeat", "event_id": None}] * 2,
        completion(["x" * 30_000]),
    ]
    fails(client(gradio.url, limits=limits), errors.AppProtocolError, "limits")


def test_a_full_queue_is_met_with_patience_until_the_deadline(
    client: Made, gradio: GradioApp, clock: Clock
) -> None:
    full = Reply(503, {"detail": "Queue is full. Max size is 3 and size is 3."})
    gradio.replies[CALL] = [full] * 3
    app = client(gradio.url)
    assert app.call("/echo", ["x"], timeout=600, patience=0).value == "x"
    assert len(clock.sleeps) == 3
    assert sorted(clock.sleeps) == clock.sleeps
    gradio.replies[CALL] = [full] * 1_000
    ends = clock.now + 100
    error = fails(app, errors.AppQueueFull, "Queue is full. Max size is 3", timeout=100)
    assert 0 <= ends - clock.now < 1
    # Once a minute, and not at each of the tries.
    assert len(gradio.requests_named("GET /config")) <= 3 < len(gradio.requests_named(CALL))
    assert not error.may_have_run
    assert not error.permanent


def test_too_many_calls_wait_as_long_as_the_answer_says(
    client: Made, gradio: GradioApp, clock: Clock
) -> None:
    gradio.replies[CALL] = [Reply(429, "slow down", {"Retry-After": "7"})]
    assert client(gradio.url).call("/echo", ["x"]).value == "x"
    assert 7 <= clock.sleeps[0] < 8
    gradio.replies[CALL] = [Reply(429, "slow down", {"Retry-After": "700"})]
    error = fails(client(gradio.url), errors.AppRateLimited, "slow down")
    assert error.retry_after == 700


PAGES = [html(503), html(200), html(404), html(502), html(500), Reply(404, "no"), RESET]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_in_place_of_the_app_sends_nothing_and_asks_for_the_hub(
    client: Made, gradio: GradioApp, page: Any
) -> None:
    gradio.replies["GET /config"] = [page] * 100
    with pytest.raises(errors.AppUnavailable, match=r"Hub|not running") as excinfo:
        client(gradio.url).call("/echo", ["x"], patience=0)
    assert not excinfo.value.may_have_run
    assert not excinfo.value.permanent
    assert gradio.requests_named(CALL) == []


@pytest.mark.parametrize("page", [html(503), html(200), html(404), Reply(404, "no")])
def test_a_page_in_answer_to_the_call_itself_says_that_nothing_ran(
    client: Made, gradio: GradioApp, page: Reply
) -> None:
    gradio.replies[CALL] = [page] * 100
    with pytest.raises(errors.AppUnavailable, match=r"Nothing ran|not be running") as excinfo:
        client(gradio.url).call("/echo", ["x"], patience=0)
    assert not excinfo.value.may_have_run


@pytest.mark.parametrize("answer", [RESET, html(504), html(502), Reply(200, chunks=[b'{"event', CUT])])
def test_a_call_whose_acceptance_is_lost_may_have_run_and_is_not_sent_again(
    client: Made, gradio: GradioApp, answer: Any
) -> None:
    gradio.replies[CALL] = [answer]
    error = fails(client(gradio.url), errors.AppCallLost, "may have done the work", patience=60)
    assert error.may_have_run
    assert len(gradio.requests_named(CALL)) == 1


def test_an_acceptance_without_an_id_is_an_error(client: Made, gradio: GradioApp) -> None:
    gradio.replies[CALL] = [Reply(200, {"id": 3})]
    assert fails(client(gradio.url), errors.AppProtocolError, "sent no event_id").may_have_run


def test_an_app_that_answers_again_gets_the_call(client: Made, gradio: GradioApp, clock: Clock) -> None:
    gradio.replies["GET /config"] = [html(503)] * 2
    gradio.replies[CALL] = [html(503)]
    assert client(gradio.url).call("/echo", ["x"], patience=60).value == "x"
    assert len(clock.sleeps) == 3


def test_a_caller_may_bring_the_space_back_before_the_call_is_sent_again(
    client: Made, gradio: GradioApp, clock: Clock
) -> None:
    gradio.replies["GET /config"] = [html(503)] * 2
    errors_met: list[SpaceAppError] = []

    def wake_up(error: SpaceAppError) -> None:
        errors_met.append(error)
        clock.now += 300

    assert client(gradio.url).call("/echo", ["x"], recover=wake_up, patience=30).value == "x"
    assert [type(each) for each in errors_met] == [errors.AppUnavailable] * 2


def test_a_space_that_runs_without_serving_uses_up_the_patience(client: Made, gradio: GradioApp) -> None:
    gradio.replies["GET /config"] = [html(503)] * 100
    errors_met: list[SpaceAppError] = []
    fails(client(gradio.url), errors.AppUnavailable, "did not answer", recover=errors_met.append, patience=30)
    assert 2 < len(errors_met) < 60


def test_an_error_of_the_caller_s_recovery_ends_the_call(client: Made, gradio: GradioApp) -> None:
    gradio.replies["GET /config"] = [html(503)]

    def raise_paused(error: SpaceAppError) -> None:
        raise RuntimeError("the Space is paused")

    with pytest.raises(RuntimeError, match="the Space is paused"):
        client(gradio.url).call("/echo", ["x"], recover=raise_paused)


def test_a_stream_that_does_not_open_yet_is_opened_again(
    client: Made, gradio: GradioApp, clock: Clock
) -> None:
    gradio.replies[DATA] = [html(503), html(200), Reply(429, "slow down", {"Retry-After": "2"})]
    assert client(gradio.url).call("/echo", ["x"]).value == "x"
    assert len(gradio.requests_named(CALL)) == 1
    assert len(clock.sleeps) == 3


def test_a_stream_that_never_opens_loses_the_call(client: Made, gradio: GradioApp) -> None:
    gradio.replies[DATA] = [html(503)] * 100
    error = fails(client(gradio.url), errors.AppCallLost, "lost the call of /echo")
    assert error.may_have_run


def test_a_page_in_place_of_the_stream_loses_the_call(client: Made, gradio: GradioApp) -> None:
    gradio.replies[DATA] = [html(200)] * 100
    page = "lost the call of /echo: a web page came where a stream of messages was expected"
    fails(client(gradio.url), errors.AppCallLost, page)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            Reply(
                422,
                {
                    "detail": [
                        {
                            "__type__": "validate",
                            "is_valid": False,
                            "message": "too long",
                            "parameter_name": "text",
                        },
                        {"__type__": "validate", "is_valid": True, "message": "", "parameter_name": "b"},
                    ]
                },
            ),
            errors.AppRejected,
            "text: too long",
        ),
        (
            Reply(422, {"detail": [{"type": "missing", "loc": ["body", "data"], "msg": "Field required"}]}),
            errors.AppRejected,
            "body.data: Field required",
        ),
        (Reply(413, "File size exceeded maximum"), errors.AppInputTooLarge, "File size exceeded maximum"),
        (Reply(401, {"detail": "Not authenticated"}), errors.AppLoginRequired, "Set auth to a user name"),
    ],
)
def test_a_refused_call_shows_the_app_s_reason_and_is_not_sent_again(
    client: Made, gradio: GradioApp, answer: Reply, kind: type[SpaceAppError], words: str
) -> None:
    gradio.replies[CALL] = [answer]
    error = fails(client(gradio.url), kind, words, patience=60)
    assert error.permanent
    assert not error.may_have_run
    assert len(gradio.requests_named(CALL)) == 1


def test_a_wrong_password_of_the_app_is_one_clear_sentence(client: Made, gradio: GradioApp) -> None:
    gradio.replies["POST /login"] = [Reply(400, {"detail": "Incorrect credentials."})]
    app = client(gradio.url, auth=("me", "wrong-password"))
    error = fails(app, errors.AppLoginRequired, "does not accept the user name and password of auth")
    assert "wrong-password" not in str(error)


def test_an_unknown_error_of_the_server_fails_the_call_and_forgets_what_the_app_declared(
    client: Made, gradio: GradioApp
) -> None:
    app = client(gradio.url)
    gradio.replies[CALL] = [Reply(500, "Internal Server Error")]
    fails(app, errors.AppFailed, "Internal Server Error")
    app.call("/echo", ["x"])
    assert len(gradio.requests_named("GET /config")) == 2


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"hello": "world"}, "does not run a Gradio app"),
        ([1, 2], "does not run a Gradio app"),
        (
            {"version": "3.50.2", "protocol": "ws", "components": [], "dependencies": []},
            "protocol 'ws' is too old. Update the app to Gradio 4.44",
        ),
        ({"version": "4.20.0", "components": [], "dependencies": []}, "too old"),
    ],
)
def test_an_app_that_is_not_gradio_or_too_old_is_refused_in_one_sentence(
    client: Made, gradio: GradioApp, config: Any, words: str
) -> None:
    gradio.config = config
    error = fails(client(gradio.url), errors.NotGradio, words)
    assert error.permanent
    assert [each.name for each in gradio.requests] == ["GET /config"]


def test_an_app_without_a_config_is_not_gradio(client: Made, gradio: GradioApp) -> None:
    gradio.replies["GET /config"] = [Reply(404, {"detail": "Not Found"})]
    fails(client(gradio.url), errors.NotGradio, "Call the app with a path instead of api")


def test_a_redirect_to_another_host_gets_neither_the_token_nor_the_call(
    client: Made, gradio: GradioApp
) -> None:
    with GradioApp(6) as other:
        gradio.replies["GET /config"] = [Reply(307, b"", {"Location": f"{other.url}/config"})]
        error = fails(client(gradio.url), errors.AppProtocolError, "which gets neither the token nor")
        assert error.permanent
        assert other.requests == []


def test_a_redirect_on_the_same_host_is_followed_and_one_without_end_is_not(
    client: Made, gradio: GradioApp
) -> None:
    gradio.replies["GET /config"] = [Reply(302, b"", {"Location": "/config?again=1"})]
    assert client(gradio.url).call("/echo", ["x"]).value == "x"
    gradio.replies["GET /config"] = [Reply(302, b"", {"Location": "/config"})] * 20
    fails(client(gradio.url), errors.AppProtocolError, "redirects without end")


def test_no_error_shows_a_secret_that_the_app_sends_back(client: Made, gradio: GradioApp) -> None:
    error_text = f"you sent {TOKEN} and of-the-app-itself and p4ssword\x1b[31m\nforged line"
    app = client(gradio.url, bearer="of-the-app-itself")
    gradio.functions["echo"] = lambda text: [failure(error_text)]
    gradio.replies[CALL] = [Reply(422, {"detail": error_text})]
    for kind in (errors.AppRejected, errors.AppFailed):
        error = fails(app, kind, "you sent")
        text = json.dumps(error.to_dict()) + str(error) + repr(error)
        assert TOKEN not in text
        assert "of-the-app-itself" not in text
        assert str(error).isprintable()


def test_an_error_survives_the_way_to_another_process(client: Made, gradio: GradioApp) -> None:
    gradio.functions["echo"] = lambda text: [failure("out of memory", title="CUDA")]
    error = fails(client(gradio.url), errors.AppFailed, "CUDA: out of memory")
    again: Any = error_from_dict(json.loads(json.dumps(error.to_dict())))
    assert type(again) is errors.AppFailed
    assert (str(again), again.title, again.api, again.app_message) == (
        str(error),
        "CUDA",
        "/echo",
        "out of memory",
    )


def test_an_address_that_nobody_serves_is_unavailable(client: Made) -> None:
    with GradioApp(6) as gradio:
        url = gradio.url
    error = fails(client(url), errors.AppUnavailable, "Connection refused|connection attempts failed")
    assert not error.may_have_run
