"""A Space's configuration at one moment, recorded so that it can be restored later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import HubProtocolError
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.stages import ASLEEP_STAGES, SpaceStage

__all__ = ["SpaceSnapshot"]

_AUTOSCALED = "auto"


@dataclass(frozen=True)
class SpaceSnapshot:
    """Hardware, sleep time, replicas and stage of a Space at one moment.

    ``plan_restore(snapshot.desired())`` of :mod:`~airflow_provider_hfspaces.hub.desired` restores it.

    :ivar hardware: the flavor that the Space was set to, running or not; ``None`` if unknown.
    :ivar sleep_time: seconds; ``None`` is never.
    :ivar replicas: how many were requested, ``"auto"`` if autoscaled; ``None`` if unknown, as in
        snapshots of version 0.1.
    :ivar taken_at: when, in UTC, as ISO 8601.
    """

    repo_id: str
    stage: str
    hardware: str | None
    sleep_time: int | None = None
    replicas: int | str | None = None
    taken_at: str | None = field(default=None, compare=False)

    @classmethod
    def from_runtime(cls, repo_id: str, runtime: SpaceRuntime) -> SpaceSnapshot:
        """The Space as the Hub reports it now.

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
            taken_at=datetime.now(timezone.utc).isoformat(),
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
        """Whether it was taken of this Space. The Hub ignores case in names."""
        return self.repo_id.casefold() == repo_id.casefold()

    @property
    def was_paused(self) -> bool:
        """Whether the Space was paused."""
        return self.stage == SpaceStage.PAUSED

    @property
    def was_asleep(self) -> bool:
        """Whether the Space slept: it cost nothing, and a visitor would have woken it."""
        return self.stage in ASLEEP_STAGES


def _is_valid(name: str, value: Any) -> bool:
    if name == "sleep_time":
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if name == "replicas":
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        return whole or value == _AUTOSCALED
    return isinstance(value, str) and bool(value)
