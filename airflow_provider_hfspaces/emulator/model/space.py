"""An emulated Space: its state, its history and its next event.

Nothing runs in the background. A Space knows when its next event is due, and applies all events that are due
when a request or a test reads the Space. So events are exact at any speed of the clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_hfspaces.emulator.model.app_state import AppState
from airflow_provider_hfspaces.emulator.model.card import SDKS, Card, card_of, obstacle
from airflow_provider_hfspaces.emulator.model.clock import Clock
from airflow_provider_hfspaces.emulator.model.first_files import first_files
from airflow_provider_hfspaces.emulator.model.git import Commit
from airflow_provider_hfspaces.emulator.model.logs import SpaceLogs
from airflow_provider_hfspaces.emulator.model.luck import USUAL_ERRORS, Luck
from airflow_provider_hfspaces.emulator.model.machine import ASLEEP, NEXT, STILL_SERVING
from airflow_provider_hfspaces.emulator.model.meter import Meter, Session
from airflow_provider_hfspaces.emulator.model.moments import Entry, Moment, View
from airflow_provider_hfspaces.emulator.model.repository import Repository
from airflow_provider_hfspaces.emulator.model.schedule import FREE_SLEEP_SECONDS, Due, next_event, revised
from airflow_provider_hfspaces.emulator.settings import Settings
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE
from airflow_provider_hfspaces.hub.stages import (
    ASLEEP_STAGES,
    BILLED_STAGES,
    BUILD_STAGES,
    DORMANT_STAGES,
    SERVING_STAGES,
    SpaceStage,
)

__all__ = ["FIRST_STAGES", "SDKS", "Space"]

FIRST_STAGES = tuple(sorted({stage for stage, _ in NEXT} | ASLEEP_STAGES))
"""The stages that a Space may be created in."""

_MAX_MOMENTS = 10_000
_UNBUILT = ("build failed", "invalid card", "no app file")


class Space(Repository):
    """An emulated Space.

    :param owner: user or organization.
    :param sdk: ``gradio``, ``docker`` or ``static``.
    :param stage: the first stage, one of :data:`FIRST_STAGES`. A static Space is always RUNNING.
    :param sleep_time: seconds without a visitor until the Space sleeps; ``None`` for never. On free
        hardware a Space always sleeps after 48 hours.
    :param creator: name of the user who created the Space.
    :param app: what the Space serves; see :func:`checked_app`.
    :raises ValueError: for an unknown sdk or stage, and for an invalid app.
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
        app: Any = None,
    ) -> None:
        if sdk not in SDKS:
            raise ValueError(f"sdk must be one of {', '.join(SDKS)}; got {sdk!r}.")
        if stage not in FIRST_STAGES:
            raise ValueError(f"stage must be one of {', '.join(FIRST_STAGES)}; got {stage!r}.")
        super().__init__(
            owner,
            name,
            repo_type="space",
            clock=clock,
            visibility=visibility,
            creator=creator,
            files=files or first_files(name, sdk, with_app=stage != SpaceStage.NO_APP_FILE),
        )
        self.settings = settings
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
        self.app = AppState(app)
        self.luck = Luck()
        self.history: deque[Moment] = deque(maxlen=_MAX_MOMENTS)
        self.meter = Meter()
        self._due: Due | None = None
        self._lagging: tuple[float, View] | None = None
        self._gone_at: float | None = None
        self.stage = SpaceStage.RUNNING.value if self.is_static else stage
        serving = self.stage in SERVING_STAGES and not self.is_static
        self.requested: str | None = None if self.is_static else hardware
        self.hardware: str | None = hardware if serving else None
        self.built_sha = self.sha
        self.running_sha: str | None = self.sha if serving else None
        self._late_sha: tuple[float, str | None] = (0, None)
        self.error_message = USUAL_ERRORS.get(self.stage) if error_message is None else error_message
        self.logs = SpaceLogs(settings)
        if self.is_serving:
            self.app.start(self.created)
        self._record(self.created)
        if not self.is_static:
            self.logs.on_creation(self.stage, self.created, self.sha, self.sdk, self.error_message)
        self._plan(self.created)

    @property
    def subdomain(self) -> str:
        """The first label of the host name that the Space has on the Hub: ``acme-whisper``."""
        label = f"{self.owner}-{self.name}".lower()
        return "".join(letter if letter.isalnum() else "-" for letter in label)

    @property
    def is_static(self) -> bool:
        """Whether the Space serves only files."""
        return self.sdk == "static"

    @property
    def is_serving(self) -> bool:
        """Whether a version of the app answers visitors."""
        return self.is_static or self.hardware is not None

    @property
    def card(self) -> Card:
        """The card in the README on ``main``."""
        return card_of(self.files)

    @property
    def on_free_hardware(self) -> bool:
        """Whether the requested hardware is free."""
        return self.requested is None or self.requested in FREE_HARDWARE

    @property
    def sleep_time(self) -> int | None:
        """Seconds without a visitor until the Space sleeps; ``None`` for never."""
        if self.is_static:
            return None
        return FREE_SLEEP_SECONDS if self.on_free_hardware else self.own_sleep_time

    # What the runtime shows

    def view(self) -> View:
        """What the runtime shows now."""
        if self._lagging is not None and self.now() < self._lagging[0]:
            return self._lagging[1]
        return self.actual_view()

    def actual_view(self) -> View:
        """What the runtime would show without any lag."""
        sha, (until, previous) = self.running_sha, self._late_sha
        if sha is not None and self.now() < until:
            sha = previous
        return View(self.stage, self.hardware, self.requested, self.error_message, sha)

    def view_at(self, time: float) -> View:
        """What the runtime showed at an emulated time, without the error message if that is in the past."""
        if time >= self.now():
            return self.view()
        return next((moment.view() for moment in reversed(self.history) if moment.time <= time), self.view())

    @property
    def due(self) -> Due | None:
        """Emulated time and name of the next event that time causes; ``None`` if no event is due."""
        return self._due

    def resume(self, history: Iterable[Moment], meter: Mapping[str, Any], due: Any) -> None:
        """Restore the history, the meter and the next event of a saved Space."""
        self.history = deque(history, maxlen=_MAX_MOMENTS)
        self.meter.resume(meter)
        self._lagging = None
        self._due = (due[0], due[1]) if due else None

    def sessions(self) -> list[Session]:
        """The sessions on billed hardware, up to now."""
        self.catch_up()
        return self.meter.sessions(self.now())

    # Events

    def catch_up(self) -> Space:
        """Apply every event that is due, and return the Space."""
        now = self.now()
        while self._due is not None and self._due[0] <= now:
            time, event = self._due
            self._due = None
            self._apply(event, time)
        return self

    def do(self, event: str, *, lag: bool = False) -> bool:
        """Apply an event that a caller causes.

        :param lag: whether the runtime may show the previous state for a moment.
        :return: whether the event changed the stage.
        """
        self.catch_up()
        if (self.stage, event) not in NEXT:
            return False
        now, before = self.now(), self.actual_view()
        self._follow(event, now)
        if lag:
            self._show(before)
        return True

    def visit(self) -> None:
        """Count a visitor, who keeps the Space awake or wakes it."""
        self.catch_up()
        self.visits += 1
        self.last_visit = self.now()
        if not self.do("visit") and self.stage == SpaceStage.RUNNING:
            self._plan(self.last_visit)

    def request_hardware(self, hardware: str, sleep_time: int | None) -> None:
        """Change the hardware and, if ``sleep_time`` is not ``None``, the sleep time (-1 for never)."""
        self.catch_up()
        before = self.actual_view()
        self.requested = hardware
        if hardware in FREE_HARDWARE:
            self.replicas = 1
        if sleep_time is not None:
            self.own_sleep_time = None if sleep_time < 0 else sleep_time
        if self.stage == SpaceStage.PAUSED:
            event = "restart" if self.settings.hardware_wakes_paused else None
        elif self.stage in DORMANT_STAGES:
            event = "restart" if self.settings.hardware_wakes_sleeping else None
        else:
            event = "change"
        if event is not None and self.do(event):
            self._show(before)

    def set_sleep_time(self, seconds: int) -> None:
        """Change the sleep time in seconds (-1 for never), which has no effect on free hardware."""
        self.catch_up()
        self.own_sleep_time = None if seconds < 0 else seconds
        if self.stage == SpaceStage.RUNNING:
            self._plan(self.now())

    def set_replicas(self, replicas: int) -> None:
        """Set the number of replicas. Each replica is billed."""
        self.catch_up()
        self.replicas = replicas
        self._record(self.now())

    def crash(self, message: str) -> bool:
        """Crash the app: the Space enters RUNTIME_ERROR. Returns False if no app is running."""
        self.catch_up()
        if (self.stage, "crash") not in NEXT or self.is_static:
            return False
        now = self.now()
        self.logs.run.write(now, message)
        self._fail("crash", message, now)
        return True

    def _on_commit(self, commit: Commit) -> None:
        """Rebuild the Space after a commit to ``main``."""
        super()._on_commit(commit)
        if commit is self.git.main:
            self.catch_up()
            self._change_sdk(self.card.data.get("sdk"))
            if not self.is_static:
                self.do("commit")

    def _change_sdk(self, sdk: Any) -> None:
        """Change the sdk to the one in the README, if that is a valid other sdk."""
        if sdk not in SDKS or sdk == self.sdk:
            return
        was_static, self.sdk = self.is_static, sdk
        self.tags = (sdk, *(tag for tag in self.tags if tag not in SDKS))
        if self.is_static:
            self.stage = SpaceStage.RUNNING.value
            self.requested = self.hardware = self.running_sha = self.error_message = None
            self._due = self._lagging = None
            self.app.start(self.now())
            self._record(self.now())
        elif was_static:
            self.stage, self.requested = SpaceStage.NO_APP_FILE.value, "cpu-basic"
            self.app.end()

    def await_files(self, seconds: float) -> None:
        """Build the Space after this number of emulated seconds, which copying its files takes."""
        self._due = (self.now() + seconds, "commit")

    def end(self, seconds: float) -> bool:
        """Enter DELETING for this number of emulated seconds. Returns True if the Space is gone at once."""
        self.do("delete")
        self._gone_at = self.now() + seconds
        return seconds <= 0

    @property
    def is_gone(self) -> bool:
        """Whether the Space's time in DELETING is over."""
        return self._gone_at is not None and self.now() >= self._gone_at

    def replan(self) -> None:
        """Compute the next event again after :attr:`luck` has changed."""
        self.catch_up()
        if self.stage == SpaceStage.RUNNING:
            self._plan(self.now())
        elif self._due is not None:
            timings = self.settings.timings
            self._due = revised(self.stage, self._due, self.now(), self.requested, self.luck, timings)

    def _show(self, view: View) -> None:
        """Show this view in the runtime until the lag is over."""
        seconds = self.settings.timings.lag
        if seconds and (view.stage in SERVING_STAGES or self.settings.lag_from == "anything"):
            if not self.settings.lag_hides_request:
                view = view._replace(requested=self.requested)
            self._lagging = (self.now() + seconds, view)

    def _record(self, time: float) -> None:
        """Add the current state to the history, and switch the meter."""
        hardware = self.hardware or self.requested
        runs = self.stage in BILLED_STAGES or self.hardware is not None
        paid = runs and hardware not in FREE_HARDWARE
        billed = hardware if paid else None
        moment = Moment(time, self.stage, self.hardware, self.requested, billed, self.running_sha)
        if not self.history or self.history[-1][1:] != moment[1:]:
            self.history.append(moment)
        self.meter.switch(time, billed, self.replicas)

    def _apply(self, event: str, time: float) -> None:
        message = self.luck.strike(event, self.logs, time)
        if message is None:
            self._follow(event, time)
        else:
            self._fail(event, message, time)

    def _follow(self, event: str, time: float) -> None:
        """Enter the stage after an event. A build begins only if the files on ``main`` allow one."""
        following = NEXT[self.stage, event]
        if following in BUILD_STAGES:
            if reason := obstacle(self.files):
                self._fail(*reason, time)
                return
            self.built_sha = self.sha
            if self.hardware is not None and event != "cold restart":
                following = STILL_SERVING.get(following, following)
        self._enter(following, event, time)

    def _fail(self, event: str, message: str | None, time: float) -> None:
        self._enter(NEXT[self.stage, event], event, time)
        self.error_message = message

    def _enter(self, stage: str, event: str, time: float) -> None:
        self.stage = self.settings.asleep if stage == ASLEEP else stage
        self.error_message = None
        self._lagging = None
        if stage == SpaceStage.RUNNING:
            if self.running_sha not in (None, self.built_sha):
                self._late_sha = (time + self.settings.timings.sha_lag, self.running_sha)
            self.hardware = self.requested
            self.running_sha = self.built_sha
            self.last_visit = max(self.last_visit, time)
            self.app.start(time, self.settings.timings.boot)
        elif stage not in SERVING_STAGES and not (self.settings.failed_build_serves and event in _UNBUILT):
            self.hardware = None
            self.running_sha = None
            self.app.end()
        self._record(time)
        self.logs.on_stage(stage, event, time, self.built_sha, self.sdk)
        self._plan(time, event)

    def _plan(self, time: float, cause: str = "") -> None:
        following = next_event(
            self.stage,
            time,
            cause=cause,
            hardware=self.requested,
            last_visit=self.last_visit,
            sleep_time=self.sleep_time,
            luck=self.luck,
            timings=self.settings.timings,
        )
        self._due = None if self.is_static else following
