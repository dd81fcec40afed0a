"""SpaceSnapshot, the recorded state of a Space, and DesiredState, the state to which a plan moves it.

Come here to change what is recorded before a hardware request, or which state a restore aims at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import HubProtocolError
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE, SpaceRuntime
from airflow_provider_hfspaces.hub.stages import ASLEEP_STAGES, IDLE_STAGES, SpaceStage

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.cost.prices import PriceList

__all__ = [
    "NEVER_SLEEP",
    "Activity",
    "DesiredState",
    "SpaceSnapshot",
    "fallback_snapshot",
    "raises_cost",
    "restored_state",
]

NEVER_SLEEP = -1
"""The sleep time in requests with which the Hub never puts the Space to sleep."""

_AUTOSCALED = "auto"


@dataclass(frozen=True)
class SpaceSnapshot:
    """Hardware, sleep time, replicas and stage of a Space at one point in time.

    ::

        snapshot = SpaceSnapshot.from_runtime("acme/whisper", client.send(calls.get_runtime("acme/whisper")))
        ...
        execute(plan_restore(restored_state(snapshot)), client.send)

    :ivar repo_id: the Space, as ``owner/name``.
    :ivar stage: the stage of the Space.
    :ivar hardware: the flavor that the Space was set to, running or not; ``None`` for a static Space.
    :ivar sleep_time: seconds without a visitor until the Space sleeps; ``None`` means never.
    :ivar replicas: number of requested replicas, ``"auto"`` if autoscaled; ``None`` if unknown, as in
        snapshots of version 0.1.
    :ivar taken_at: when the snapshot was taken, in UTC, as ISO 8601; ``None`` if unknown.
    """

    repo_id: str
    stage: str
    hardware: str | None
    sleep_time: int | None = None
    replicas: int | str | None = None
    taken_at: str | None = field(default=None, compare=False)

    @classmethod
    def from_runtime(cls, repo_id: str, runtime: SpaceRuntime, at: datetime | None = None) -> SpaceSnapshot:
        """Return a snapshot of a runtime.

        :param at: when the Hub reported the runtime, in UTC; by default now.
        :raises HubProtocolError: if the runtime has no hardware, without which a restore is impossible.
        """
        if runtime.configured_hardware is None and not runtime.is_static:
            raise HubProtocolError(
                f"Space {repo_id} cannot be recorded: the Hub reports stage {runtime.stage}, but no "
                f"hardware. Try again later.",
                repo_id=repo_id,
            )
        return cls(
            repo_id=repo_id,
            stage=runtime.stage,
            hardware=runtime.configured_hardware,
            sleep_time=runtime.sleep_time,
            replicas=runtime.replicas.requested,
            taken_at=(at or datetime.now(timezone.utc)).isoformat(),
        )

    @classmethod
    def from_dict(cls, payload: Any) -> SpaceSnapshot:
        """Return the snapshot from its :meth:`to_dict`. Snapshots of version 0.1 have no replicas.

        :raises InvalidInput: if a field is missing or has the wrong type.
        """
        if not isinstance(payload, Mapping):
            raise InvalidInput(f"snapshot must be a mapping; got {payload!r:.200}.")
        values: dict[str, Any] = {name: payload.get(name) for name in cls.__dataclass_fields__}
        for name, value in values.items():
            required = name in ("repo_id", "stage") or (name == "hardware" and name not in payload)
            if value is None and not required:
                continue
            if not _is_valid(name, value):
                raise InvalidInput(
                    f"snapshot has a {name} that is not valid: got {value!r:.80} in {payload!r:.200}."
                )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return the snapshot as plain JSON."""
        return asdict(self)

    def is_of(self, repo_id: str) -> bool:
        """Return True if the snapshot is of this Space. Case does not matter, as in the Hub's ids."""
        return self.repo_id.casefold() == repo_id.casefold()

    @property
    def was_paused(self) -> bool:
        """Whether the Space was paused."""
        return self.stage == SpaceStage.PAUSED

    @property
    def was_asleep(self) -> bool:
        """Whether the Space was asleep: it cost nothing, and a visitor would have woken it."""
        return self.stage in ASLEEP_STAGES

    @property
    def cost_nothing(self) -> bool:
        """Whether the Space was asleep or had failed, so that it cost nothing without being paused."""
        return self.stage in IDLE_STAGES


class Activity(str, Enum):
    """Whether a Space should run."""

    UNCHANGED = "unchanged"
    """Neither start nor stop the Space. A paused Space stays paused."""

    RUNNING = "running"
    """Start the Space if it is paused, asleep or failed."""

    PAUSED = "paused"
    """Pause the Space. It costs nothing until its owner restarts it."""

    ASLEEP = "asleep"
    """Put the Space to sleep. It costs nothing until a visitor wakes it."""


@dataclass(frozen=True)
class DesiredState:
    """The state to which a plan moves a Space. ``None`` leaves a property unchanged.

    :ivar repo_id: the Space, as ``owner/name``.
    :ivar hardware: a valid flavor: plans do not validate it again.
    :ivar sleep_time: seconds without a visitor until the Space sleeps; :data:`NEVER_SLEEP` for never.
    :ivar replicas: number of replicas. Free hardware always runs one.
    :ivar activity: whether the Space should run; by default unchanged.
    :ivar cost_nothing: whether the Space was asleep or had failed when its snapshot was taken.
    :ivar restore_dormant: the activity if ``cost_nothing`` is True and a restore would start the Space on
        paid hardware: paused by default, asleep, or unchanged, with which the Space runs.
    """

    repo_id: str
    hardware: str | None = None
    sleep_time: int | None = None
    replicas: int | None = None
    activity: Activity = Activity.UNCHANGED
    cost_nothing: bool = False
    restore_dormant: Activity = Activity.PAUSED

    def on(self, hardware: str) -> DesiredState:
        """Return this state with other hardware. On free hardware, the Hub fixes sleep time and replicas."""
        if hardware in FREE_HARDWARE:
            return replace(self, hardware=hardware, sleep_time=None, replicas=None)
        return replace(self, hardware=hardware)


def fallback_snapshot(repo_id: str, runtime: SpaceRuntime, fallback: str) -> SpaceSnapshot:
    """Return the snapshot to restore if none was recorded: running on the fallback, with its own sleep time.

    :param fallback: a flavor.
    """
    return SpaceSnapshot(repo_id, SpaceStage.RUNNING.value, fallback, runtime.sleep_time)


def raises_cost(
    snapshot: SpaceSnapshot,
    runtime: SpaceRuntime,
    requested: Collection[str],
    read_prices: Callable[[], PriceList] | None = None,
) -> bool:
    """Return True if a restore would move the Space to more expensive hardware without a reason in the run.

    Such a snapshot is out of date: since then, somebody has moved the Space to cheaper hardware.

    :param requested: the flavors that the run has requested. If the Space is on one of them, the run is the
        reason for the restore.
    :param read_prices: returns the Hub's prices, and is called only if they decide. Without it, only a move
        from free to paid hardware counts.
    """
    recorded, present = snapshot.hardware, runtime.configured_hardware
    if recorded is None or recorded in FREE_HARDWARE or recorded == present or present in requested:
        return False
    if present in FREE_HARDWARE:
        return True
    if present is None or read_prices is None:
        return False
    prices = read_prices()
    return (prices.hourly(recorded, 1) or 0.0) > (prices.hourly(present, 1) or 0.0)


def restored_state(
    snapshot: SpaceSnapshot,
    activity: Activity | None = None,
    *,
    restore_dormant: Activity = Activity.PAUSED,
) -> DesiredState:
    """Return the state that restores a snapshot.

    :param activity: by default paused if the Space was paused, and unchanged otherwise.
    :param restore_dormant: with the default activity, the activity of a Space that cost nothing and would
        start on paid hardware: paused by default, asleep, or unchanged, with which the Space runs.
    """
    cost_nothing = activity is None and snapshot.cost_nothing
    if activity is None:
        activity = Activity.PAUSED if snapshot.was_paused else Activity.UNCHANGED
    state = DesiredState(
        snapshot.repo_id,
        sleep_time=snapshot.sleep_time or NEVER_SLEEP,
        replicas=snapshot.replicas if isinstance(snapshot.replicas, int) else None,
        activity=activity,
        cost_nothing=cost_nothing,
        restore_dormant=restore_dormant,
    )
    # A sleep time belongs to its hardware, so it is unknown too without hardware.
    return state.on(snapshot.hardware) if snapshot.hardware else replace(state, sleep_time=None)


def _is_valid(name: str, value: Any) -> bool:
    if name == "sleep_time":
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if name == "replicas":
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        return whole or value == _AUTOSCALED
    return isinstance(value, str) and bool(value)
