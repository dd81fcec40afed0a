"""The sessions of a miniature Gradio: the messages that wait for a reader, and what a session remembers."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

__all__ = ["MOST_SESSIONS", "Sessions"]

MOST_SESSIONS = 2_000
"""Sessions whose messages one process keeps. The oldest one is forgotten first, with all its results."""


class Sessions:
    """Messages and state by session.

    :ivar pending: for each session the events that have not ended. An event whose reader was lost stays here
        for ever, as in Gradio.
    :ivar state: values of state components, by session and endpoint.
    """

    def __init__(self) -> None:
        self._messages: OrderedDict[str, asyncio.Queue[dict[str, Any]]] = OrderedDict()
        self.pending: dict[str, set[str]] = {}
        self.state: dict[tuple[str, str], Any] = {}

    def open(self, session: str) -> None:
        """Keep messages for a session from now on."""
        if session not in self._messages:
            self._messages[session] = asyncio.Queue()
            if len(self._messages) > MOST_SESSIONS:
                self._messages.popitem(last=False)

    def messages(self, session: str) -> asyncio.Queue[dict[str, Any]] | None:
        """The messages of a session; ``None`` if it never called, or is forgotten."""
        return self._messages.get(session)

    def send(self, session: str, message: dict[str, Any]) -> None:
        """Keep a message for the reader of a session. The message to a forgotten session is dropped."""
        messages = self._messages.get(session)
        if messages is not None:
            messages.put_nowait(message)

    def forget(self, session: str) -> None:
        """Drop the messages of a session whose reader is gone."""
        self._messages.pop(session, None)
