"""What an emulated Hub remembers of the requests that it got."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qs

from airflow_provider_hfspaces.emulator.model.clock import iso

__all__ = ["MOST_REQUESTS", "RecordedRequest", "redacted"]

MOST_REQUESTS = 100_000
"""So many are kept; older ones are forgotten."""


@dataclass
class RecordedRequest:
    """A request to the Hub's API as it came, but for the token's value.

    :ivar number: counts up from 1.
    :ivar time: emulated seconds since 1970.
    :ivar query: as it stood in the address, without the question mark; see :attr:`params`.
    :ivar headers: by their names in small letters.
    :ivar json: the body, if it was JSON; ``None`` if there was none.
    :ivar user: whose token it was, if any was shown and it was good.
    :ivar token_name: that token's name.
    :ivar status: of the answer; 0 if there was none.
    :ivar took_effect: whether the Hub did what was asked, whatever it answered.
    :ivar fault: the kind of fault that struck it, if any did.
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
        """The query, taken apart."""
        return parse_qs(self.query, keep_blank_values=True)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "at": iso(self.time)}


def redacted(headers: Mapping[str, str]) -> dict[str, str]:
    """These headers without what would let their reader in."""
    kept = {name.lower(): value for name, value in headers.items()}
    if "authorization" in kept:
        kept["authorization"] = kept["authorization"].partition(" ")[0] + " ***"
    return kept
