"""What was there before, so that it can be put back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import HubError, HubProtocolError
from airflow_provider_hfspaces.hub.http.sequence import Steps, atake
from airflow_provider_hfspaces.hub.models import (
    FREE_HARDWARE,
    HardwareFlavor,
    SpaceRuntime,
)
from airflow_provider_hfspaces.hub.stages import SpaceStage

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient

__all__ = ["SpaceSnapshot"]


@dataclass(frozen=True)
class SpaceSnapshot:
    """Hardware, sleep time and pause of a Space at one moment.

    :ivar hardware: the flavor that it was set to, whether or not it ran; ``None`` if unknown.
    :ivar sleep_time: seconds; ``None`` is never.
    :ivar taken_at: when, in UTC, as ISO 8601.
    """

    repo_id: str
    stage: str
    hardware: str | None
    sleep_time: int | None = None
    taken_at: str | None = field(default=None, compare=False)

    @classmethod
    def of(cls, repo_id: str, runtime: SpaceRuntime) -> SpaceSnapshot:
        """What is there now.

        :raises HubProtocolError: where the Hub does not say on which hardware.
        """
        if runtime.configured_hardware is None and not runtime.is_static:
            raise HubProtocolError(
                f"The Hub says that Space {repo_id} is {runtime.stage}, but not on which hardware, so that "
                f"it could not be put back. Try again later.",
                repo_id=repo_id,
            )
        now = datetime.now(timezone.utc).isoformat()
        return cls(repo_id, runtime.stage, runtime.configured_hardware, runtime.sleep_time, now)

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> SpaceSnapshot:
        """The snapshot that :meth:`to_dict` described.

        :raises InvalidInput: for something that describes none.
        """
        if not isinstance(payload, Mapping) or not {"repo_id", "stage", "hardware"} <= set(payload):
            raise InvalidInput(f"No snapshot of a Space: {payload!r:.200}.")
        return cls(
            repo_id=payload["repo_id"],
            stage=payload["stage"],
            hardware=payload["hardware"],
            sleep_time=payload.get("sleep_time"),
            taken_at=payload.get("taken_at"),
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, for an XCom."""
        return asdict(self)

    def is_of(self, repo_id: str) -> bool:
        """Whether this is of that Space; the Hub does not tell upper from lower case in names."""
        return self.repo_id.casefold() == repo_id.casefold()

    @property
    def was_paused(self) -> bool:
        """Whether the Space was paused."""
        return self.stage == SpaceStage.PAUSED

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
        if not self.was_paused or runtime.stage == SpaceStage.PAUSED or runtime.is_static:
            return None
        return calls.pause(self.repo_id)

    async def put_back(self, client: AsyncHubClient) -> SpaceRuntime:
        """Put back what is not as it was; a Space that somebody has paused meanwhile stays paused.

        :raises HubError: when the Hub does not do it. A Space that was paused is paused in any case.
        """
        return await atake(self.putting_back(), client.send)

    def putting_back(self, runtime: SpaceRuntime | None = None) -> Steps[SpaceRuntime]:
        """The steps of :meth:`put_back`, for either client.

        :param runtime: what is there now, if that is known.
        """
        if runtime is None:
            runtime = yield calls.get_runtime(self.repo_id)
        refused: HubError | None = None
        for needed in (self._hardware_call_as_it_was, self.sleep_time_call, self.pause_call):
            call = needed(runtime)
            if call is None or (refused is not None and needed != self.pause_call):
                continue
            try:
                runtime = yield call
            except HubError as error:
                refused = refused or error
                if error.outcome_unknown:
                    runtime = yield calls.get_runtime(self.repo_id)
                    refused = None if needed(runtime) is None else error
        if refused is not None:
            raise refused
        return runtime

    def _hardware_call_as_it_was(self, runtime: SpaceRuntime) -> Call[SpaceRuntime] | None:
        """What the Hub itself has named needs no check."""
        named = HardwareFlavor(str(self.hardware), "", "", "", None, None, "minute")
        return self.hardware_call(runtime, [named])

    def _sleep_time_to_set(self) -> int | None:
        """The Hub fixes the sleep time of free hardware, so there it is not ours to set."""
        if self.hardware is None or self.hardware in FREE_HARDWARE:
            return None
        return self.sleep_time or -1
