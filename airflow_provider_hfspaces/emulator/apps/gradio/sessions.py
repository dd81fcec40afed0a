"""Sessions, which keeps the unread messages and the state of each session of a miniature Gradio."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

__all__ = ["MAX_SESSIONS", "Sessions"]

MAX_SESSIONS = 2_000
"""Sessions whose messages one process keeps. Beyond that, the oldest session is dropped with its results."""


class Sessions:
    """Messages and state by session.

    :ivar pending: ids of the events that have not ended, by session. As in Gradio, an event whose reader
        disconnected stays here for ever.
    :ivar state: values of state components, by session and name of the parameter.
    """

    def __init__(self) -> None:
        self._messages: OrderedDict[str, asyncio.Queue[dict[str, Any]]] = OrderedDict()
        self.pending: dict[str, set[str]] = {}
        self.state: dict[tuple[str, str], Any] = {}

    def open(self, session: str) -> None:
        """Start to keep messages for a session, unless it is open already."""
        if session not in self._messages:
            self._messages[session] = asyncio.Queue()
            if len(self._messages) > MAX_SESSIONS:
                self._messages.popitem(last=False)

    def messages(self, session: str) -> asyncio.Queue[dict[str, Any]] | None:
        """The unread messages of a session; ``None`` for an unknown or dropped session."""
        return self._messages.get(session)

    def send(self, session: str, message: dict[str, Any]) -> None:
        """Keep a message for the reader of a session. Messages to dropped sessions are ignored."""
        messages = self._messages.get(session)
        if messages is not None:
            messages.put_nowait(message)

    def forget(self, session: str) -> None:
        """Drop a session whose reader disconnected, with its messages."""
        self._messages.pop(session, None)
