"""A test's hold on one emulated Space."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_hfspaces.emulator.http.payloads import runtime_payload
from airflow_provider_hfspaces.emulator.model.moments import Moment
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["SpaceHandle"]


class SpaceHandle:
    """What a Space is, and what a test can make of it.

    Unlike the API, it tells at once what is: :meth:`runtime` alone shows what the Hub would say.
    """

    def __init__(self, world: World, space: Space) -> None:
        self._world = world
        self._space = space

    def __repr__(self) -> str:
        return f"<SpaceHandle {self.repo_id} {self.stage} on {self.hardware}>"

    @property
    def repo_id(self) -> str:
        """``owner/name``, the present one."""
        return self._space.repo_id

    @property
    def stage(self) -> str:
        """The stage that it really is in."""
        return self._present().stage

    @property
    def hardware(self) -> str | None:
        """The flavor that it really runs on; ``None`` while nothing runs."""
        return self._present().hardware

    @property
    def requested_hardware(self) -> str | None:
        """The flavor that was asked for last; ``None`` for a static Space."""
        return self._present().requested

    @property
    def sleep_time(self) -> int | None:
        """Seconds without a visitor until it sleeps; ``None`` is never."""
        return self._present().sleep_time

    @property
    def replicas(self) -> int:
        """How many copies were asked for."""
        return self._present().replicas

    @property
    def private(self) -> bool:
        """Whether only its owner's people see it."""
        return self._present().private

    @property
    def dev_mode(self) -> bool:
        """Whether its dev mode is on."""
        return self._present().dev_mode

    @property
    def error_message(self) -> str | None:
        """What went wrong, in an error stage."""
        return self._present().error_message

    @property
    def storage(self) -> str | None:
        """Its storage tier, where the settings let it have one."""
        return self._present().storage

    @property
    def secrets(self) -> dict[str, str]:
        """Keys and values; the API never gives the values."""
        return {key: entry.value for key, entry in self._present().secrets.items()}

    @property
    def variables(self) -> dict[str, str]:
        """Keys and values."""
        return {key: entry.value for key, entry in self._present().variables.items()}

    @property
    def volumes(self) -> list[dict[str, Any]]:
        """As the Hub spells them: ``type``, ``source``, ``mountPath``, ``readOnly``, …"""
        return [dict(volume) for volume in self._present().volumes]

    @property
    def history(self) -> list[Moment]:
        """What it has been through: ``(emulated time, stage, hardware)``, oldest first."""
        return list(self._present().history)

    @property
    def visits(self) -> int:
        """How often its app was asked for something."""
        return self._present().visits

    def runtime(self) -> SpaceRuntime:
        """What the Hub says of it now, which may lag behind."""
        with self._world.lock:
            return SpaceRuntime.from_payload(runtime_payload(self._space.catch_up()))

    def logs(self, *, build: bool = False) -> list[str]:
        """The lines of its app's log, or of its last build's."""
        space = self._present()
        log = space.logs.build if build else space.logs.run
        return [line.text for line in log.until(space.now())]

    def visit(self) -> None:
        """Somebody opens it: it wakes, if it sleeps."""
        with self._world.lock:
            self._space.visit()

    def crash(self, message: str = "Exit code: 1. Reason: application crashed") -> None:
        """Its app dies, and it is in RUNTIME_ERROR.

        :raises ValueError: if no app of it runs.
        """
        with self._world.lock:
            if not self._space.crash(message):
                raise ValueError(f"{self.repo_id} is in {self._space.stage}: no app runs that could crash.")

    def fail_next_build(self, message: str = "Job failed with exit code: 1", log: Iterable[str] = ()) -> None:
        """Its present or next build ends in BUILD_ERROR.

        :param log: the lines with which the build log ends.
        """
        with self._world.lock:
            self._present().luck.build = (message, tuple(log))
            self._space.replan()

    def fail_next_start(
        self, message: str = "Exit code: 1. Reason: application crashed", log: Iterable[str] = ()
    ) -> None:
        """Its present or next start ends in RUNTIME_ERROR.

        :param log: the lines with which the app's log ends.
        """
        with self._world.lock:
            self._present().luck.start = (message, tuple(log))
            self._space.replan()

    def hang_next_start(self) -> None:
        """Its present or next start never gets healthy, until the Hub gives up on it."""
        with self._world.lock:
            self._present().luck.hang = True
            self._space.replan()

    def crash_loop(self, after: float = 5.0, times: int | None = None) -> None:
        """Its app crashes after so many emulated seconds of running, each time that it is restarted.

        :param times: how often; ``None`` for ever, 0 for no more.
        """
        if after < 0 or (times is not None and times < 0):
            raise ValueError(f"A crash comes after 0 seconds or more; got {after!r}, {times!r} times.")
        with self._world.lock:
            self._present().luck.crash_after, self._space.luck.crashes = after, times
            self._space.replan()

    def no_capacity(self, *hardware: str) -> None:
        """The Hub has no such hardware for it, which it learns when it starts there.

        :param hardware: flavors; none of them gives everything back.
        """
        with self._world.lock:
            self._present().luck.no_capacity = set(hardware)
            self._space.replan()

    def over_quota(self, *hardware: str) -> None:
        """The account has used up its quota of such hardware: the Hub pauses the Space when it starts there.

        :param hardware: flavors; without any, all of them are available again.
        """
        with self._world.lock:
            self._present().luck.over_quota = set(hardware)
            self._space.replan()

    def _present(self) -> Space:
        with self._world.lock:
            return self._space.catch_up()
