"""One emulated Space: its state, what it has been through, and what happens to it next.

Nothing runs in the background. A Space knows when its next event is due and catches up when
somebody looks, which is exact at any speed and costs nothing while nobody does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from airflow_provider_hfspaces.emulator.model.clock import Clock
from airflow_provider_hfspaces.emulator.model.git import MAIN, Commit
from airflow_provider_hfspaces.emulator.model.logs import Log, build_script, start_script
from airflow_provider_hfspaces.emulator.model.machine import ASLEEP, NEXT
from airflow_provider_hfspaces.emulator.model.meter import Meter, Session
from airflow_provider_hfspaces.emulator.model.repository import Repository
from airflow_provider_hfspaces.emulator.settings import Settings
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE
from airflow_provider_hfspaces.hub.stages import (
    APP_START_STAGES,
    ASLEEP_STAGES,
    BILLED_STAGES,
    BUILD_STAGES,
    DORMANT_STAGES,
    ERROR_STAGES,
    SERVING_STAGES,
    SpaceStage,
)

__all__ = ["FREE_SLEEP_TIME", "SDKS", "STAGES", "Entry", "Moment", "Space", "View"]

FREE_SLEEP_TIME = 172_800
"""Seconds after which free hardware sleeps, whatever is asked for."""

SDKS = ("gradio", "docker", "static")
STAGES = tuple(sorted({stage for stage, _ in NEXT} | ASLEEP_STAGES))
"""The stages that a Space may begin in."""

NO_HARDWARE = {
    "no capacity": "Scheduling failure: not enough hardware capacity",
    "over quota": "You've reached your hardware quota limit across all your Spaces!",
}
"""The events with which a start ends for want of hardware, and what the runtime says then."""

_MOST_HISTORY = 10_000
_APP_FILE = {"gradio": "app.py", "docker": "Dockerfile", "static": "index.html"}


class Moment(NamedTuple):
    """A Space from this emulated time (seconds since 1970) on.

    ``billed`` is the hardware for which the meter runs, if it does.
    """

    time: float
    stage: str
    hardware: str | None
    requested: str | None
    billed: str | None


class View(NamedTuple):
    """What the runtime says of a Space, which may lag behind what is."""

    stage: str
    hardware: str | None
    requested: str | None
    error_message: str | None


@dataclass(frozen=True)
class Entry:
    """A secret or a variable."""

    value: str
    updated: float
    description: str | None = None


@dataclass
class Luck:
    """What has been arranged to go wrong.

    :ivar build: the message and the last log lines of the next build.
    :ivar start: the same of the next start.
    :ivar no_capacity: flavors that the Hub has not got.
    :ivar over_quota: flavors of which the account has used up its quota.
    :ivar hang: whether the next start never gets healthy.
    :ivar crash_after: emulated seconds of running after which the app crashes, each time anew.
    :ivar crashes: how often it still does; ``None`` is for ever.
    """

    build: tuple[str, tuple[str, ...]] | None = None
    start: tuple[str, tuple[str, ...]] | None = None
    no_capacity: set[str] = field(default_factory=set)
    over_quota: set[str] = field(default_factory=set)
    hang: bool = False
    crash_after: float | None = None
    crashes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        sets = {"no_capacity": sorted(self.no_capacity), "over_quota": sorted(self.over_quota)}
        return {**asdict(self), **sets}

    def refuses(self, hardware: str | None) -> str | None:
        """The event with which a start on this hardware ends, one of :data:`NO_HARDWARE`, if it cannot
        succeed."""
        if hardware in self.no_capacity:
            return "no capacity"
        return "over quota" if hardware in self.over_quota else None

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Luck:
        """What :meth:`to_dict` said."""
        arranged = {name: said[name] and (said[name][0], tuple(said[name][1])) for name in ("build", "start")}
        sets = {name: set(said[name]) for name in ("no_capacity", "over_quota")}
        return cls(**{**said, **arranged, **sets})


class Space(Repository):
    """An emulated Space.

    :param owner: user or organization.
    :param sdk: ``gradio``, ``docker`` or ``static``.
    :param stage: the stage that it begins in; a static Space is always RUNNING.
    :param sleep_time: seconds; ``None`` for never. Free hardware has its own.
    :param creator: the user who made it.
    :raises ValueError: for an sdk or a stage that there is not.
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
        stage: str = SpaceStage.RUNNING.value,
        sleep_time: int | None = None,
        replicas: int = 1,
        visibility: str = "public",
        creator: str | None = None,
        tags: Iterable[str] = (),
        likes: int = 0,
        error_message: str | None = None,
        secrets: Mapping[str, Entry] | None = None,
        variables: Mapping[str, Entry] | None = None,
        volumes: Iterable[Mapping[str, Any]] = (),
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        if sdk not in SDKS:
            raise ValueError(f"The sdk is one of {', '.join(SDKS)}; got {sdk!r}.")
        if stage not in STAGES:
            raise ValueError(f"A Space begins in one of {', '.join(STAGES)}; got {stage!r}.")
        super().__init__(
            owner,
            name,
            repo_type="space",
            clock=clock,
            visibility=visibility,
            creator=creator,
            files=_first_files(name, sdk, stage) if files is None else files,
        )
        self._settings = settings
        self.sdk = sdk
        self.tags = tuple(dict.fromkeys((sdk, *tags, "region:us")))
        self.likes = likes
        self.last_visit = self.created
        self.own_sleep_time = sleep_time
        self.replicas = replicas
        self.dev_mode = False
        self.storage: str | None = None
        self.secrets = dict(secrets or {})
        self.variables = dict(variables or {})
        self.volumes = [dict(volume) for volume in volumes]
        self.visits = 0
        self.luck = Luck()
        self.build_log, self.run_log = Log(), Log()
        self.history: deque[Moment] = deque(maxlen=_MOST_HISTORY)
        self.meter = Meter()
        self._due: tuple[float, str] | None = None
        self._shown: tuple[float, View] | None = None
        self._gone: float | None = None
        self.stage = SpaceStage.RUNNING.value if self.is_static else stage
        serving = self.stage in SERVING_STAGES and not self.is_static
        self.requested: str | None = None if self.is_static else hardware
        self.hardware: str | None = hardware if serving else None
        self.running_sha: str | None = self.sha if serving else None
        self.error_message = error_message
        if self.error_message is None and self.stage in ERROR_STAGES:
            self.error_message = _USUAL_ERRORS.get(self.stage)
        self.note(self.created)
        self._write_first_logs()
        self._plan(self.created)

    @property
    def subdomain(self) -> str:
        """The part of its host name that is its own."""
        label = f"{self.owner}-{self.name}".lower()
        return "".join(letter if letter.isalnum() else "-" for letter in label)

    @property
    def is_static(self) -> bool:
        """Whether it is only files."""
        return self.sdk == "static"

    @property
    def is_serving(self) -> bool:
        """Whether some version of it answers visitors."""
        return self.stage in SERVING_STAGES

    @property
    def on_free_hardware(self) -> bool:
        """Whether what it is to run on costs nothing."""
        return self.requested is None or self.requested in FREE_HARDWARE

    @property
    def sleep_time(self) -> int | None:
        """Seconds without a visitor until it sleeps, ``None`` for never."""
        if self.is_static:
            return None
        return FREE_SLEEP_TIME if self.on_free_hardware else self.own_sleep_time

    # What it shows

    def view(self) -> View:
        """Stage and hardware as the runtime shows them now."""
        if self._shown is not None and self._clock.now() < self._shown[0]:
            return self._shown[1]
        return self.actual_view()

    def actual_view(self) -> View:
        """Stage and hardware as they are."""
        return View(self.stage, self.hardware, self.requested, self.error_message)

    def view_at(self, time: float) -> View:
        """Stage and hardware as they were at an earlier time."""
        if time >= self._clock.now():
            return self.view()
        for moment in reversed(self.history):
            if moment.time <= time:
                return View(moment.stage, moment.hardware, moment.requested, None)
        return self.view()

    @property
    def due(self) -> tuple[float, str] | None:
        """When something happens to it by itself, and what."""
        return self._due

    def take_up(self, history: Iterable[Moment], meter: Mapping[str, Any], due: Any) -> None:
        """Go on from an earlier time: from what it has been through, the meter, and what is due."""
        self.history = deque(history, maxlen=_MOST_HISTORY)
        self.meter.take_up(meter)
        self._shown = None
        self._due = (due[0], due[1]) if due else None

    def sessions(self) -> list[Session]:
        """The times on billed hardware, up to now."""
        self.catch_up()
        return self.meter.sessions(self._clock.now())

    # What happens to it

    def catch_up(self) -> Space:
        """Let everything happen that is due."""
        now = self._clock.now()
        while self._due is not None and self._due[0] <= now:
            time, event = self._due
            self._due = None
            self._apply(event, time)
        return self

    def do(self, event: str, *, lag: bool = False) -> bool:
        """Let somebody's action take effect.

        :param lag: whether the runtime may go on showing for a moment what was before it.
        :return: whether it changed the stage.
        """
        self.catch_up()
        then = NEXT.get((self.stage, event))
        if then is None:
            return False
        now, before = self._clock.now(), self.actual_view()
        self._enter(then, event, now)
        self.show(before, lag=lag)
        return True

    def show(self, view: View, *, lag: bool) -> None:
        """Let the runtime show this for a moment, if there is a lag."""
        seconds = self._settings.timings.lag
        lags = view.stage in SERVING_STAGES or self._settings.lag_from == "anything"
        if lag and lags and seconds:
            if not self._settings.lag_hides_request:
                view = view._replace(requested=self.requested)
            self._shown = (self._clock.now() + seconds, view)

    def visit(self) -> None:
        """Somebody opens the Space: it stays awake, or wakes."""
        self.catch_up()
        self.visits += 1
        self.last_visit = self._clock.now()
        if not self.do("visit") and self.stage == SpaceStage.RUNNING:
            self._plan(self.last_visit)

    def request_hardware(self, hardware: str, sleep_time: int | None) -> None:
        """Change the hardware and, if given, the sleep time (-1 for never)."""
        self.catch_up()
        before = self.actual_view()
        self.requested = hardware
        if hardware in FREE_HARDWARE:
            self.replicas = 1
        if sleep_time is not None:
            self.own_sleep_time = None if sleep_time < 0 else sleep_time
        if self.stage == SpaceStage.PAUSED:
            event = "restart" if self._settings.hardware_wakes_paused else None
        elif self.stage in DORMANT_STAGES:
            event = "restart" if self._settings.hardware_wakes_sleeping else None
        else:
            event = "change"
        if event is not None and self.do(event):
            self.show(before, lag=True)

    def set_sleep_time(self, seconds: int) -> None:
        """Change the sleep time (-1 for never); without effect on free hardware."""
        self.catch_up()
        self.own_sleep_time = None if seconds < 0 else seconds
        if self.stage == SpaceStage.RUNNING:
            self._plan(self._clock.now())

    def set_replicas(self, replicas: int) -> None:
        """Run so many copies, each of them billed."""
        self.catch_up()
        self.replicas = replicas
        self.note(self._clock.now())

    def crash(self, message: str) -> bool:
        """The app dies. Returns whether there was one to die."""
        self.catch_up()
        if (self.stage, "crash") not in NEXT or self.is_static:
            return False
        now = self._clock.now()
        self.run_log.write(now, message)
        self._fail("crash", message, now)
        return True

    def commit(self, changes: Mapping[str, bytes | None], branch: str = MAIN, **details: Any) -> Commit:
        """Write files to a branch. Only a commit to ``main`` builds the Space anew."""
        self.catch_up()
        made = super().commit(changes, branch, **details)
        if self.sha == made.oid and not self.is_static:
            self.do("commit")
        return made

    def await_files(self, seconds: float) -> None:
        """Have no files for so long; then it is built."""
        self._due = (self._clock.now() + seconds, "commit")

    def end(self, seconds: float) -> bool:
        """Be in DELETING. Returns whether it is gone at once."""
        self.do("delete")
        self._gone = self._clock.now() + seconds
        return seconds <= 0

    @property
    def is_gone(self) -> bool:
        """Whether it was deleted and the time of that is over."""
        return self._gone is not None and self._clock.now() >= self._gone

    def note(self, time: float) -> None:
        """Note in the history and on the meter what is now."""
        hardware = self.hardware or self.requested
        paid = self.stage in BILLED_STAGES and hardware not in FREE_HARDWARE
        billed = hardware if paid else None
        moment = Moment(time, self.stage, self.hardware, self.requested, billed)
        if not self.history or self.history[-1][1:] != moment[1:]:
            self.history.append(moment)
        self.meter.switch(time, billed, self.replicas)

    def _apply(self, event: str, time: float) -> None:
        if event in NO_HARDWARE:
            self._fail(event, NO_HARDWARE[event], time)
        elif event == "build failed" and self.luck.build is not None:
            (message, lines), self.luck.build = self.luck.build, None
            self.build_log.write(time, *(lines or (f"error: {message}",)))
            self._fail(event, message, time)
        elif event == "not healthy":
            self.luck.hang = False
            self._fail(event, "launch timed out, space was not healthy after 30 min", time)
        elif event == "crash":
            message = "Exit code: 1. Reason: application crashed"
            self.run_log.write(time, message)
            if self.luck.crashes is not None:
                self.luck.crashes -= 1
            self._fail(event, message, time)
        elif event == "start failed" and self.luck.start is not None:
            (message, lines), self.luck.start = self.luck.start, None
            self.run_log.write(time, *(lines or (message,)))
            self._fail(event, message, time)
        else:
            self._enter(NEXT[self.stage, event], event, time)

    def _fail(self, event: str, message: str, time: float) -> None:
        self._enter(NEXT[self.stage, event], event, time)
        self.error_message = message

    def _enter(self, stage: str, event: str, time: float) -> None:
        self.stage = self._settings.asleep if stage == ASLEEP else stage
        self.error_message = None
        self._shown = None
        if stage == SpaceStage.RUNNING:
            self.hardware = self.requested
            self.running_sha = self.sha
            self.last_visit = max(self.last_visit, time)
        elif stage not in SERVING_STAGES:
            self.hardware = None
            self.running_sha = None
        self.note(time)
        self._write_logs(stage, event, time)
        self._plan(time, event)

    def _plan(self, time: float, event: str = "") -> None:
        timings, luck = self._settings.timings, self.luck
        self._due = None
        if self.is_static:
            return
        if self.stage in BUILD_STAGES:
            self._due = (time + timings.build, "build failed" if luck.build else "built")
        elif self.stage in APP_START_STAGES:
            if refused := luck.refuses(self.requested):
                self._due = (time + timings.scheduling, refused)
            elif luck.start is not None:
                self._due = (time + timings.start, "start failed")
            elif luck.hang:
                self._due = (time + timings.launch_timeout, "not healthy")
            elif event == "visit":
                self._due = (time + timings.wake, "woken")
            else:
                self._due = (time + timings.start, "started")
        elif self.stage == SpaceStage.RUNNING and luck.crash_after is not None and luck.crashes != 0:
            self._due = (time + luck.crash_after, "crash")
        elif self.stage == SpaceStage.RUNNING and self.sleep_time is not None:
            # Never in the past: what has been cannot change with a new sleep time.
            self._due = (max(time, self.last_visit + self.sleep_time), "idle")

    def replan(self) -> None:
        """Take into account what has been arranged to go wrong since the present stage began."""
        self.catch_up()
        if self.stage == SpaceStage.RUNNING:
            self._plan(self._clock.now())
        if self._due is None or self.stage == SpaceStage.RUNNING:
            return
        time, event = self._due
        timings, luck = self._settings.timings, self.luck
        if self.stage in BUILD_STAGES:
            event = "build failed" if luck.build else "built"
        elif refused := luck.refuses(self.requested):
            if event != refused:
                time, event = self._clock.now() + timings.scheduling, refused
        elif luck.start is not None:
            event = "start failed"
        elif luck.hang:
            if event != "not healthy":
                time, event = self._clock.now() + timings.launch_timeout, "not healthy"
        elif event in (*NO_HARDWARE, "not healthy"):
            time, event = self._clock.now() + timings.start, "started"
        self._due = (time, event)

    def _write_first_logs(self) -> None:
        if self.is_static or self.stage in (SpaceStage.NO_APP_FILE, SpaceStage.CONFIG_ERROR):
            return
        seconds = self._settings.timings.build
        if self.stage in BUILD_STAGES:
            self._write_logs(self.stage, "created", self.created)
            return
        lines = build_script(self.created, self.sha, self.sdk, seconds)
        self.build_log.begin(self.created, [(0.0, text) for _, text in lines])
        if self.stage == SpaceStage.BUILD_ERROR:
            self.build_log.write(self.created, f"error: {self.error_message}")
            return
        self._write_logs(SpaceStage.APP_STARTING.value, "created", self.created)
        if self.stage != SpaceStage.APP_STARTING:
            self._write_logs(SpaceStage.RUNNING.value, "created", self.created)
        if self.stage == SpaceStage.RUNTIME_ERROR and self.error_message:
            self.run_log.write(self.created, self.error_message)

    def _write_logs(self, stage: str, event: str, time: float) -> None:
        if stage in BUILD_STAGES:
            seconds = self._settings.timings.build
            self.build_log.begin(time, build_script(time, self.sha, self.sdk, seconds))
        elif stage in APP_START_STAGES:
            if event == "built":
                self.build_log.write(time, "DONE 4.2s")
            self.run_log.begin(time, start_script(time))
        elif stage == SpaceStage.RUNNING:
            self.run_log.write(time, "Running on local URL:  http://0.0.0.0:7860")
        else:
            # What was still to come of a build or a start does not come any more.
            self.build_log.write(time)
            self.run_log.write(time)


_USUAL_ERRORS = {
    SpaceStage.BUILD_ERROR.value: "Job failed with exit code: 1",
    SpaceStage.RUNTIME_ERROR.value: "Exit code: 1. Reason: application crashed",
    SpaceStage.CONFIG_ERROR.value: "ConfigError: Gradio version does not exist",
}


def _first_files(name: str, sdk: str, stage: str) -> dict[str, bytes]:
    readme = f"---\ntitle: {name}\nsdk: {sdk}\n---\n".encode()
    files = {".gitattributes": b"", "README.md": readme}
    if stage != SpaceStage.NO_APP_FILE:
        files[_APP_FILE[sdk]] = b""
    return files
