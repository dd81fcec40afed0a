"""The states of a Space: as recorded at one moment, and as desired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import HubProtocolError
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE, SpaceRuntime
from airflow_provider_hfspaces.hub.stages import ASLEEP_STAGES, NEEDS_RESTART_STAGES, SpaceStage

__all__ = ["NEVER_SLEEP", "Activity", "DesiredState", "SpaceSnapshot", "restored_state"]

NEVER_SLEEP = -1
"""The sleep time with which the Hub never puts a Space to sleep."""

_AUTOSCALED = "auto"


@dataclass(frozen=True)
class SpaceSnapshot:
    """Hardware, sleep time, replicas and stage of a Space at one moment.

    ``plan_restore(restored_state(snapshot))`` of :mod:`~airflow_provider_hfspaces.hub.desired` restores it.

    :ivar hardware: the flavor that the Space was set to, running or not; ``None`` if unknown.
    :ivar sleep_time: seconds; ``None`` means never.
    :ivar replicas: how many were requested, ``"auto"`` if autoscaled; ``None`` if unknown, as in
        snapshots of version 0.1.
    :ivar taken_at: when the snapshot was taken, in UTC, as ISO 8601.
    """

    repo_id: str
    stage: str
    hardware: str | None
    sleep_time: int | None = None
    replicas: int | str | None = None
    taken_at: str | None = field(default=None, compare=False)

    @classmethod
    def from_runtime(cls, repo_id: str, runtime: SpaceRuntime, at: datetime | None = None) -> SpaceSnapshot:
        """The Space as the Hub reports it now.

        :param at: when the Hub reported it, in UTC; by default now.
        :raises HubProtocolError: if the Hub does not report the hardware, without which nothing
            could be restored.
        """
        if runtime.configured_hardware is None and not runtime.is_static:
            raise HubProtocolError(
                f"Space {repo_id} cannot be recorded: the Hub reports stage {runtime.stage}, but not on "
                f"which hardware. Try again later.",
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
        """The snapshot that :meth:`to_dict` described; snapshots of version 0.1 have no replicas.

        :raises InvalidInput: if a field is missing or of the wrong type.
        """
        if not isinstance(payload, Mapping):
            raise InvalidInput(f"A snapshot of a Space is a mapping; got {payload!r:.200}.")
        values: dict[str, Any] = {name: payload.get(name) for name in cls.__dataclass_fields__}
        for name, value in values.items():
            required = name in ("repo_id", "stage") or (name == "hardware" and name not in payload)
            if value is None and not required:
                continue
            if not _is_valid(name, value):
                raise InvalidInput(
                    f"The snapshot of a Space has no valid {name}: got {value!r:.80} in {payload!r:.200}."
                )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The snapshot as plain JSON."""
        return asdict(self)

    def is_of(self, repo_id: str) -> bool:
        """Whether the snapshot is of this Space. The Hub ignores case in names."""
        return self.repo_id.casefold() == repo_id.casefold()

    @property
    def was_paused(self) -> bool:
        """Whether the Space was paused."""
        return self.stage == SpaceStage.PAUSED

    @property
    def was_asleep(self) -> bool:
        """Whether the Space slept: it cost nothing, and a visitor would have woken it."""
        return self.stage in ASLEEP_STAGES

    @property
    def cost_nothing(self) -> bool:
        """Whether the Space was asleep or had failed, and so cost nothing though it was not paused."""
        return self.stage in ASLEEP_STAGES | NEEDS_RESTART_STAGES


class Activity(str, Enum):
    """Whether a Space should run."""

    UNCHANGED = "unchanged"
    """Do not start and do not stop it. A Space that somebody paused stays paused."""

    RUNNING = "running"
    """Start it if it is paused, asleep or failed."""

    PAUSED = "paused"
    """Pause it. It costs nothing until its owner restarts it."""

    ASLEEP = "asleep"
    """Let it fall asleep. It costs nothing until a visitor wakes it."""


@dataclass(frozen=True)
class DesiredState:
    """The state that a Space should be in. ``None`` leaves a property unchanged.

    :ivar hardware: a flavor that a check has accepted or that the Hub itself has reported.
    :ivar sleep_time: seconds without a visitor until the Space sleeps; :data:`NEVER_SLEEP` for never.
    :ivar replicas: how many copies run. Free hardware always runs one.
    :ivar activity: whether the Space should run.
    :ivar cost_nothing: whether the Space was asleep or had failed when it was recorded. A way back that
        would start it on paid hardware pauses it instead.
    """

    repo_id: str
    hardware: str | None = None
    sleep_time: int | None = None
    replicas: int | None = None
    activity: Activity = Activity.UNCHANGED
    cost_nothing: bool = False

    def on(self, hardware: str) -> DesiredState:
        """This state on other hardware: the Hub fixes sleep time and replicas of free hardware."""
        if hardware in FREE_HARDWARE:
            return replace(self, hardware=hardware, sleep_time=None, replicas=None)
        return replace(self, hardware=hardware)


def restored_state(snapshot: SpaceSnapshot, activity: Activity | None = None) -> DesiredState:
    """The state that restores a snapshot.

    :param activity: by default paused if the Space was paused, or if it cost nothing and would cost
        something after the restore; unchanged otherwise.
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
    )
    # Without hardware nothing is known of the sleep time that belongs to it.
    return state.on(snapshot.hardware) if snapshot.hardware else replace(state, sleep_time=None)


def _is_valid(name: str, value: Any) -> bool:
    if name == "sleep_time":
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if name == "replicas":
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        return whole or value == _AUTOSCALED
    return isinstance(value, str) and bool(value)
