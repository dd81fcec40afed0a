"""One emulated Space: its state, what it has been through, and what happens to it next.

Nothing runs in the background. A Space knows when its next event is due and catches up when
somebody looks, which is exact at any speed and costs nothing while nobody does.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.emulator.clock import Clock, iso
from airflow_provider_hfspaces.emulator.machine import ASLEEP, NEXT
from airflow_provider_hfspaces.emulator.settings import Settings
from airflow_provider_hfspaces.hub.models import (
    BILLED_STAGES,
    FREE_HARDWARE,
    SERVING_STAGES,
)

__all__ = ["FREE_SLEEP_TIME", "LogLine", "Moment", "Session", "Space"]

FREE_SLEEP_TIME = 172_800
"""Seconds after which free hardware sleeps, whatever is asked for."""


@dataclass(frozen=True)
class Moment:
    """A Space from this time on, until the next one."""

    time: float
    stage: str
    hardware: str | None
    requested: str | None
    replicas: int = 1

    @property
    def billed(self) -> str | None:
        """The hardware that is billed, if any is."""
        hardware = self.hardware or self.requested
        if self.stage in BILLED_STAGES and hardware and hardware not in FREE_HARDWARE:
            return hardware
        return None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "time": self.time,
            "at": iso(self.time),
            "stage": self.stage,
            "hardware": self.hardware,
            "requested": self.requested,
            "billed": self.billed,
        }


@dataclass(frozen=True)
class Session:
    """An unbroken time on billed hardware; each begun minute counts."""

    hardware: str
    started: float
    stopped: float
    replicas: int
    active: bool = False

    @property
    def minutes(self) -> int:
        """Billed minutes, of all replicas together."""
        return math.ceil(round((self.stopped - self.started) / 60, 6)) * self.replicas


@dataclass(frozen=True)
class LogLine:
    """A line of a Space's log."""

    time: float
    text: str


@dataclass
class _Luck:
    """What has been arranged to go wrong."""

    build: tuple[str, list[str]] | None = None
    start: tuple[str, list[str]] | None = None
    crash_after: float | None = None
    no_capacity: set[str] = field(default_factory=set)


class Space:
    """An emulated Space.

    :param owner: user or organization.
    :param sdk: ``gradio``, ``docker`` or ``static``.
    :param stage: the stage that it begins in.
    :param sleep_time: seconds; ``None`` for never. Free hardware has its own.
    """

    def __init__(
        self,
        owner: str,
        name: str,
        *,
        clock: Clock,
        settings: Settings,
        sdk: str = "gradio",
        hardware: str = "cpu-basic",
        stage: str = "RUNNING",
        sleep_time: int | None = None,
        private: bool = False,
        tags: tuple[str, ...] = (),
        error_message: str | None = None,
        secrets: dict[str, dict[str, Any]] | None = None,
        variables: dict[str, dict[str, Any]] | None = None,
        volumes: list[dict[str, Any]] | None = None,
    ) -> None:
        self.owner, self.name = owner, name
        self._clock, self._settings = clock, settings
        self.sdk = sdk
        self.private = private
        self.gated = False
        self.disabled = False
        self.tags = (sdk, *tags, "region:us")
        self.likes = 0
        self.created = clock.now()
        self.modified = self.created
        self.object_id = hashlib.sha256(f"{owner}/{name}/{self.created}".encode()).hexdigest()[:24]
        self.sha = hashlib.sha256(f"{self.object_id}/0".encode()).hexdigest()[:40]
        self.running_sha: str | None = self.sha if stage in SERVING_STAGES else None
        self.files: dict[str, bytes] = {}
        self.requested: str | None = None if sdk == "static" else hardware
        self.own_sleep_time = sleep_time
        self.replicas: int | str = 1
        self.dev_mode = False
        self.storage: str | None = None
        self.secrets = dict(secrets or {})
        self.variables = dict(variables or {})
        self.volumes = list(volumes or [])
        self.error_message = error_message
        self.luck = _Luck()
        self.build_log: list[LogLine] = []
        self.run_log: list[LogLine] = []
        self.last_visit = self.created
        self._due: tuple[float, str] | None = None
        self._shown_before: tuple[float, str, str | None] | None = None
        self.history: list[Moment] = []
        self.stage = "RUNNING" if sdk == "static" else stage
        self.hardware: str | None = hardware if self.stage in SERVING_STAGES and sdk != "static" else None
        self._remember(self.created)
        self._write_first_logs()
        self._plan(self.created)

    @property
    def repo_id(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    @property
    def subdomain(self) -> str:
        """The part of its host name that is its own."""
        label = f"{self.owner}-{self.name}".lower()
        return "".join(letter if letter.isalnum() or letter == "-" else "-" for letter in label)

    @property
    def is_static(self) -> bool:
        """Whether it is only files."""
        return self.sdk == "static"

    @property
    def sleep_time(self) -> int | None:
        """Seconds without a visitor until it sleeps, ``None`` for never."""
        if self.is_static:
            return None
        return FREE_SLEEP_TIME if self.requested in FREE_HARDWARE else self.own_sleep_time

    @property
    def replica_count(self) -> int:
        """How many copies run."""
        return self.replicas if isinstance(self.replicas, int) else 1

    def catch_up(self) -> Space:
        """Let everything happen that is due."""
        now = self._clock.now()
        while self._due is not None and self._due[0] <= now:
            time, event = self._due
            self._due = None
            self._apply(event, time)
        return self

    def shown(self) -> tuple[str, str | None]:
        """Stage and hardware as the runtime shows them, which may lag behind."""
        if self._shown_before and self._clock.now() < self._shown_before[0]:
            return self._shown_before[1], self._shown_before[2]
        return self.stage, self.hardware

    def visit(self) -> None:
        """Somebody opens the Space: it stays awake, or wakes."""
        self.catch_up()
        self.last_visit = self._clock.now()
        if (self.stage, "visit") in NEXT:
            self.do("visit")
        elif self.stage == "RUNNING":
            self._plan(self.last_visit)

    def do(self, event: str, *, lag: bool = False) -> bool:
        """Let somebody's action take effect.

        :param lag: whether the runtime goes on showing the state before it for a moment.
        :return: whether it changed the stage.
        """
        self.catch_up()
        if (self.stage, event) not in NEXT:
            return False
        now = self._clock.now()
        before = self.stage, self.hardware
        self._apply(event, now)
        if lag and self._settings.timings.lag:
            self._shown_before = (now + self._settings.timings.lag, *before)
        return True

    def request_hardware(self, hardware: str, sleep_time: int | None) -> None:
        """Change hardware and, if given, the sleep time (-1 for never)."""
        self.catch_up()
        self.requested = hardware
        if sleep_time is not None:
            self.own_sleep_time = None if sleep_time < 0 else sleep_time
        dormant = self.stage in ("PAUSED", ASLEEP, "STOPPED")
        if self.stage == "PAUSED":
            wakes = self._settings.hardware_wakes_paused
        else:
            wakes = dormant and self._settings.hardware_wakes_sleeping
        changed = self.do("restart" if wakes else "change", lag=not dormant)
        if not changed:
            self._remember(self._clock.now())

    def crash(self, message: str = "Exit code: 1. Reason: application crashed") -> None:
        """The app dies."""
        self.catch_up()
        self._fail("crash", message, [message], self.run_log, self._clock.now())

    def sessions(self) -> list[Session]:
        """The times on billed hardware, up to now."""
        self.catch_up()
        now = self._clock.now()
        found: list[Session] = []
        ends = [moment.time for moment in self.history[1:]] + [now]
        for moment, end in zip(self.history, ends, strict=True):
            if moment.billed is None:
                continue
            active = moment is self.history[-1]
            last = found[-1] if found else None
            if last and (last.hardware, last.stopped, last.replicas) == (
                moment.billed,
                moment.time,
                moment.replicas,
            ):
                found[-1] = Session(last.hardware, last.started, end, last.replicas, active)
            else:
                found.append(Session(moment.billed, moment.time, end, moment.replicas, active))
        return found

    def remember(self) -> None:
        """Note a change that is none of the stage, such as the number of replicas."""
        self._remember(self._clock.now())

    def replan(self) -> None:
        """Take a new sleep time into account."""
        self.catch_up()
        if self.stage == "RUNNING":
            self._plan(self._clock.now())

    def commit(self, files: dict[str, bytes | None]) -> str:
        """Change files (``None`` deletes one), which builds the Space anew. Returns the commit's id."""
        self.catch_up()
        for path, content in files.items():
            if content is None:
                self.files.pop(path, None)
            else:
                self.files[path] = content
        self.modified = self._clock.now()
        self.sha = hashlib.sha256(f"{self.sha}/{self.modified}/{sorted(files)}".encode()).hexdigest()[:40]
        if not self.is_static:
            self.do("commit")
        return self.sha

    def _apply(self, event: str, time: float) -> None:
        if event in ("build failed", "start failed", "no capacity", "idle crash"):
            self._apply_failure(event, time)
            return
        self._enter(NEXT[self.stage, event], event, time)

    def _enter(self, stage: str, event: str, time: float) -> None:
        self.stage = self._settings.asleep if stage == ASLEEP else stage
        if stage not in SERVING_STAGES:
            self.hardware = None
        if stage == "RUNNING":
            self.hardware = self.requested
            self.running_sha = self.sha
            self.last_visit = max(self.last_visit, time)
        if stage not in ("RUNTIME_ERROR", "BUILD_ERROR", "CONFIG_ERROR"):
            self.error_message = None
        self._shown_before = None
        self._remember(time)
        self._write_logs(stage, event, time)
        self._plan(time, event)

    def _apply_failure(self, event: str, time: float) -> None:
        if event == "no capacity":
            message = "Scheduling failure: not enough hardware capacity"
            self._fail(event, message, [], self.run_log, time)
        elif event == "build failed":
            message, lines = self.luck.build or ("Job failed with exit code: 1", [])
            self.luck.build = None
            self._fail(event, message, lines, self.build_log, time)
        elif event == "idle crash":
            self._fail("crash", "Exit code: 1. Reason: application crashed", [], self.run_log, time)
        else:
            message, lines = self.luck.start or ("Exit code: 1", [])
            self.luck.start = None
            self._fail(event, message, lines, self.run_log, time)

    def _fail(self, event: str, message: str, lines: list[str], log: list[LogLine], time: float) -> None:
        if (self.stage, event) not in NEXT:
            return
        log.extend(LogLine(time, line) for line in lines)
        self._enter(NEXT[self.stage, event], event, time)
        self.error_message = message

    def _plan(self, time: float, event: str = "") -> None:
        timings, luck = self._settings.timings, self.luck
        self._due = None
        if self.is_static:
            return
        if self.stage in ("BUILDING", "RUNNING_BUILDING"):
            self._due = (time + timings.build, "build failed" if luck.build else "built")
        elif self.stage in ("APP_STARTING", "RUNNING_APP_STARTING"):
            if self.requested in luck.no_capacity:
                self._due = (time + timings.scheduling, "no capacity")
            elif luck.start:
                self._due = (time + timings.start, "start failed")
            elif event == "visit":
                self._due = (time + timings.wake, "woken")
            else:
                self._due = (time + timings.start, "started")
        elif self.stage == "RUNNING":
            events: list[tuple[float, str]] = []
            if self.sleep_time is not None:
                events.append((self.last_visit + self.sleep_time, "idle"))
            if luck.crash_after is not None:
                events.append((time + luck.crash_after, "idle crash"))
            self._due = min(events, default=None)

    def _remember(self, time: float) -> None:
        self.history.append(Moment(time, self.stage, self.hardware, self.requested, self.replica_count))

    def _write_first_logs(self) -> None:
        if self.is_static or self.stage == "NO_APP_FILE":
            return
        self._write_logs("BUILDING", "created", self.created)
        if self.stage == "BUILD_ERROR":
            self.build_log.append(LogLine(self.created, self.error_message or "Job failed with exit code: 1"))
            return
        self._write_logs("APP_STARTING", "built", self.created)
        self._write_logs("RUNNING", "started", self.created)
        if self.stage == "RUNTIME_ERROR":
            self.run_log.append(LogLine(self.created, self.error_message or "Exit code: 1"))

    def _write_logs(self, stage: str, event: str, time: float) -> None:
        at = iso(time)[:19].replace("T", " ")

        def build(text: str) -> None:
            self.build_log.append(LogLine(time, text))

        def run(text: str) -> None:
            self.run_log.append(LogLine(time, text))

        if stage in ("BUILDING", "RUNNING_BUILDING"):
            self.build_log = []
            build(f"===== Build Queued at {at} / Commit SHA: {self.sha[:7]} =====")
            build("--> FROM docker.io/library/python:3.10")
            build("DONE 0.0s")
        elif stage in ("APP_STARTING", "RUNNING_APP_STARTING"):
            if event == "built":
                build("--> Pushing image")
                build("DONE 4.2s")
            self.run_log = []
            run(f"===== Application Startup at {at} =====")
        elif stage == "RUNNING":
            run(f"Running on {self.requested}")
            run("Running on local URL:  http://0.0.0.0:7860")
