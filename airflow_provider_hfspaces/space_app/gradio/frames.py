"""FrameReader: splits a stream of server-sent events into the messages of a Gradio app."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["FrameError", "FrameReader"]


class FrameError(Exception):
    """A stream that Gradio's protocol does not allow, or that exceeds the limits."""


class FrameReader:
    """Reads the bytes of a stream and returns the complete messages.

    A frame ends with a blank line. Only line feeds separate lines, because Gradio does not escape characters
    such as U+2028, at which ``str.splitlines()`` splits too.

    :param max_bytes: largest frame in bytes.
    :param max_messages: largest number of frames.
    """

    def __init__(self, *, max_bytes: int, max_messages: int) -> None:
        self._max_bytes, self._max_messages = max_bytes, max_messages
        self._rest = bytearray()
        self._searched = 0
        self._count = 0

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
        """Read the next bytes, and return the messages that are complete.

        :raises FrameError: for a frame that is not JSON, or a stream beyond the limits.
        """
        self._rest += chunk
        if self._rest.find(b"\r", max(0, self._searched - 1)) >= 0:
            self._rest, self._searched = self._rest.replace(b"\r\n", b"\n"), 0
        messages = []
        begin = 0
        while (end := self._rest.find(b"\n\n", max(begin, self._searched - 1))) >= 0:
            self._count += 1
            if self._count > self._max_messages:
                raise FrameError(f"sent more than {self._max_messages:,} messages (limits.messages)")
            message = self._message(bytes(self._rest[begin:end]))
            if message is not None:
                messages.append(message)
            begin = self._searched = end + 2
        del self._rest[:begin]
        self._searched = len(self._rest)
        if len(self._rest) > self._max_bytes:
            raise FrameError(f"sent a message of more than {self._max_bytes:,} bytes (limits.answer_bytes)")
        return messages

    def _message(self, frame: bytes) -> dict[str, Any] | None:
        if len(frame) > self._max_bytes:
            raise FrameError(f"sent a message of more than {self._max_bytes:,} bytes (limits.answer_bytes)")
        lines = [line[5:].removeprefix(b" ") for line in frame.split(b"\n") if line.startswith(b"data:")]
        if not lines:
            return None
        try:
            message = json.loads(b"\n".join(lines))
        except (ValueError, RecursionError):
            raise FrameError("sent a message that is not JSON") from None
        if not isinstance(message, dict):
            raise FrameError("sent a message that is not a JSON object")
        return message
