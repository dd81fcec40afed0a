"""The Hub's rate limits: fixed windows of five minutes, with quotas by plan and kind of request."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["BUCKETS", "QUOTAS", "WINDOW_SECONDS", "Allowance", "Limits", "bucket_of"]

WINDOW_SECONDS = 300
"""Length of a window on the Hub, in real seconds."""

BUCKETS = ("api", "resolvers", "pages")
"""The kinds of requests with a quota of their own: to the API, for files, for web pages."""

QUOTAS = {
    "anonymous": (500, 3_000, 100),
    "free": (1_000, 5_000, 200),
    "pro": (2_500, 12_000, 400),
    "team": (3_000, 20_000, 400),
    "academia": (3_000, 20_000, 400),
    "enterprise": (6_000, 50_000, 600),
    "plus": (10_000, 100_000, 1_000),
    "plus-higher": (100_000, 500_000, 10_000),
}
"""Requests per window by plan, in the order of :data:`BUCKETS`."""


_FILE = re.compile(r"/(?!apps/|_emulator/)((spaces|datasets)/)?[^/]+(/[^/]+)?/resolve/")

_LARGE_FILES = re.compile(r"\.git/info/lfs/objects/(batch|verify)$")


def bucket_of(path: str) -> str | None:
    """The bucket of a request; ``None`` for requests that count against no quota."""
    if path.startswith("/api/") or _LARGE_FILES.search(path):
        return "api"
    if _FILE.match(path):
        return "resolvers"
    return "pages" if path.startswith("/spaces/") else None


@dataclass(frozen=True)
class Allowance:
    """The state of a quota after a request.

    :ivar remaining: requests that are left in the window.
    :ivar reset: seconds until the next window.
    :ivar quota: requests per window.
    :ivar window: length of the window in seconds.
    """

    bucket: str
    allowed: bool
    remaining: int
    reset: int
    quota: int
    window: int

    def headers(self) -> dict[str, str]:
        """The ``RateLimit`` headers, which every answer of the Hub has."""
        return {
            "RateLimit": f'"{self.bucket}";r={self.remaining};t={self.reset}',
            "RateLimit-Policy": f'"fixed window";"{self.bucket}";q={self.quota};w={self.window}',
        }


@dataclass
class Limits:
    """Counts requests by account. Windows are in real time, because clients wait for them in real time.

    :ivar window: length of a window in real seconds.
    :ivar quotas: API requests per window, by plan.
    """

    window: int = WINDOW_SECONDS
    quotas: dict[str, int] = field(default_factory=lambda: {plan: each[0] for plan, each in QUOTAS.items()})
    clock: Callable[[], float] = time.monotonic
    _counts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def quota(self, plan: str, bucket: str = "api") -> int:
        """Requests per window on a plan."""
        if bucket == "api":
            return self.quotas.get(plan, self.quotas["free"])
        return QUOTAS.get(plan, QUOTAS["free"])[BUCKETS.index(bucket)]

    def tighten(self, quota: int, window: int = WINDOW_SECONDS) -> None:
        """Set one API quota for all plans, and start to count anew.

        :raises ValueError: for less than one request or one second.
        """
        for name, value in (("quota", quota), ("window", window)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1; got {value!r}.")
        self.quotas = dict.fromkeys(QUOTAS, quota)
        self.window = window
        self._counts.clear()

    def take(self, key: str, plan: str, *, bucket: str = "api", enforced: bool = True) -> Allowance:
        """Count a request, and return the state of the quota.

        :param key: key of the account.
        :param enforced: whether a request over the quota is refused.
        """
        now = self.clock()
        number = int(now // self.window)
        started, used = self._counts.get((key, bucket), (number, 0))
        used = used + 1 if started == number else 1
        self._counts[key, bucket] = (number, used)
        quota = self.quota(plan, bucket)
        return Allowance(
            bucket=bucket,
            allowed=used <= quota or not enforced,
            remaining=max(quota - used, 0),
            reset=max(int((number + 1) * self.window - now), 1),
            quota=quota,
            window=self.window,
        )
