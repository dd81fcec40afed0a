"""Fault and Faults: the rules by which requests fail.

Whether a fault strikes a request depends only on the seed, on the request, and on how often an equal request
came before. So a test meets equal faults in each run, in whatever order its threads and processes send.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatch
from typing import Any

from airflow_provider_hfspaces.emulator.faults.apps import APP_KINDS, AppKind
from airflow_provider_hfspaces.emulator.faults.kinds import KINDS, Kind

__all__ = ["Fault", "Faults", "bad_day"]


@dataclass(frozen=True)
class Fault:
    """A rule by which requests fail.

        hub.faults.add(Fault("reset", method="POST", path="/restart$", after=True, times=1))
        hub.faults.add(Fault("cut", app="acme/caption", path="/queue/data", frames=2))

    :ivar kind: one of :data:`KINDS`, or with ``app`` one of :data:`APP_KINDS`.
    :ivar app: strike requests to the app of this Space, or of all Spaces that match a pattern such as
        ``acme/*``. ``None`` strikes requests to the Hub.
    :ivar share: share of the matching requests that the fault strikes, 0 to 1.
    :ivar times: maximum number of requests that the fault strikes; ``None`` for no limit.
    :ivar method: strike only requests with this method; ``None`` for all methods.
    :ivar path: strike only requests whose path contains a match of this regular expression.
    :ivar status: status of the answer, for ``status``, ``html`` and ``late``.
    :ivar seconds: duration for ``delay``, ``drip``, ``slow``, ``clock_skew`` and ``late``; value of
        ``Retry-After`` for ``status``. Real seconds, except for ``late`` and for the ``delay`` of an app.
    :ivar after: whether the Hub or the app acts on the request before the fault strikes.
    :ivar frames: pieces of the answer that still reach the client, for ``cut`` and ``kill``.
    :ivar message: message of the error response; the page itself for ``html``.
    :raises ValueError: for invalid values.
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
    app: str | None = None
    frames: int = 0
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        kinds: Mapping[str, Kind | AppKind] = KINDS if self.app is None else APP_KINDS
        if self.kind not in kinds:
            where = "" if self.app is None else " of an app"
            raise ValueError(
                f"The kind of a fault{where} must be one of {', '.join(kinds)}; got {self.kind!r}."
            )
        if isinstance(self.share, bool) or not 0 <= float(self.share) <= 1:
            raise ValueError(f"The share of a fault must be a number from 0 to 1; got {self.share!r}.")
        if self.times is not None and (isinstance(self.times, bool) or int(self.times) != self.times):
            raise ValueError(f"The times of a fault must be a whole number; got {self.times!r}.")
        if self.status is not None and not 100 <= self.status <= 599:
            raise ValueError(f"The status of a fault must be from 100 to 599; got {self.status!r}.")
        if isinstance(self.frames, bool) or not isinstance(self.frames, int) or self.frames < 0:
            raise ValueError(f"The frames of a fault must be a whole number; got {self.frames!r}.")
        if kinds[self.kind].needs_seconds and self.seconds is None:
            raise ValueError(f"seconds is required for a fault of the kind {self.kind!r}.")
        if self.after and not kinds[self.kind].skips:
            skipping = ", ".join(name for name, kind in kinds.items() if kind.skips)
            actor = "Hub" if self.app is None else "app"
            raise ValueError(
                f"after is valid only for {skipping}; with {self.kind!r} the {actor} acts in any case."
            )
        try:
            object.__setattr__(self, "pattern", re.compile(self.path))
        except re.error as problem:
            raise ValueError(
                f"The path of a fault must be a regular expression; got {self.path!r}: {problem}."
            ) from None

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read a fault in the notation of the command line: ``kind=reset,path=/restart,share=0.5``.

        :raises ValueError: if the text does not describe a valid fault.
        """
        names = {each.name for each in fields(cls) if each.init}
        values: dict[str, Any] = {}
        for part in text.split(","):
            name, equals, value = part.strip().partition("=")
            if not equals:
                name, value = "kind", part.strip()
            if name not in names:
                raise ValueError(
                    f"{name!r} is not an option of a fault; the options are {', '.join(sorted(names))}."
                )
            values[name] = _value(name, value)
        if "kind" not in values:
            raise ValueError(
                f"kind is missing in the fault {text!r}; the kinds are {', '.join({**KINDS, **APP_KINDS})}."
            )
        return cls(**values)

    def matches(self, method: str, path: str, app: str | None = None) -> bool:
        """Whether the fault can strike a request with this method and path.

        :param app: the Space whose app the request is for; ``None`` for a request to the Hub.
        """
        if (app is None) != (self.app is None):
            return False
        if app is not None and not fnmatch(app.lower(), (self.app or "").lower()):
            return False
        return self.method in (None, method) and self.pattern.search(path) is not None

    @property
    def acts_at_once(self) -> bool:
        """Whether the Hub acts on the request at once."""
        kind = KINDS[self.kind]
        return not kind.defers and (self.after or not kind.skips)

    @property
    def acts_later(self) -> bool:
        """Whether the Hub acts on the request only after :attr:`seconds`."""
        return KINDS[self.kind].defers

    @property
    def is_mute(self) -> bool:
        """Whether the client gets no answer."""
        kind = KINDS[self.kind]
        return kind.mute or (kind.defers and self.status is None)

    def to_dict(self) -> dict[str, Any]:
        """The fault as plain JSON."""
        return {name: value for name, value in asdict(self).items() if name != "pattern"}


class Faults:
    """The faults of an emulated Hub, and the number of requests that each has struck.

    :param seed: with equal seeds, faults strike equal requests.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.clear()

    def clear(self) -> None:
        """Remove all faults."""
        self._faults: list[Fault] = []
        self._strike_counts: list[int] = []
        self._request_counts: dict[str, int] = {}

    def add(self, fault: Fault | Mapping[str, Any] | None = None, **options: Any) -> Fault:
        """Add a fault, as a :class:`Fault` or by its fields, and return it.

            hub.faults.add(kind="status", status=503, share=0.1, path="/hardware")

        If several faults match a request, the first one that strikes applies.

        :raises ValueError: for unknown fields and invalid values.
        """
        try:
            if not isinstance(fault, Fault):
                fault = Fault(**{**(fault or {}), **options})
        except TypeError as problem:
            raise ValueError(str(problem)) from None
        self._faults.append(fault)
        self._strike_counts.append(0)
        return fault

    def strike(self, method: str, path: str, app: str | None = None) -> Fault | None:
        """Count a request, and return the fault that strikes it; ``None`` if no fault strikes.

        :param app: the Space whose app the request is for; ``None`` for a request to the Hub.
        """
        if not self._faults:
            return None
        request = f"{method} {path}" if app is None else f"{app} {method} {path}"
        number = self._request_counts[request] = self._request_counts.get(request, 0) + 1
        for index, fault in enumerate(self._faults):
            if not fault.matches(method, path, app):
                continue
            if fault.times is not None and self._strike_counts[index] >= fault.times:
                continue
            if random.Random(f"{self.seed}/{index}/{request}/{number}").random() < fault.share:
                self._strike_counts[index] += 1
                return fault
        return None

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def __len__(self) -> int:
        return len(self._faults)

    def to_dict(self) -> dict[str, Any]:
        """The faults as plain JSON, each with ``struck``, the number of requests that it has struck."""
        return {
            "seed": self.seed,
            "faults": [
                {**fault.to_dict(), "struck": struck}
                for fault, struck in zip(self._faults, self._strike_counts, strict=True)
            ],
        }


def bad_day() -> Iterable[Fault]:
    """Faults that make 10 % of all requests end in a 5xx and lose 3 % of the answers.

    The Hub does not act on requests that get a 502, 503 or 504. After a 500 or a reset it may have acted.
    """
    for status, share in ((503, 0.04), (502, 0.02), (504, 0.02)):
        yield Fault("status", share=share, status=status)
    yield Fault("status", share=0.01, status=500, after=True)
    yield Fault("status", share=0.01, status=500)
    yield Fault("reset", share=0.02, after=True)
    yield Fault("reset", share=0.01)


def _value(name: str, text: str) -> Any:
    try:
        if name in ("share", "seconds"):
            return float(text)
        if name in ("times", "status", "frames"):
            return int(text)
    except ValueError:
        raise ValueError(f"The {name} of a fault must be a number; got {text!r}.") from None
    if name == "after":
        if text.lower() not in ("true", "false"):
            raise ValueError(f"The after of a fault must be true or false; got {text!r}.")
        return text.lower() == "true"
    return text
