"""MessageStream: an exchange whose answer is a stream of messages of a Gradio app."""

from __future__ import annotations

from typing import Any, Protocol

from airflow_provider_hfspaces.space_app.core import Deadline
from airflow_provider_hfspaces.space_app.gradio.frames import FrameError, FrameReader
from airflow_provider_hfspaces.space_app.gradio.messages import Unreadable
from airflow_provider_hfspaces.space_app.http.exchange import REFUSAL_BYTES, AppRequest, BodyExchange
from airflow_provider_hfspaces.space_app.limits import AppLimits

__all__ = ["MessageStream", "Messages"]


class Messages(Protocol):
    """An object that receives the messages of a stream."""

    outcome: Any

    def feed(self, message: dict[str, Any]) -> bool: ...

    def ended(self) -> None: ...


class MessageStream(BodyExchange):
    """Passes on the messages of a stream, and keeps the body of any other answer."""

    def __init__(
        self, request: AppRequest, deadline: Deadline, messages: Messages, limits: AppLimits
    ) -> None:
        super().__init__(request, deadline=deadline.ends, max_bytes=REFUSAL_BYTES)
        self._messages = messages
        self._frames = FrameReader(max_bytes=limits.answer_bytes, max_messages=limits.messages)

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream of messages."""
        return self.status == 200 and "event-stream" in self.content_type

    def feed(self, chunk: bytes) -> bool:
        if not self.is_stream:
            return super().feed(chunk)
        try:
            messages = self._frames.feed(chunk)
        except FrameError as problem:
            self._messages.outcome = Unreadable(str(problem).removeprefix("sent "))
            return True
        return any(self._messages.feed(message) for message in messages)

    def ended(self) -> None:
        if self.is_stream:
            self._messages.ended()
