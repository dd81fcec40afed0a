"""What can be set about an emulated Hub: how long things take, and what it answers where nobody
knows what the real one does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["Settings", "Timings"]

_CHOICES = {
    "storage": ("retired", "gone", "bad_request", "works"),
    "asleep": ("SLEEPING", "STOPPED"),
    "volumes_body": ("volumes", "empty", "runtime"),
    "replicas_body": ("runtime", "empty"),
}


@dataclass(frozen=True)
class Timings:
    """How long things take, in emulated seconds.

    :ivar build: from BUILDING to the image.
    :ivar start: from the image to RUNNING.
    :ivar wake: from the first visit of a sleeping Space to RUNNING.
    :ivar lag: for which the runtime goes on showing what was there before a request.
    :ivar scheduling: until the Hub gives up looking for hardware that it has not got.
    :ivar deleting: for which a deleted Space is still shown, in DELETING.
    """

    build: float = 120.0
    start: float = 30.0
    wake: float = 20.0
    lag: float = 3.0
    scheduling: float = 60.0
    deleting: float = 0.0


@dataclass
class Settings:
    """The behaviour of an emulated Hub.

    :ivar storage: how ``/storage`` is refused: ``retired`` (404), ``gone`` (410), ``bad_request``
        (400), or ``works``.
    :ivar asleep: the stage of a sleeping Space: ``SLEEPING`` or ``STOPPED``.
    :ivar hardware_wakes_paused: whether a hardware request starts a paused Space.
    :ivar hardware_wakes_sleeping: whether it starts a sleeping one.
    :ivar restart_serves: whether the old version serves on through a restart (RUNNING_BUILDING),
        or not (BUILDING).
    :ivar pause_twice: the status with which pausing a paused Space is answered.
    :ivar sleep_time_on_free: the status for a sleep time on free hardware; it has no effect anyway.
    :ivar duplicate_conflict_url: whether the 409 of a duplication names the existing Space's page.
    :ivar volumes_body: what ``/volumes`` answers: ``volumes``, ``empty`` or ``runtime``.
    :ivar replicas_body: what ``/replicas`` answers: ``runtime`` or ``empty``.
    :ivar paywall: whether free accounts may not host apps on free hardware (402).
    :ivar page_size: the length of a list's page where the client names none.
    :ivar largest_page: the most that a client may ask for.
    :ivar quotas: whether the rate limits are enforced; they are announced in any case.
    :ivar list_lag: emulated seconds by which lists lag behind a Space's own runtime.
    """

    timings: Timings = field(default_factory=Timings)
    storage: str = "retired"
    asleep: str = "SLEEPING"
    hardware_wakes_paused: bool = False
    hardware_wakes_sleeping: bool = True
    restart_serves: bool = True
    pause_twice: int = 200
    sleep_time_on_free: int = 200
    duplicate_conflict_url: bool = True
    volumes_body: str = "volumes"
    replicas_body: str = "runtime"
    paywall: bool = False
    page_size: int = 500
    largest_page: int = 1000
    quotas: bool = True
    list_lag: float = 0.0

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set some of them by name; ``timings`` as a mapping.

        :raises ValueError: for a name or a choice that there is not; nothing is changed then.
        """
        names = {each.name for each in fields(self)}
        for name, value in changes.items():
            if name not in names:
                raise ValueError(f"There is no setting {name!r}: there are {', '.join(sorted(names))}.")
            if name in _CHOICES and value not in _CHOICES[name]:
                raise ValueError(f"{name} is one of {', '.join(_CHOICES[name])}; got {value!r}.")
        for name, value in changes.items():
            if name == "timings" and isinstance(value, Mapping):
                value = Timings(**{**vars(self.timings), **value})
            setattr(self, name, value)
