"""HealthCheck: the request that shows whether the app of a Space works, and the expected answer.

The stage RUNNING only means that the container has started. An answer shows that the app has loaded its model
and accepts requests. This module decides which answers count, without any I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_hfspaces.hub.errors import InvalidInput, SpaceWaitTimeout
from airflow_provider_hfspaces.hub.masking import brief
from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = [
    "PROBE_PAUSE_SECONDS",
    "AppNotHealthy",
    "HealthCheck",
    "not_healthy",
]

PROBE_PAUSE_SECONDS = 5.0
"""Longest time between two requests to an app until it answers as expected."""

_KEYS = ("path", "status", "json", "text")
_PATH = re.compile(r"/(?!/)[!-~]*")
_MAX_VALUE_CHARACTERS = 60
"""Characters of a value in a message."""


class AppNotHealthy(SpaceWaitTimeout):
    """The Space runs, but its app did not answer the health check as expected in time."""


@dataclass(frozen=True)
class HealthCheck:
    """A ``GET`` request to the app of a Space, and the answer that the app gives when it works.

    >>> check = HealthCheck("/health", json={"model": "ready"})
    >>> check.judge(200, b'{"model": "loading", "version": 3}')
    "HTTP 200, in which model is 'loading' and not 'ready'"
    >>> check.judge(200, b'{"model": "ready", "version": 3}') is None
    True

    :param path: path to request, with a query string if needed; by default ``/``.
    :param status: expected HTTP status, or several; by default any below 400.
    :param json: values that the JSON answer must contain; by default none. Objects may have further keys.
    :param text: text that the answer must contain; by default none.
    :raises InvalidInput: for a value that is not valid.
    """

    path: str = "/"
    status: int | tuple[int, ...] | None = None
    json: Any = None
    text: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not _PATH.fullmatch(self.path) or "#" in self.path:
            raise InvalidInput(
                f"health must have a path on the Space's own host, such as '/health'; got {self.path!r:.100}."
            )
        statuses = self.status if isinstance(self.status, (tuple, list)) else (self.status,)
        if self.status is not None:
            if not statuses or not all(type(each) is int and 100 <= each <= 599 for each in statuses):
                raise InvalidInput(
                    f"health: status must be an HTTP status such as 200, or several; got "
                    f"{self.status!r:.100}."
                )
            object.__setattr__(self, "status", tuple(statuses))
        if self.text is not None and (not isinstance(self.text, str) or not self.text):
            raise InvalidInput(f"health: text must be a non-empty string; got {self.text!r:.100}.")
        try:
            json.dumps(self.json)
        except (TypeError, ValueError, RecursionError):
            raise InvalidInput(f"health: json must be plain JSON; got {self.json!r:.100}.") from None

    @classmethod
    def from_value(cls, value: Any) -> HealthCheck | None:
        """Return the check for the value of a ``health`` parameter.

        :param value: ``True`` for the app's start page, a path such as ``"/health"``, or a mapping with
            ``path``, ``status``, ``json`` and ``text``; ``None`` and ``False`` for no check.
        :raises InvalidInput: for any other value.
        """
        if value is None or value is False:
            return None
        if isinstance(value, HealthCheck):
            return value
        if value is True:
            return cls()
        if isinstance(value, str) and value.startswith("/"):
            return cls(value)
        if isinstance(value, Mapping) and value and set(value) <= set(_KEYS):
            return cls(**value)
        raise InvalidInput(
            f"health must be True, a path such as '/health', or a mapping with {', '.join(_KEYS)}; got "
            f"{value!r:.100}."
        )

    @classmethod
    def from_expected(cls, path: str, expected: Any) -> HealthCheck:
        """Return the check for a path and an expected answer.

        :param expected: expected HTTP status, text that the answer must contain, or a mapping with
            ``status``, ``json`` and ``text``; ``None`` for any status below 400.
        :raises InvalidInput: for any other value.
        """
        if expected is None:
            return cls(path)
        if isinstance(expected, int) and not isinstance(expected, bool):
            return cls(path, status=expected)
        if isinstance(expected, str):
            return cls(path, text=expected)
        if isinstance(expected, Mapping) and expected and set(expected) <= set(_KEYS[1:]):
            return cls(path, **expected)
        raise InvalidInput(
            f"expect must be an HTTP status, text, or a mapping with {', '.join(_KEYS[1:])}; got "
            f"{expected!r:.100}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the check as plain JSON, for :meth:`from_value`."""
        status = list(self.status) if isinstance(self.status, tuple) else self.status
        return {"path": self.path, "status": status, "json": self.json, "text": self.text}

    def judge(self, status: int, body: bytes) -> str | None:
        """Return what is wrong with an answer, in a few words; ``None`` if it is as expected.

        :param status: HTTP status of the answer.
        :param body: body of the answer, decompressed.
        """
        answer = f"HTTP {status}"
        expected = self.status
        if status not in expected if isinstance(expected, tuple) else status >= 400:
            return answer
        text = body.decode("utf-8", errors="replace")
        if self.text is not None and self.text not in text:
            return f"{answer}, without {self.text!r:.60} in its text"
        if self.json is None:
            return None
        try:
            payload = json.loads(text)
        except (ValueError, RecursionError):
            return f"{answer}, which is not JSON"
        difference = _difference(self.json, payload, "")
        return f"{answer}, in which {difference}" if difference else None

    def describe(self, repo_id: str, reason: str) -> str:
        """Return a log line for a Space that runs while its app does not answer as expected yet.

        :param reason: what is wrong with the answer, from :meth:`judge`.
        """
        return f"Space {repo_id} runs. Its app does not answer {self} as expected yet: {reason}."

    def __str__(self) -> str:
        return f"GET {self.path}"

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))


def not_healthy(
    repo_id: str,
    check: HealthCheck,
    reason: str | None,
    *,
    timeout: float,
    runtime: SpaceRuntime | None,
    endpoint: str,
) -> AppNotHealthy:
    """Return the error for a Space whose app did not answer the health check as expected in time.

    :param reason: what was wrong with the last answer; ``None`` if no time was left for a request.
    :param timeout: timeout of the wait in seconds.
    :param runtime: the last runtime of the Space.
    :param endpoint: the address of the Hub, for the link to the app's log.
    """
    return AppNotHealthy(
        f"Space {repo_id} runs, but its app did not answer {check} as expected in {timeout:.0f} seconds: "
        f"{reason or 'there was no time left for a request'}. Raise timeout, correct health, or read the "
        f"app's log: {endpoint}/spaces/{repo_id}?logs=container",
        repo_id=repo_id,
        runtime=runtime,
    )


def _difference(expected: Any, actual: Any, place: str) -> str | None:
    """Return the first difference of ``actual`` from ``expected``; ``None`` if it contains all values."""
    name = place or "the value"
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping):
            return f"{name} is not an object"
        for key, value in expected.items():
            inner = f"{place}.{key}" if place else str(key)
            if key not in actual:
                return f"{inner} is missing"
            difference = _difference(value, actual[key], inner)
            if difference:
                return difference
        return None
    # In Python, True equals 1.
    is_comparable = isinstance(expected, bool) == isinstance(actual, bool)
    if is_comparable and (expected == actual or (isinstance(expected, tuple) and list(expected) == actual)):
        return None
    return f"{name} is {_short(actual)} and not {_short(expected)}"


def _short(value: Any) -> str:
    return brief(repr(value), longest=_MAX_VALUE_CHARACTERS)
