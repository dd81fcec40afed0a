"""The settings of an emulated Hub: durations, and its behaviour where the real Hub's is unknown.

To add a setting with a fixed set of values, give it a field in :class:`Settings` and an entry in
:data:`CHOICES`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from airflow_provider_hfspaces.emulator.model.clock import LATEST
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = ["Settings", "Timings"]

CHOICES: dict[str, tuple[Any, ...]] = {
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
    "page_status": (503, 404, 200),
    "waking_visit": ("page", "wait"),
}
"""The valid values of each setting that has a fixed set of them."""


@dataclass(frozen=True)
class Timings:
    """Durations in emulated seconds.

    :ivar build: from BUILDING or RUNNING_BUILDING until the image is built.
    :ivar start: from the built image to RUNNING.
    :ivar wake: from the first visit to a sleeping Space to RUNNING.
    :ivar boot: from RUNNING until the app answers; until then, requests to the app get a 502.
    :ivar answer: how long the edge waits for the first byte of an app's answer before it answers 504. For
        all but built-in apps, real seconds: other apps do not know the emulated time.
    :ivar lag: how long the runtime still shows the previous state after a restart or a hardware request.
    :ivar scheduling: how long the Hub looks for hardware before the start fails.
    :ivar launch_timeout: how long an app may take to become healthy before the start fails.
    :ivar list_lag: how far the runtimes in lists lag behind.
    :ivar branch_lag: how far a file that is read by branch name lags behind the branch.
    :ivar sha_lag: how long the runtime still reports the previous commit after a new one has reached RUNNING.
    :ivar deleting: how long a deleted Space remains in DELETING.
    """

    build: float = 120.0
    start: float = 30.0
    wake: float = 20.0
    boot: float = 0.0
    answer: float = 60.0
    lag: float = 3.0
    scheduling: float = 60.0
    launch_timeout: float = 1800.0
    list_lag: float = 0.0
    branch_lag: float = 0.0
    sha_lag: float = 0.0
    deleting: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LATEST:
                raise ValueError(
                    f"timings.{each.name} must be a number of seconds, 0 or more; got {value!r}."
                )


@dataclass
class Settings:
    """The behaviour of an emulated Hub.

    Defaults follow the real Hub where its behaviour is known, and the likeliest behaviour elsewhere. Clients
    should work with every choice.

    :ivar timings: durations, such as that of a build.
    :ivar storage: how ``/storage`` answers: ``retired`` (404), ``gone`` (410), ``bad_request`` (400) or
        ``works``.
    :ivar asleep: the stage of a sleeping Space: ``SLEEPING`` or ``STOPPED``.
    :ivar hardware_answer: which stage the answer to a hardware request shows: the one ``after`` the request
        (RUNNING_BUILDING) or the one ``before`` it (RUNNING).
    :ivar lag_from: which Spaces the runtime shows in their previous state for ``timings.lag`` seconds after
        a restart or a hardware request: ``serving`` ones, or Spaces in ``anything``, also paused ones.
    :ivar lag_hides_request: whether the lag also hides the requested hardware.
    :ivar hardware_wakes_paused: whether a hardware request starts a paused Space.
    :ivar hardware_wakes_sleeping: whether a hardware request starts a sleeping Space.
    :ivar restart_serves: whether the old version keeps serving during a restart (RUNNING_BUILDING) or stops
        (BUILDING).
    :ivar failed_build_serves: whether the old version keeps serving after a new one could not be built. By
        default nothing runs in BUILD_ERROR, CONFIG_ERROR and NO_APP_FILE.
    :ivar runtime_has_sha: whether the runtime reports the commit that runs. The Hub's own schema calls it
        optional.
    :ivar pause_twice: status of the answer to pausing a paused Space.
    :ivar payment_status: status of the refusal of paid hardware without a payment method.
    :ivar cpu_basic: whether requests for cpu-basic are ``accepted``, or the status (402 or 403) of their
        refusal because the account's quota of cpu-basic Spaces is used up.
    :ivar sleep_time_on_free: status of the answer to a sleep time on free hardware, which ignores it.
    :ivar duplicate_conflict_url: whether the 409 to a duplication has the URL of the existing Space.
    :ivar volumes_body: body of the answers about volumes: ``volumes``, ``empty`` or ``runtime``.
    :ivar replicas_body: body of the answers about replicas: ``runtime`` or ``empty``.
    :ivar logs_end: when a stream of logs ends: ``when_over`` (with the build or the app), ``at_once`` (after
        the lines so far) or ``never``.
    :ivar keep_alive: real seconds between the comments that keep a quiet stream open.
    :ivar oauth_refused: whether OAuth tokens get a 401 for hardware, sleep time and restart.
    :ivar repo_not_found_on_401: whether a 401 on a repository has ``X-Error-Code: RepoNotFound``. The Hub
        sends no such header. The official client raises ``RepositoryNotFoundError`` for a 401 without the
        header only on ``https`` addresses, and the emulator's address is ``http``.
    :ivar paywall: whether accounts without a subscription get a 402 for apps on free hardware.
    :ivar prices: USD per hour by flavor, in place of the list prices of November 2026, both in the price
        list and on the bill.
    :ivar zero_gpu_spaces: ZeroGPU Spaces that an account without a subscription may have. All others may
        have ten.
    :ivar files_copy_pending: emulated seconds that a duplicate waits for its files, in NO_APP_FILE. The
        answer to the duplication then has ``filesCopyPending``.
    :ivar seconds_per_request: emulated seconds by which each request to the API moves the time. Together
        with ``speed=0``, it makes tests independent of the speed of the computer.
    :ivar page_size: entries on a page of a list, unless the client sets ``limit``.
    :ivar largest_page: highest ``limit`` that a client can set.
    :ivar commits_per_hour: commits that one repository accepts within an emulated hour, on all its branches
        together. The next one gets a 429.
    :ivar lfs_part_bytes: clients that support multipart uploads send larger files in parts of this size.
    :ivar page_status: status of the page at the address of a Space that is asleep or starts.
    :ivar waking_visit: whether a visit to a sleeping Space gets a ``page``, or has to ``wait`` for the app.
    :ivar post_wakes: whether any request wakes a sleeping Space, or only a ``GET``.
    :ivar streams_keep_awake: whether an open stream counts as a visit for as long as it is open.
    :ivar sticky_replicas: whether all requests from one address reach the same replica.
    :ivar enforce: whether requests over the quota get a 429. Answers have the ``RateLimit`` headers in any
        case.
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
    failed_build_serves: bool = False
    runtime_has_sha: bool = True
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
    prices: Mapping[str, float] = field(default_factory=dict)
    zero_gpu_spaces: int = 2
    files_copy_pending: float = 0.0
    seconds_per_request: float = 0.0
    page_size: int = 500
    largest_page: int = 1000
    commits_per_hour: int = 128
    lfs_part_bytes: int = 5_000_000_000
    page_status: int = 503
    waking_visit: str = "page"
    post_wakes: bool = True
    streams_keep_awake: bool = False
    sticky_replicas: bool = False
    enforce: bool = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _setting_names():
            raise ValueError(
                f"{name!r} is not a setting; the settings are {', '.join(sorted(_setting_names()))}."
            )
        _check(name, value)
        super().__setattr__(name, value)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Change settings by name. ``timings`` may be a mapping with only some of the durations.

        :raises ValueError: for an unknown name or an invalid value. Nothing is changed then.
        """
        changes = {
            name: self._timings(value) if name == "timings" else value for name, value in changes.items()
        }
        tried = replace(self)
        for settings in (tried, self):
            for name, value in changes.items():
                setattr(settings, name, value)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON."""
        return asdict(self)

    def _timings(self, value: Any) -> Timings:
        if isinstance(value, Timings):
            return value
        if not isinstance(value, Mapping):
            raise ValueError(f"timings must map names to seconds; got {value!r}.")
        unknown = set(value) - {each.name for each in fields(Timings)}
        if unknown:
            known = ", ".join(each.name for each in fields(Timings))
            raise ValueError(f"timings has no {', '.join(sorted(unknown))}; its durations are {known}.")
        return Timings(**{**asdict(self.timings), **value})


_NUMBER_SETTINGS = frozenset(
    {
        "page_size",
        "largest_page",
        "zero_gpu_spaces",
        "files_copy_pending",
        "keep_alive",
        "commits_per_hour",
        "lfs_part_bytes",
        "seconds_per_request",
    }
)


def _setting_names() -> list[str]:
    return [each.name for each in fields(Settings)]


def _check(name: str, value: Any) -> None:
    if name in _NUMBER_SETTINGS:
        least = 1 if name in ("page_size", "largest_page", "lfs_part_bytes") else 0
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < math.inf:
            raise ValueError(f"{name} must be a number of at least {least}; got {value!r}.")
    if name == "prices":
        _check_prices(value)
    if name in CHOICES and value not in CHOICES[name]:
        choices = ", ".join(str(choice) for choice in CHOICES[name])
        raise ValueError(f"{name} must be one of {choices}; got {value!r}.")


def _check_prices(value: Any) -> None:
    prices = value.values() if isinstance(value, Mapping) else [None]
    if any(isinstance(each, bool) or not isinstance(each, (int, float)) or each < 0 for each in prices):
        raise ValueError(f"prices must map flavors to USD per hour; got {value!r}.")
