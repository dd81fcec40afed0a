"""HardwareSearch: try a list of flavors one after the other until one is available.

Come here to change which errors move a search on to the next flavor, and which step follows each event. The
search does no I/O and has no clock. Its caller sends the requests, waits, and reports each event::

    search = HardwareSearch(("l4x1", "a10g-small"), began=now, until=now + 1800)
    search.next_step()                                # Request("l4x1")
    search = search.requested(now)
    search = search.unavailable("Scheduling failure: not enough hardware capacity", now)
    search.next_step()                                # Request("a10g-small")
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from airflow_provider_hfspaces.hub.cost.prices import PriceList
from airflow_provider_hfspaces.hub.errors import (
    HardwareUnavailable,
    HubBadRequest,
    HubError,
    HubPaymentRequired,
    HubPermissionError,
    InvalidInput,
    SpaceNotStarted,
    SpaceWaitFailed,
)
from airflow_provider_hfspaces.hub.models import HardwareFlavor, SpaceRuntime
from airflow_provider_hfspaces.hub.stages import NEEDS_START_STAGES

__all__ = [
    "CAPACITY_ERRORS",
    "GiveUp",
    "HardwareSearch",
    "Pause",
    "Request",
    "Setback",
    "capacity_error",
    "why_unavailable",
]

CAPACITY_ERRORS = ("not enough hardware capacity", "reached your hardware quota limit")
"""Parts of the Hub's error messages for a Space that cannot start because its hardware is used up."""


@dataclass(frozen=True, slots=True)
class Setback:
    """A flavor that the search has tried and that is not available.

    :ivar hardware: the flavor.
    :ivar reason: why the flavor is not available.
    :ivar requested_at: when the flavor was requested, in seconds since 1970; ``None`` if it was skipped.
    :ivar ended_at: when the search moved on, in seconds since 1970.
    """

    hardware: str
    reason: str
    requested_at: float | None = None
    ended_at: float | None = None

    def __str__(self) -> str:
        return f"{self.hardware} ({self.reason.rstrip('.')})"


@dataclass(frozen=True, slots=True)
class Request:
    """Step: request this flavor, or continue with its request if it was already sent."""

    hardware: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Step: restore the Space, and start the list again later.

    :ivar until: when to start the list again, in seconds since 1970.
    """

    until: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Step: restore the Space, because no flavor of the list is available."""


@dataclass(frozen=True)
class HardwareSearch:
    """The state of a search for available hardware. Each event returns the state after the event.

    At most one flavor is requested at a time: :meth:`next_step` names the next one only after
    :meth:`unavailable` has ended the one before it.

    :ivar flavors: the flavors in order of preference.
    :ivar began: when the search began, in seconds since 1970.
    :ivar until: when the last pass through the list may begin, in seconds since 1970.
    :ivar retry_after: seconds between two passes through the list; ``None`` for one pass only.
    :ivar limits: for each flavor, the highest USD per hour for all replicas together; ``None`` for no limit.
    :ivar hourly: for each flavor, the price in USD per hour and replica; ``None`` if the Hub lists no price.
    :ivar position: index of the flavor that is tried now; the length of the list after the last flavor.
    :ivar requested_at: when the request for this flavor was sent, or may have been sent, in seconds since
        1970; ``None`` before the request.
    :ivar setbacks: the flavors that were not available in this pass.
    :ivar passes: number of passes, including this one.
    :ivar pass_began: when this pass began, in seconds since 1970; ``None`` for :attr:`began`.
    :ivar resumes_at: when the next pass begins, in seconds since 1970; ``None`` during a pass.
    :ivar key: identifies the purpose of the search, such as the time of a snapshot. A stored search with
        another key is out of date.
    """

    flavors: tuple[str, ...]
    began: float
    until: float
    retry_after: float | None = None
    limits: tuple[float | None, ...] = ()
    hourly: tuple[float | None, ...] = ()
    position: int = 0
    requested_at: float | None = None
    setbacks: tuple[Setback, ...] = ()
    passes: int = 1
    pass_began: float | None = None
    resumes_at: float | None = None
    key: str | None = None

    @property
    def hardware(self) -> str | None:
        """The flavor that is tried now; ``None`` after the last one."""
        return self.flavors[self.position] if self.position < len(self.flavors) else None

    @property
    def limit(self) -> float | None:
        """USD per hour that the current flavor may cost, for all replicas together; ``None`` for no limit."""
        return self.limits[self.position] if self.position < len(self.limits) else None

    @property
    def hourly_cost(self) -> float | None:
        """USD per hour and replica of the current flavor; ``None`` if the price is unknown."""
        return self.hourly[self.position] if self.position < len(self.hourly) else None

    @property
    def price(self) -> str | None:
        """The price of the current flavor as text, such as ``$0.40/h``; ``None`` if it is unknown."""
        cost = self.hourly_cost
        return None if cost is None else "free" if not cost else f"${cost:.2f}/h"

    @property
    def is_requested(self) -> bool:
        """Whether the request for the current flavor was sent, or may have been."""
        return self.requested_at is not None

    def with_prices(self, flavors: Iterable[HardwareFlavor]) -> HardwareSearch:
        """Return the search with the prices of the Hub's list."""
        prices = PriceList.from_flavors(flavors)
        return replace(self, hourly=tuple(prices.hourly(name) for name in self.flavors))

    def next_step(self) -> Request | Pause | GiveUp:
        """Return the next step for the caller."""
        if self.resumes_at is not None:
            return Pause(self.resumes_at)
        hardware = self.hardware
        return GiveUp() if hardware is None else Request(hardware)

    def requested(self, now: float) -> HardwareSearch:
        """Return the search after the request for the current flavor. Store it before you send the request.

        :param now: the current time, in seconds since 1970.
        :raises ValueError: if no flavor is left.
        """
        self._require_flavor("requested")
        return replace(self, requested_at=now if self.requested_at is None else self.requested_at)

    def unavailable(self, reason: str, now: float) -> HardwareSearch:
        """Return the search after the current flavor was rejected or skipped, or did not start the Space.

        :param reason: why the flavor is not available, for the final error.
        :param now: the current time, in seconds since 1970.
        :raises ValueError: if no flavor is left.
        """
        hardware = self._require_flavor("unavailable")
        after = replace(
            self,
            position=self.position + 1,
            requested_at=None,
            setbacks=(*self.setbacks, Setback(hardware, reason, self.requested_at, now)),
        )
        if after.hardware is None and self.retry_after is not None:
            resumes_at = now + self.retry_after
            after = replace(after, resumes_at=resumes_at if resumes_at < self.until else None)
        return after

    def taken_back(self) -> HardwareSearch:
        """Return the search without its last setback, because the Space runs on its flavor after all.

        :raises ValueError: without a setback.
        """
        if not self.setbacks:
            raise ValueError("The hardware search has no setback to take back.")
        last = self.setbacks[-1]
        return replace(
            self,
            position=self.flavors.index(last.hardware),
            requested_at=last.requested_at,
            setbacks=self.setbacks[:-1],
            resumes_at=None,
        )

    def resumed(self, now: float) -> HardwareSearch:
        """Return the search after a pause, at the beginning of a new pass.

        :param now: the current time, in seconds since 1970.
        :raises ValueError: if the search is not paused.
        """
        if self.resumes_at is None:
            raise ValueError("The hardware search is not paused.")
        return replace(self, position=0, setbacks=(), passes=self.passes + 1, pass_began=now, resumes_at=None)

    @property
    def unavailable_in_words(self) -> str:
        """The flavors that are not available, for a log: ``no l4x1 or a10g-small available``."""
        names = [each.hardware for each in self.setbacks]
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
        return f"no {listed} available"

    def tried(self) -> list[dict[str, Any]]:
        """Return the flavors that this pass has tried as plain JSON, the one requested now at the end."""
        tried = [asdict(each) for each in self.setbacks]
        if self.hardware is not None and self.is_requested:
            tried.append(asdict(Setback(self.hardware, "", self.requested_at)) | {"reason": None})
        return tried

    def failure(self, repo_id: str, remedy: str) -> HardwareUnavailable:
        """Return the error for a search without success. It is permanent if no flavor was requested.

        :param remedy: sentences with the state of the Space and what the user can do.
        """
        tried = ", ".join(map(str, self.setbacks))
        passes = f", in {self.passes} passes through the list" if self.passes > 1 else ""
        return HardwareUnavailable(
            f"Space {repo_id}: none of its hardware is available: {tried}{passes}. {remedy}",
            repo_id=repo_id,
            runtime=None,
            permanent=self.passes == 1 and not any(each.requested_at for each in self.setbacks),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the search as plain JSON."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            **values,
            "flavors": list(self.flavors),
            "limits": list(self.limits),
            "hourly": list(self.hourly),
            "setbacks": [asdict(each) for each in self.setbacks],
        }

    @classmethod
    def from_dict(cls, payload: Any) -> HardwareSearch:
        """Return the search from its :meth:`to_dict`.

        :raises InvalidInput: for anything else.
        """
        try:
            values = {name: payload[name] for name in cls.__dataclass_fields__}
            values["flavors"] = tuple(map(str, values["flavors"]))
            values["limits"], values["hourly"] = tuple(values["limits"]), tuple(values["hourly"])
            values["setbacks"] = tuple(Setback(**each) for each in values["setbacks"])
            return cls(**values)
        except (KeyError, TypeError, ValueError):
            raise InvalidInput(
                f"hardware search must be the JSON of to_dict(); got {payload!r:.200}."
            ) from None

    def _require_flavor(self, event: str) -> str:
        hardware = self.hardware
        if hardware is None:
            raise ValueError(f"The hardware search has no flavor left that could be {event}.")
        return hardware


def capacity_error(
    runtime: SpaceRuntime | None, hardware: str, texts: Iterable[str] = CAPACITY_ERRORS
) -> str | None:
    """Return the Hub's message that a flavor is used up; ``None`` if the runtime has no such message.

    :param runtime: the runtime of the Space.
    :param hardware: the flavor. A message about other hardware, as right after a request, does not count.
    :param texts: parts of the messages that count. Case does not matter.
    """
    if runtime is None or runtime.requested_hardware not in (None, hardware):
        return None
    if runtime.stage not in NEEDS_START_STAGES:
        return None
    return _matching(runtime.error_message, texts)


def why_unavailable(error: Exception, hardware: str, texts: Iterable[str] = CAPACITY_ERRORS) -> str | None:
    """Return the reason if an error means that a flavor is not available; ``None`` for other errors.

    A flavor is not available if the Hub has no capacity, rejects the flavor, or does not start the Space on
    it in time. A crash of the app, a failed build and a missing payment do not count, because other hardware
    does not fix them.

    :param error: the error of the request or of the wait.
    :param hardware: the flavor that was requested.
    :param texts: parts of the Hub's messages that count as missing capacity. Case does not matter.
    """
    if isinstance(error, SpaceNotStarted):
        return error.reason
    if isinstance(error, SpaceWaitFailed):
        return capacity_error(error.runtime, hardware, texts)
    if not isinstance(error, HubError) or isinstance(error, HubPaymentRequired):
        return None
    if error.method != "POST" or not (error.path or "").endswith(("/hardware", "/duplicate")):
        return None
    message = error.hub_message or ""
    if _matching(message, texts) is not None:
        return message
    if isinstance(error, HubBadRequest) and error.status == 400:
        return f"the Hub answered 400: {message}" if message else "the Hub answered 400"
    if isinstance(error, HubPermissionError) and _names(hardware, message):
        return f"the Hub answered 403: {message}"
    return None


def _matching(message: str | None, texts: Iterable[str]) -> str | None:
    if not message:
        return None
    lowered = message.lower()
    return message if any(text.strip().lower() in lowered for text in texts if text.strip()) else None


def _names(hardware: str, message: str) -> bool:
    """Return True if a rejection names the flavor or its family, so that it is not about the Space."""
    lowered = message.lower()
    family = hardware.lower().partition("-")[0]
    names = {hardware.lower(), family, *({"zerogpu"} if family == "zero" else ())} - {"zero", "cpu"}
    return any(name in lowered for name in names)
