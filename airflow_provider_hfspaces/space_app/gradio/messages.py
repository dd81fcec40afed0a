"""CallMessages: turns the messages of a Gradio app into the events and the outcome of one call."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_hfspaces.space_app.listener import AppListener, AppProgress

__all__ = ["CallMessages", "Cancelled", "Completed", "Failed", "Lost", "Outcome", "Unreadable"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Completed:
    """The app answered the call.

    :ivar outputs: one value for each output of the function, with ``None`` for a session state.
    :ivar seconds: seconds that the app worked on the call; ``None`` if the app does not say.
    """

    outputs: list[Any]
    seconds: float | None


@dataclass(frozen=True)
class Failed:
    """The app raised an error.

    :ivar message: the app's message; ``None`` if the app hides it.
    :ivar title: title of the error; ``None`` without one.
    """

    message: str | None
    title: str | None


@dataclass(frozen=True)
class Cancelled:
    """Another client cancelled the call."""


@dataclass(frozen=True)
class Lost:
    """The answer is lost.

    :ivar reason: why, in a few words.
    """

    reason: str


@dataclass(frozen=True)
class Unreadable:
    """The app sent a message that its protocol does not allow.

    :ivar reason: what the app sent, in a few words.
    """

    reason: str


Outcome = Completed | Failed | Cancelled | Lost | Unreadable

_GENERATING = ("process_generating", "process_streaming")


class CallMessages:
    """Reads the messages of one call, and calls the methods of its listener.

    :param event_id: the app's id of the call. Messages of other calls are ignored.
    :param listener: receives the events of the call.
    :ivar outcome: the outcome of the call; ``None`` until the call has ended.
    """

    def __init__(self, event_id: str, listener: AppListener) -> None:
        self.outcome: Outcome | None = None
        self._event_id = event_id
        self._listener = listener

    def feed(self, message: Mapping[str, Any]) -> bool:
        """Read one message, and return True once the call has ended."""
        if self.outcome is not None:
            return True
        kind = message.get("msg")
        event_id = message.get("event_id")
        if event_id not in (None, self._event_id):
            return False
        if kind == "process_completed":
            self.outcome = _outcome_of_completion(message)
        elif kind in _GENERATING:
            self._report_partial(message)
        elif kind == "unexpected_error":
            self.outcome = Lost(f"the app answered {str(message.get('message') or 'with an error')!r:.200}")
        elif kind == "close_stream":
            self.outcome = Lost("the app closed the stream without an answer")
        elif kind == "estimation":
            self._listener.queued(
                _whole(message.get("rank")), _whole(message.get("queue_size")), _number(message, "rank_eta")
            )
        elif kind == "process_starts":
            self._listener.started(_number(message, "eta"))
        elif kind == "progress":
            bars = [_bar(each) for each in message.get("progress_data") or () if isinstance(each, dict)]
            if bars:
                self._listener.progress(bars)
        elif kind == "log":
            self._log(message)
        elif kind != "heartbeat":
            log.debug("Ignoring a message of the unknown kind %r.", kind)
        return self.outcome is not None

    def ended(self) -> None:
        """Handle the end of the stream: without an outcome, the call is lost."""
        if self.outcome is None:
            self.outcome = Lost("the app's stream ended without an answer")

    def _report_partial(self, message: Mapping[str, Any]) -> None:
        if message.get("success") is False:
            self.outcome = _outcome_of_completion(message)
            return
        data = (message.get("output") or {}).get("data")
        if isinstance(data, list):
            self._listener.partial(data)

    def _log(self, message: Mapping[str, Any]) -> None:
        title, text = message.get("title"), str(message.get("log") or "")
        level = str(message.get("level") or "info")
        is_plain = not title or str(title).lower() == level
        self._listener.log(level, text if is_plain else f"{title}: {text}")


def _outcome_of_completion(message: Mapping[str, Any]) -> Outcome:
    output = message.get("output")
    if not isinstance(output, dict):
        return Unreadable("a last message without an output")
    if message.get("success") is False or "error" in output:
        title = message.get("title") or output.get("title")
        return Failed(_without_quotes(output.get("error")), str(title) if title else None)
    data = output.get("data")
    if isinstance(data, list):
        return Completed(data, _number(output, "duration"))
    if not output:
        return Cancelled()
    return Unreadable("a last message without data")


def _without_quotes(error: Any) -> str | None:
    """Return the text of an error without the quotes that Gradio 4 adds; ``None`` for an empty text."""
    if error is None or error == "":
        return None
    text = str(error)
    if len(text) > 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def _bar(each: Mapping[str, Any]) -> AppProgress:
    share = _number(each, "progress")
    index, length = _number(each, "index"), _number(each, "length")
    description = each.get("desc")
    return AppProgress(
        done=share if share is not None else index,
        total=None if share is not None else length,
        unit=str(each["unit"]) if each.get("unit") else None,
        description=str(description) if description else None,
    )


def _number(mapping: Mapping[str, Any], key: str) -> float | None:
    value = mapping.get(key)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0
