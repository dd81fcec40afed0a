"""The client against real apps of Gradio 4, 5 and 6, with gradio_client as the oracle."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces import space_app as errors
from airflow_provider_hfspaces.space_app import AcceptedCall, AppListener, AppProgress, SpaceApp
from tests.space_app.conftest import SPACE, TOKEN
from tests.space_app.real_apps import Oracle, RealApp, plain, python

pytestmark = pytest.mark.apps

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module", params=[4, 5, 6])
def major(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    if not python(number).exists():
        pytest.skip(f"Gradio {number} has no environment here: run 'make apps'")
    return number


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("apps")


@pytest.fixture(scope="module")
def real(major: int, home: Path) -> Iterator[RealApp]:
    app = RealApp(major, home)
    yield app
    app.kill()


@pytest.fixture(scope="module")
def oracle(real: RealApp) -> Iterator[Oracle]:
    with real.oracle() as oracle:
        yield oracle


@pytest.fixture
def app(real: RealApp) -> Iterator[SpaceApp]:
    with SpaceApp(SPACE, real.url, TOKEN) as app:
        yield app


@pytest.fixture
def other(major: int, home: Path) -> Iterator[Callable[..., RealApp]]:
    """Starts an app that a test may kill."""
    apps: list[RealApp] = []

    def start(**options: Any) -> RealApp:
        apps.append(RealApp(major, home, **options))
        return apps[-1]

    yield start
    for each in apps:
        if each.process.poll() is None:
            each.kill()


def text_file(folder: Path) -> Path:
    path = folder / "ä b.txt"
    path.write_text("grüße", "utf-8")
    return path


def picture(folder: Path) -> Path:
    path = folder / "pixel.png"
    path.write_bytes(PIXEL)
    return path


EQUAL: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "text": ("/echo", lambda folder: ["hello"]),
    "unicode": ("/echo", lambda folder: ["é\U0001f600\n\t\"'\\ ユニコード"]),
    "empty text": ("/echo", lambda folder: [""]),
    "none": ("/echo", lambda folder: [None]),
    "unqueued": ("/unqueued", lambda folder: ["hello"]),
    "numbers": ("/add", lambda folder: [1.5, -2]),
    "large number": ("/add", lambda folder: [10**15, 1]),
    "named": ("/defaults", lambda folder: {"c": "x", "a": "y"}),
    "defaults": ("/defaults", lambda folder: ["y"]),
    "generator": ("/count", lambda folder: [3]),
    "generator of JSON": ("/grow", lambda folder: [3]),
    "file": ("/upper", lambda folder: [text_file(folder)]),
    "files": ("/sizes", lambda folder: [[text_file(folder), picture(folder)]]),
    "image": ("/same_image", lambda folder: {"path": picture(folder)}),
    "gallery": ("/gallery", lambda folder: [picture(folder)]),
    "state": ("/stateful", lambda folder: ["a"]),
    "batch": ("/reverse", lambda folder: ["abc"]),
    "not a number": ("/odd", lambda folder: ["nan"]),
    "ten million characters out": ("/big", lambda folder: [10_000_000]),
    "ten million characters in": ("/echo", lambda folder: ["y" * 10_000_000]),
    "several outputs": ("/two", lambda folder: ["abc"]),
    "no outputs": ("/nothing", lambda folder: []),
    "choice": ("/choose", lambda folder: ["blue"]),
}


@pytest.mark.parametrize("kind", EQUAL)
def test_values_are_those_of_the_official_client(
    app: SpaceApp, oracle: Oracle, tmp_path: Path, kind: str
) -> None:
    api, inputs = EQUAL[kind]
    expected = oracle.answer(api, inputs(tmp_path))
    assert "value" in expected, expected
    result = app.call(api, inputs(tmp_path))
    value = result.value if result.outputs else []
    assert plain(app, value, tmp_path) == expected["value"]


def test_the_coroutine_returns_what_the_thread_returns(real: RealApp, tmp_path: Path) -> None:
    async def work() -> list[Any]:
        async with SpaceApp(SPACE, real.url, TOKEN) as app:
            calls = [app.acall("/add", [number, 1]) for number in range(50)]
            sums = [each.value for each in await asyncio.gather(*calls)]
            result = await app.acall("/upper", [text_file(tmp_path)])
            await app.adownload(result.files[0], tmp_path / "out")
            return [*sums, (tmp_path / "out").read_text("utf-8")]

    assert asyncio.run(work()) == [*range(1, 51), "GRÜSSE"]


def test_a_shared_session_answers_fifty_calls(real: RealApp) -> None:
    async def work() -> list[Any]:
        async with SpaceApp(SPACE, real.url, TOKEN) as app, app.shared_session() as session:
            first = await asyncio.gather(*(session.call("/nap", [str(n), 0.3]) for n in range(50)))
            later = await session.call("/echo", ["later"])
            return [*(each.value for each in first), later.value]

    assert asyncio.run(work()) == [*(f"{number}!" for number in range(50)), "later"]


def test_separators_that_break_lines_elsewhere_come_back(app: SpaceApp) -> None:
    text = "a\u2028b\u2029c"
    assert app.call("/echo", [text]).value == text


class RecordingListener(AppListener):
    def __init__(self) -> None:
        self.bars: list[str] = []
        self.logs: list[tuple[str, str]] = []
        self.partials: list[Any] = []
        self.calls: list[AcceptedCall] = []

    def accepted(self, call: AcceptedCall) -> None:
        self.calls.append(call)

    def progress(self, bars: list[AppProgress]) -> None:
        self.bars.extend(map(str, bars))

    def log(self, level: str, message: str) -> None:
        self.logs.append((level, message))

    def partial(self, outputs: list[Any]) -> None:
        self.partials.append(outputs)


def test_progress_messages_and_partial_values_are_heard(app: SpaceApp) -> None:
    listener = RecordingListener()
    assert app.call("/progress", ["x"], listener=listener).value == "x"
    assert any(bar.startswith("steps: ") and bar.endswith(" of 4 steps") for bar in listener.bars)
    assert listener.logs == [("info", "half way"), ("warning", "careful")]
    app.call("/grow", [3], listener=listener)
    whole = [{"items": list(range(number)), "last": number - 1} for number in (1, 2, 3)]
    assert [values[0] for values in listener.partials if values[0] in whole] == [
        values[0] for values in listener.partials
    ]


@pytest.mark.parametrize(
    ("api", "inputs", "words"),
    [
        ("/refuse", ["z"], "bad input: z"),
        ("/crash", ["z"], None),
        ("/fail_later", [2], "failed after its first values"),
    ],
)
def test_errors_are_those_of_the_official_client(
    app: SpaceApp, oracle: Oracle, api: str, inputs: list[Any], words: str | None
) -> None:
    expected = oracle.answer(api, inputs)
    assert expected["error"] == "AppError"
    with pytest.raises(errors.AppFailed) as excinfo:
        app.call(api, inputs)
    assert excinfo.value.app_message == words
    if words:
        assert words in expected["message"]
    else:
        assert "and the app hides the reason" in str(excinfo.value)


@pytest.mark.parametrize(
    ("api", "inputs", "kind"),
    [
        ("/nowhere", [], errors.UnknownEndpoint),
        ("/undocumented", ["x"], errors.UnknownEndpoint),
        ("/echo", [], errors.InvalidAppInput),
        ("/echo", ["a", "b"], errors.InvalidAppInput),
        ("/echo", {"txt": "a"}, errors.InvalidAppInput),
        ("/choose", ["green"], errors.InvalidAppInput),
    ],
)
def test_a_call_that_the_app_does_not_offer_is_refused(
    app: SpaceApp, api: str, inputs: Any, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        app.call(api, inputs)


def test_an_undocumented_endpoint_can_be_called(app: SpaceApp) -> None:
    assert app.call("/undocumented", ["x"], allow_unlisted=True).value == "x"


def test_a_file_above_the_app_s_limit_is_refused(app: SpaceApp, tmp_path: Path) -> None:
    (tmp_path / "large.txt").write_bytes(b"x" * 2**21)
    with pytest.raises(errors.AppInputTooLarge, match="accepts files of at most"):
        app.call("/upper", [tmp_path / "large.txt"])


def test_the_app_s_code_receives_no_authorization(app: SpaceApp) -> None:
    assert "authorization" not in app.call("/headers").value


def test_a_killed_app_is_a_lost_call_where_the_official_client_says_nothing(
    other: Callable[..., RealApp],
) -> None:
    real = other()

    class Killing(AppListener):
        def started(self, eta_seconds: float | None) -> None:
            real.kill()

    with SpaceApp(SPACE, real.url, TOKEN) as app:
        with pytest.raises(errors.AppCallLost) as excinfo:
            app.call("/nap", ["x", 60], listener=Killing())
        assert excinfo.value.may_have_run
        with pytest.raises(errors.AppUnavailable, match="Nothing ran"):
            app.call("/echo", ["x"], patience=0)
        real.start()
        assert app.call("/echo", ["x"]).value == "x"


def test_a_cancelled_call_is_not_a_success_and_frees_its_place(app: SpaceApp, oracle: Oracle) -> None:
    class Cancelling(AppListener):
        def accepted(self, call: AcceptedCall) -> None:
            self.call = call

        def started(self, eta_seconds: float | None) -> None:
            app.cancel(self.call)

    with pytest.raises(errors.AppCallCancelled):
        app.call("/nap", ["x", 60], listener=Cancelling())
    expected = oracle.answer("/nap", ["x", 60], cancel_after=1, timeout=20)
    assert "error" in expected
    assert app.call("/echo", ["x"]).value == "x"


def test_a_timeout_cancels_the_call_in_the_app(app: SpaceApp) -> None:
    with pytest.raises(errors.AppTimeout):
        app.call("/nap", ["x", 10**6], timeout=1)
    assert app.in_flight == []
    assert app.call("/nap", ["y", 0], timeout=60).value == "y!"


def test_a_full_queue_is_waited_for_where_the_official_client_gives_up(
    other: Callable[..., RealApp],
) -> None:
    real = other(queue=2)

    async def work() -> list[Any]:
        async with SpaceApp(SPACE, real.url, TOKEN) as app:
            calls = [app.acall("/slow", [str(number), 0.2], timeout=120) for number in range(8)]
            return [each.value for each in await asyncio.gather(*calls)]

    assert asyncio.run(work()) == [f"{number}!" for number in range(8)]


def test_the_app_s_own_login_works_and_a_wrong_one_is_refused(other: Callable[..., RealApp]) -> None:
    real = other(login="me:secret")
    with SpaceApp(SPACE, real.url, TOKEN, auth=("me", "secret")) as app:
        assert app.call("/echo", ["x"]).value == "x"
    with (
        SpaceApp(SPACE, real.url, TOKEN, auth=("me", "wrong")) as app,
        pytest.raises(errors.AppLoginRequired, match="does not accept"),
    ):
        app.call("/echo", ["x"])
    with (
        SpaceApp(SPACE, real.url, TOKEN) as app,
        pytest.raises(errors.AppLoginRequired, match="Set auth to a user"),
    ):
        app.call("/echo", ["x"])
