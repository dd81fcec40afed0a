"""RecordedRequest and AppRequest, the entries in the logs of requests to the Hub and to apps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qs

from airflow_provider_hfspaces.emulator.model.clock import iso

__all__ = ["MAX_APP_REQUESTS", "MAX_REQUESTS", "AppRequest", "RecordedRequest", "redacted"]

MAX_REQUESTS = 100_000
"""Number of requests to the Hub that are kept."""

MAX_APP_REQUESTS = 20_000
"""Number of requests to one app that are kept."""


@dataclass
class RecordedRequest:
    """A request to the Hub, without the value of its token.

    :ivar number: counted from 1.
    :ivar time: emulated seconds since 1970.
    :ivar query: the query string, without the question mark; parsed in :attr:`params`.
    :ivar headers: by name, in lower case.
    :ivar json: the JSON body; ``None`` for any other body.
    :ivar user: owner of the token; ``None`` without a valid token.
    :ivar token_name: name of the token.
    :ivar status: status of the answer; 0 if the client got no answer.
    :ivar took_effect: whether the Hub acted on the request, even if the client got another answer.
    :ivar fault: kind of the fault that struck the request; ``None`` without a fault.
    """

    number: int
    time: float
    method: str
    path: str
    query: str
    headers: dict[str, str] = field(repr=False)
    json: Any
    user: str | None
    token_name: str | None
    status: int = 0
    took_effect: bool = False
    fault: str | None = None

    @property
    def params(self) -> dict[str, list[str]]:
        """The parsed query."""
        return parse_qs(self.query, keep_blank_values=True)

    def to_dict(self) -> dict[str, Any]:
        """The request as plain JSON."""
        return {**asdict(self), "at": iso(self.time)}


def redacted(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers without credentials."""
    kept = {name.lower(): value for name, value in headers.items()}
    if "authorization" in kept:
        kept["authorization"] = kept["authorization"].partition(" ")[0] + " ***"
    return kept


@dataclass
class AppRequest:
    """A request to the app of a Space, as the app saw it. Credentials are kept, so that tests can find them.

    :ivar time: emulated seconds since 1970.
    :ivar path: as the caller sent it, without ``/--replicas/…``.
    :ivar query: the query string, without the question mark.
    :ivar headers: by name, in lower case.
    :ivar body: the first 64 KiB of the body.
    :ivar replica: name of the replica that the request reached.
    :ivar status: status of the app's answer; 0 if the app has not answered.
    :ivar fault: kind of the fault that struck the request; ``None`` without a fault.
    """

    time: float
    method: str
    path: str
    query: str
    headers: dict[str, str] = field(repr=False)
    replica: str
    body: bytes = field(default=b"", repr=False)
    status: int = 0
    fault: str | None = None

    @property
    def json(self) -> Any:
        """The JSON body; ``None`` for any other body, and for a body of more than 64 KiB."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def contains(self, text: str) -> bool:
        """Whether a text is in the address, in a header or in :attr:`body`."""
        places = (self.path, self.query, *self.headers.values())
        return text.encode() in self.body or any(text in place for place in places)

    def to_dict(self) -> dict[str, Any]:
        """The request as plain JSON."""
        return {
            **{name: value for name, value in asdict(self).items() if name != "body"},
            "json": self.json,
            "at": iso(self.time),
        }
