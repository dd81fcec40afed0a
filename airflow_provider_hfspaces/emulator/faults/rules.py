"""What goes wrong with requests, on purpose and the same way each time.

A fault says which requests it strikes, how many of them, and what happens. Whether it strikes one is
drawn from the seed, the request and how often that request has come, and from nothing else: the same
requests meet the same faults however threads and processes take turns.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

__all__ = ["KINDS", "Fault", "Faults", "bad_day"]

KINDS = {
    "status": "an error status, by default 503, with Retry-After if seconds are given",
    "reset": "the connection is reset",
    "silence": "the answer never comes",
    "delay": "the answer comes so many seconds late",
    "late": "the client gets a reset, or a status, at once; the Hub acts so many emulated seconds later",
    "drip": "the answer comes byte by byte, over so many seconds",
    "truncate": "the answer ends in the middle",
    "html": "a proxy's page, by default with status 200",
    "content_type": "the right answer under a wrong content type",
    "clock_skew": "the answer's Date is off by so many seconds",
}
"""What each kind of fault does to an answer."""

_WITH_SECONDS = ("delay", "drip", "clock_skew", "late")
_EITHER_WAY = ("status", "reset", "silence", "html")


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with some requests.

    :ivar kind: one of :data:`KINDS`.
    :ivar share: of the requests that it may strike, 0 to 1.
    :ivar times: how many it strikes at the most; ``None`` for any number.
    :ivar method: only requests of this method.
    :ivar path: only requests whose path this regular expression is found in.
    :ivar status: of the answer, for ``status``, ``html`` and ``late``.
    :ivar seconds: for ``delay``, ``drip``, ``clock_skew`` and ``late``; for ``status``, the value of
        ``Retry-After``.
    :ivar after: whether the Hub does what was asked before it goes wrong.
    :ivar message: what the error answer says.
    """

    kind: str
    share: float = 1.0
    times: int | None = None
    method: str | None = None
    path: str = ""
    status: int | None = None
    seconds: float | None = None
    after: bool = False
    message: str | None = None
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"A fault is one of {', '.join(KINDS)}; got {self.kind!r}.")
        if isinstance(self.share, bool) or not 0 <= float(self.share) <= 1:
            raise ValueError(f"A fault's share is a number from 0 to 1; got {self.share!r}.")
        if self.times is not None and (isinstance(self.times, bool) or int(self.times) != self.times):
            raise ValueError(f"A fault's times is a whole number; got {self.times!r}.")
        if self.status is not None and not 100 <= self.status <= 599:
            raise ValueError(f"A fault's status is one of HTTP; got {self.status!r}.")
        if self.kind in _WITH_SECONDS and self.seconds is None:
            raise ValueError(f"A fault of the kind {self.kind} needs seconds.")
        if self.after and self.kind not in _EITHER_WAY:
            raise ValueError(f"after is for {', '.join(_EITHER_WAY)}: {self.kind} always comes after.")
        try:
            object.__setattr__(self, "pattern", re.compile(self.path))
        except re.error as problem:
            raise ValueError(
                f"A fault's path is a regular expression; {self.path!r} is none: {problem}."
            ) from None

    @classmethod
    def parse(cls, text: str) -> Fault:
        """A fault as the command line takes it: ``kind=reset,path=/restart,share=0.5,after=true``.

        :raises ValueError: for anything else.
        """
        known = {each.name for each in fields(cls) if each.init}
        said: dict[str, Any] = {}
        for part in text.split(","):
            name, equals, value = part.strip().partition("=")
            if not equals:
                name, value = "kind", part.strip()
            if name not in known:
                raise ValueError(f"A fault has no {name!r}: it has {', '.join(sorted(known))}.")
            said[name] = _read(name, value)
        if "kind" not in said:
            raise ValueError(f"{text!r} names no kind of fault: there are {', '.join(KINDS)}.")
        return cls(**said)

    def strikes(self, method: str, path: str) -> bool:
        """Whether it may strike such a request at all."""
        return self.method in (None, method) and self.pattern.search(path) is not None

    @property
    def takes_effect(self) -> bool:
        """Whether the Hub does what was asked."""
        return self.kind != "late" and (self.after or self.kind not in _EITHER_WAY)

    @property
    def is_mute(self) -> bool:
        """Whether the client gets no answer at all."""
        return self.kind in ("reset", "silence") or (self.kind == "late" and self.status is None)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {name: value for name, value in asdict(self).items() if name != "pattern"}


class Faults:
    """The faults of an emulated Hub, and which requests they have struck.

    :param seed: of all that is drawn.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.clear()

    def clear(self) -> None:
        """Let everything go right from now on."""
        self._faults: list[Fault] = []
        self._struck: list[int] = []
        self._seen: dict[str, int] = {}

    def add(self, fault: Fault | Mapping[str, Any] | None = None, **options: Any) -> Fault:
        """Let something go wrong from now on; the first fault that strikes a request is the one.

        :raises ValueError: for a fault that cannot be.
        """
        try:
            if not isinstance(fault, Fault):
                fault = Fault(**{**(fault or {}), **options})
        except TypeError as problem:
            raise ValueError(str(problem)) from None
        self._faults.append(fault)
        self._struck.append(0)
        return fault

    def of(self, method: str, path: str) -> Fault | None:
        """What goes wrong with the request that has just come."""
        if not self._faults:
            return None
        request = f"{method} {path}"
        number = self._seen[request] = self._seen.get(request, 0) + 1
        for index, fault in enumerate(self._faults):
            if not fault.strikes(method, path):
                continue
            if fault.times is not None and self._struck[index] >= fault.times:
                continue
            if random.Random(f"{self.seed}/{index}/{request}/{number}").random() < fault.share:
                self._struck[index] += 1
                return fault
        return None

    def __iter__(self) -> Any:
        return iter(self._faults)

    def __len__(self) -> int:
        return len(self._faults)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, with how often each has struck."""
        return {
            "seed": self.seed,
            "faults": [
                {**fault.to_dict(), "struck": struck}
                for fault, struck in zip(self._faults, self._struck, strict=True)
            ],
        }


def bad_day() -> Iterable[Fault]:
    """Ten in a hundred requests end in a 5xx, and three in their answer being lost.

    The gateway's errors come before anything was done, as everybody has to assume; a 500 and a lost
    answer come before or after.
    """
    for status, share, after in ((503, 0.04, False), (502, 0.02, False), (504, 0.02, False)):
        yield Fault("status", share=share, status=status, after=after)
    yield Fault("status", share=0.01, status=500, after=True)
    yield Fault("status", share=0.01, status=500)
    yield Fault("reset", share=0.02, after=True)
    yield Fault("reset", share=0.01)


def _read(name: str, value: str) -> Any:
    try:
        if name in ("share", "seconds"):
            return float(value)
        if name in ("times", "status"):
            return int(value)
    except ValueError:
        raise ValueError(f"A fault's {name} is a number; got {value!r}.") from None
    if name == "after":
        if value.lower() not in ("true", "false"):
            raise ValueError(f"A fault's after is true or false; got {value!r}.")
        return value.lower() == "true"
    return value
