"""What can be set about an emulated Hub: how long things take, and what it answers where nobody
knows what the real one does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from airflow_provider_hfspaces.emulator.model.clock import LATEST
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = ["Settings", "Timings"]

_CHOICES: dict[str, tuple[Any, ...]] = {
    "storage": ("retired", "gone", "bad_request", "works"),
    "asleep": (SpaceStage.SLEEPING.value, SpaceStage.STOPPED.value),
    "hardware_answer": ("after", "before"),
    "lag_from": ("serving", "anything"),
    "payment_status": (402, 403),
    "cpu_basic": ("accepted", 402, 403),
    "pause_twice": (200, 400),
    "sleep_time_on_free": (200, 400),
    "volumes_body": ("volumes", "empty", "runtime"),
    "replicas_body": ("runtime", "empty"),
    "logs_end": ("when_over", "at_once", "never"),
}


@dataclass(frozen=True)
class Timings:
    """How long things take, in emulated seconds.

    :ivar build: from BUILDING (or RUNNING_BUILDING) to the image.
    :ivar start: from the image to RUNNING.
    :ivar wake: from the first visit of a sleeping Space to RUNNING.
    :ivar lag: for which the runtime goes on showing what was there before a request.
    :ivar scheduling: until the Hub gives up looking for hardware that it has not got.
    :ivar launch_timeout: until the Hub gives up on an app that does not get healthy.
    :ivar list_lag: by which the runtimes in lists are behind those of single Spaces.
    :ivar branch_lag: by which files that are read by the name of a branch may be behind it.
    :ivar deleting: for which a deleted Space is still there, in DELETING.
    """

    build: float = 120.0
    start: float = 30.0
    wake: float = 20.0
    lag: float = 3.0
    scheduling: float = 60.0
    launch_timeout: float = 1800.0
    list_lag: float = 0.0
    branch_lag: float = 0.0
    deleting: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LATEST:
                raise ValueError(f"timings.{each.name} is a number of seconds, 0 or more; got {value!r}.")


@dataclass
class Settings:
    """The behaviour of an emulated Hub. Each default is what is known of the real one, or else the
    likeliest; the other choices are there because a client has to get along with them too.

    :ivar timings: how long things take.
    :ivar storage: how ``/storage`` is refused: ``retired`` (404), ``gone`` (410), ``bad_request``
        (400); or ``works``.
    :ivar asleep: the stage of a sleeping Space: ``SLEEPING`` or ``STOPPED``.
    :ivar hardware_answer: whether the answer to a hardware request shows the stage ``after`` it
        (RUNNING_BUILDING) or the one ``before`` it (RUNNING).
    :ivar lag_from: whether only a ``serving`` Space is shown as before for ``timings.lag`` seconds
        after a restart or a hardware request, or one in ``anything``, a paused one included.
    :ivar lag_hides_request: whether the runtime hides the requested hardware as well during the lag.
    :ivar hardware_wakes_paused: whether a hardware request starts a paused Space.
    :ivar hardware_wakes_sleeping: whether it starts a sleeping one.
    :ivar restart_serves: whether the old version serves on through a restart (RUNNING_BUILDING),
        or not (BUILDING).
    :ivar pause_twice: the status with which pausing a paused Space is answered.
    :ivar payment_status: the status for hardware that costs, without a payment method.
    :ivar cpu_basic: whether a request for cpu-basic is ``accepted``, or the status (402 or 403) with which
        the Hub refuses it because the account has used up its quota of cpu-basic Spaces.
    :ivar sleep_time_on_free: the status for a sleep time on free hardware; it has no effect anyway.
    :ivar duplicate_conflict_url: whether the 409 of a duplication names the existing Space's page.
    :ivar volumes_body: what ``/volumes`` answers: ``volumes``, ``empty`` or ``runtime``.
    :ivar replicas_body: what ``/replicas`` answers: ``runtime`` or ``empty``.
    :ivar logs_end: when a stream of logs is closed: ``when_over`` (the build or the app has ended),
        ``at_once`` after what there is, or ``never``.
    :ivar keep_alive: real seconds between the comments that keep a quiet stream open.
    :ivar oauth_refused: whether an OAuth token gets a 401 for hardware, sleep time and restart.
    :ivar repo_not_found_on_401: whether a 401 on a Space carries ``X-Error-Code: RepoNotFound``. The
        Hub sends none; the official client makes up for it on ``https`` addresses alone, so that
        without it the client would raise another error here than it does with the Hub.
    :ivar paywall: whether accounts without a subscription may not host apps on free hardware (402).
    :ivar zero_gpu_spaces: how many ZeroGPU Spaces a free account may have; PRO accounts and
        organizations may have ten.
    :ivar files_copy_pending: for how many emulated seconds a copy waits for its files; the answer to the
        duplication says ``filesCopyPending`` then, and the copy is in NO_APP_FILE.
    :ivar seconds_per_request: by how many emulated seconds each request to the API moves the time. With
        a speed of 0, nothing depends on how fast a machine is.
    :ivar page_size: the length of a list's page where the client names none.
    :ivar largest_page: the most that a client may ask for.
    :ivar commits_per_hour: the most commits to one repository within an emulated hour, on all its
        branches together; another one gets a 429.
    :ivar enforce: whether the rate limits are enforced; they are announced in any case.
    """

    timings: Timings = field(default_factory=Timings)
    storage: str = "retired"
    asleep: str = SpaceStage.SLEEPING.value
    hardware_answer: str = "after"
    lag_from: str = "serving"
    lag_hides_request: bool = False
    hardware_wakes_paused: bool = False
    hardware_wakes_sleeping: bool = True
    restart_serves: bool = True
    pause_twice: int = 200
    payment_status: int = 403
    cpu_basic: str | int = "accepted"
    sleep_time_on_free: int = 200
    duplicate_conflict_url: bool = True
    volumes_body: str = "volumes"
    replicas_body: str = "runtime"
    logs_end: str = "when_over"
    keep_alive: float = 30.0
    oauth_refused: bool = True
    repo_not_found_on_401: bool = True
    paywall: bool = False
    zero_gpu_spaces: int = 2
    files_copy_pending: float = 0.0
    seconds_per_request: float = 0.0
    page_size: int = 500
    largest_page: int = 1000
    commits_per_hour: int = 128
    enforce: bool = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _names():
            raise ValueError(f"There is no setting {name!r}: there are {', '.join(sorted(_names()))}.")
        _check(name, value)
        super().__setattr__(name, value)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set some of them by name; ``timings`` as a :class:`Timings` or as a mapping of some of its own.

        :raises ValueError: for a name or a choice that there is not; nothing is changed then.
        """
        changes = {
            name: self._timings(value) if name == "timings" else value for name, value in changes.items()
        }
        tried = replace(self)
        for settings in (tried, self):
            for name, value in changes.items():
                setattr(settings, name, value)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    def _timings(self, value: Any) -> Timings:
        if isinstance(value, Timings):
            return value
        if not isinstance(value, Mapping):
            raise ValueError(f"timings is a mapping of names to seconds; got {value!r}.")
        unknown = set(value) - {each.name for each in fields(Timings)}
        if unknown:
            raise ValueError(f"There is no timing {', '.join(sorted(unknown))}.")
        return Timings(**{**asdict(self.timings), **value})


_NUMBERS = frozenset(
    {
        "page_size",
        "largest_page",
        "zero_gpu_spaces",
        "files_copy_pending",
        "keep_alive",
        "commits_per_hour",
        "seconds_per_request",
    }
)


def _names() -> list[str]:
    return [each.name for each in fields(Settings)]


def _check(name: str, value: Any) -> None:
    if name in _NUMBERS:
        least = 1 if name.endswith("page") or name == "page_size" else 0
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < math.inf:
            raise ValueError(f"{name} is a number of at least {least}; got {value!r}.")
    if name in _CHOICES and value not in _CHOICES[name]:
        choices = ", ".join(str(choice) for choice in _CHOICES[name])
        raise ValueError(f"{name} is one of {choices}; got {value!r}.")
