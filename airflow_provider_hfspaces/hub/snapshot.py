"""What was there before, so that it can be put back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.models import (
    FREE_HARDWARE,
    HardwareFlavor,
    SpaceRuntime,
)

__all__ = ["SpaceSnapshot"]


@dataclass(frozen=True)
class SpaceSnapshot:
    """Hardware, sleep time and pause of a Space at one moment.

    :ivar hardware: the flavor that it was set to, whether or not it ran; ``None`` if unknown.
    :ivar sleep_time: seconds; ``None`` is never.
    """

    repo_id: str
    stage: str
    hardware: str | None
    sleep_time: int | None = None

    @classmethod
    def of(cls, repo_id: str, runtime: SpaceRuntime) -> SpaceSnapshot:
        """What is there now."""
        return cls(repo_id, runtime.stage, runtime.configured_hardware, runtime.sleep_time)

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> SpaceSnapshot:
        """The snapshot that :meth:`to_dict` described.

        :raises KeyError: for a mapping that describes none.
        """
        return cls(
            repo_id=payload["repo_id"],
            stage=payload["stage"],
            hardware=payload["hardware"],
            sleep_time=payload.get("sleep_time"),
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, for an XCom."""
        return asdict(self)

    @property
    def was_paused(self) -> bool:
        """Whether the Space was paused."""
        return self.stage == "PAUSED"

    def hardware_call(
        self, runtime: SpaceRuntime, offered: Iterable[HardwareFlavor] | None = None
    ) -> Call[SpaceRuntime] | None:
        """What puts the hardware back, with its sleep time; ``None`` if it is as it was."""
        if self.hardware is None or runtime.is_static or runtime.configured_hardware == self.hardware:
            return None
        return calls.request_hardware(
            self.repo_id, self.hardware, sleep_time=self._sleep_time_to_set(), offered=offered
        )

    def sleep_time_call(self, runtime: SpaceRuntime) -> Call[SpaceRuntime] | None:
        """What puts the sleep time back; ``None`` if it is as it was or cannot be set."""
        seconds = self._sleep_time_to_set()
        if seconds is None or runtime.is_static or runtime.sleep_time == self.sleep_time:
            return None
        return calls.set_sleep_time(self.repo_id, seconds)

    def pause_call(self, runtime: SpaceRuntime) -> Call[SpaceRuntime] | None:
        """What pauses the Space again; ``None`` if it was not paused, or still is."""
        if not self.was_paused or runtime.stage == "PAUSED" or runtime.is_static:
            return None
        return calls.pause(self.repo_id)

    def _sleep_time_to_set(self) -> int | None:
        """The Hub fixes the sleep time of free hardware, so there it is not ours to set."""
        if self.hardware is None or self.hardware in FREE_HARDWARE:
            return None
        return self.sleep_time or -1
