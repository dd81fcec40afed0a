"""Rate limits as the Hub has them: fixed windows of five minutes, a quota by plan."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["QUOTAS", "WINDOW", "Allowance", "Limits"]

WINDOW = 300
"""Seconds."""

QUOTAS = {
    "anonymous": 500,
    "free": 1_000,
    "pro": 2_500,
    "team": 3_000,
    "academia": 3_000,
    "enterprise": 6_000,
    "plus": 10_000,
    "plus-higher": 100_000,
}
"""API requests per window."""


@dataclass(frozen=True)
class Allowance:
    """What is left after a request."""

    allowed: bool
    remaining: int
    reset: int
    quota: int
    window: int

    def headers(self) -> dict[str, str]:
        """As the Hub announces it with every answer."""
        return {
            "RateLimit": f'"api";r={self.remaining};t={self.reset}',
            "RateLimit-Policy": f'"fixed window";"api";q={self.quota};w={self.window}',
        }


@dataclass
class Limits:
    """Counts requests by account. Windows run on real time, as the clients that wait for them do.

    :ivar window: seconds.
    :ivar quotas: requests per window, by plan.
    """

    window: int = WINDOW
    quotas: dict[str, int] = field(default_factory=lambda: dict(QUOTAS))
    clock: Callable[[], float] = time.monotonic
    _counts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def quota(self, plan: str) -> int:
        """Requests per window on a plan."""
        return self.quotas.get(plan, self.quotas["free"])

    def take(self, key: str, plan: str, *, enforced: bool = True) -> Allowance:
        """Count one request."""
        now = self.clock()
        number = int(now // self.window)
        started, used = self._counts.get(key, (number, 0))
        used = used + 1 if started == number else 1
        self._counts[key] = (number, used)
        quota = self.quota(plan)
        return Allowance(
            allowed=used <= quota or not enforced,
            remaining=max(quota - used, 0),
            reset=max(int((number + 1) * self.window - now), 1),
            quota=quota,
            window=self.window,
        )
