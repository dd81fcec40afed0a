"""The built-in endpoints of a miniature Gradio, one for each behaviour that callers must handle.

Their docstrings are the descriptions in ``/info``. docs/emulator.md lists them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

from airflow_provider_hfspaces.emulator.apps.gradio.components import Gallery, State
from airflow_provider_hfspaces.emulator.apps.gradio.context import CallContext, GradioError
from airflow_provider_hfspaces.emulator.apps.gradio.endpoints import endpoint

__all__ = ["BUILTIN"]


async def predict(text: str) -> str:
    """The text."""
    return text


async def echo(text: str) -> str:
    """The text."""
    return text


@endpoint(kind="plain")
async def slow(text: str, call: CallContext, seconds: float = 1) -> str:
    """The text and "!", after ``seconds`` emulated seconds. A cancelled call continues to its end."""
    await call.sleep(float(seconds))
    return f"{text}!"


@endpoint(concurrency=None)
async def nap(text: str, call: CallContext, seconds: float = 1) -> str:
    """The text and "!", after ``seconds`` emulated seconds. Many calls run at once; cancelled ones stop."""
    await call.sleep(float(seconds))
    return f"{text}!"


async def count(call: CallContext, n: float = 3) -> AsyncIterator[str]:
    """One text each emulated second."""
    for number in range(int(n)):
        await call.sleep(1)
        yield f"step {number}"


async def rows(call: CallContext, n: float = 3) -> AsyncIterator[dict[str, Any]]:
    """A growing list, one item each emulated second. Later messages send only the changes."""
    items: list[int] = []
    for number in range(int(n)):
        await call.sleep(1)
        items = [*items, number]
        yield {"items": items, "last": number}


async def fail_late(call: CallContext, n: float = 3) -> AsyncIterator[str]:
    """Some texts, then an error."""
    for number in range(int(n)):
        await call.sleep(1)
        yield f"step {number}"
    raise ValueError("failed after its steps")


async def progress(text: str, call: CallContext) -> str:
    """The text, after progress, a message and a warning."""
    for step in range(4):
        call.progress(step, 4, "steps")
        await call.sleep(1)
    call.info("half way")
    call.warning("careful")
    return text


def gr_error(text: str) -> str:
    """Fails with an error whose message callers see."""
    raise GradioError(f"bad input: {text}")


def value_error(text: str) -> str:
    """Fails with an error whose message callers see only with ``show_error=True``."""
    raise ValueError(f"secret detail {text}")


def upper_file(file: Path) -> Path:
    """A file with the text of another one in upper case."""
    path = Path(mkdtemp(prefix="hfspaces-app-")) / "out file.txt"
    path.write_text(file.read_text().upper())
    return path


def describe_files(files: list[Path]) -> list[dict[str, Any]]:
    """Name and size of each file."""
    return [{"name": file.name, "size": file.stat().st_size} for file in files or []]


def gallery(text: str, n: float = 2) -> Gallery:
    """Some pictures with captions."""
    folder = Path(mkdtemp(prefix="hfspaces-app-"))
    pictures = []
    for number in range(int(n)):
        path = folder / f"picture {number}.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + f"{text} {number}".encode())
        pictures.append((path, f"{text} {number}"))
    return Gallery(pictures)


def defaults(a: str, b: float = 1, c: str = "see") -> str:
    """The values of the inputs, two of which have defaults."""
    return f"{a}|{b:g}|{c}"


def choose(size: Literal["small", "large"] = "small", loud: bool = False) -> str:
    """One of two words."""
    return size.upper() if loud else size


def remember(text: str, calls: State) -> tuple[str, State]:
    """The text, and the number of calls in this session."""
    number = (calls or State()).get("calls", 0) + 1
    return f"{text}:{number}", State(calls=number)


@endpoint(batch=True)
def reverse(words: list[str]) -> list[str]:
    """The word backwards. Up to four calls run as one."""
    return [word[::-1] for word in words]


def two(text: str) -> tuple[str, int]:
    """The text and its length."""
    return text, len(text)


def nothing() -> None:
    """No output."""


def big(n: float) -> str:
    """A text of this length."""
    return "x" * int(n)


def json_value(value: Any) -> Any:
    """The value."""
    return value


def unusual_json() -> Any:
    """NaN and infinity, which JSON does not have, and characters that break lines."""
    return {"nan": float("nan"), "inf": float("inf"), "text": "é😀\u2028x"}


async def headers(call: CallContext) -> dict[str, Any]:
    """The headers of the request, as the app sees them."""
    return dict(call.headers)


async def machine(call: CallContext) -> dict[str, Any]:
    """Where the app runs: Space, replica and hardware."""
    host = call.host
    return {"space": host.repo_id, "replica": host.replica, "hardware": host.hardware()}


@endpoint(queue=False)
def unqueued(text: str) -> str:
    """The text, past the queue."""
    return text


@endpoint(visibility="undocumented")
def undocumented(text: str) -> str:
    """Works, and is not listed."""
    return f"undocumented:{text}"


@endpoint(visibility="private")
def hidden(text: str) -> str:
    """Not listed, and refused by official clients."""
    return f"hidden:{text}"


_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    predict,
    echo,
    slow,
    nap,
    count,
    rows,
    fail_late,
    progress,
    gr_error,
    value_error,
    upper_file,
    describe_files,
    gallery,
    defaults,
    choose,
    remember,
    reverse,
    two,
    nothing,
    big,
    json_value,
    unusual_json,
    headers,
    machine,
    unqueued,
    undocumented,
    hidden,
)

BUILTIN: dict[str, Callable[..., Any]] = {function.__name__: function for function in _FUNCTIONS}
"""The built-in endpoints, by name."""
