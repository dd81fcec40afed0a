"""CallContext and GradioError, by which the functions of a miniature Gradio sleep, report and fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.emulator.apps.timing import AppTime

__all__ = ["CallContext", "GradioError", "Host"]


class GradioError(Exception):
    """An error whose message callers see, like ``gr.Error``.

        raise GradioError("not a WAV file")

    :param duration: seconds for which a user interface shows the error.
    :param visible: whether a user interface shows the error.
    :param title: title of the error, which Gradio 5 and 6 send.
    """

    def __init__(
        self, message: str, *, duration: float = 10, visible: bool = True, title: str = "Error"
    ) -> None:
        super().__init__(message)
        self.message, self.duration, self.visible, self.title = message, duration, visible, title


@dataclass(frozen=True)
class Host:
    """The Space and the replica in which an app runs.

    :ivar hardware: returns the hardware of the Space, which can change while the app runs.
    :ivar log: writes a line to the log of the Space.
    """

    repo_id: str = "acme/app"
    replica: str = "local-00000"
    hardware: Callable[[], str | None] = lambda: None
    log: Callable[[str], None] = lambda text: None


@dataclass
class CallContext:
    """One call of a function. A function receives it in a parameter with this class as annotation.

        async def caption(image: Path, call: CallContext) -> str:
            await call.sleep(20)
            return f"a picture on {call.host.hardware()}"

    :ivar headers: headers of the request, by name in lower case.
    :ivar host: the Space, the replica and the hardware.
    """

    time: AppTime
    headers: Mapping[str, str]
    host: Host
    _report: Callable[[dict[str, Any]], None] = field(repr=False)

    async def sleep(self, seconds: float) -> None:
        """Work for some time, in emulated seconds."""
        await self.time.sleep(seconds)

    def progress(
        self, index: int, length: int | None = None, desc: str | None = None, unit: str = "steps"
    ) -> None:
        """Report the progress of the call, as ``gr.Progress`` does.

        :param index: number of the current step.
        :param length: number of all steps; ``None`` if it is not known.
        """
        state = {"index": index, "length": length, "unit": unit, "progress": None, "desc": desc}
        self._report({"msg": "progress", "progress_data": [state]})

    def info(self, text: str) -> None:
        """Show a message, as ``gr.Info`` does."""
        self._log(text, "info", "Info")

    def warning(self, text: str) -> None:
        """Show a warning, as ``gr.Warning`` does."""
        self._log(text, "warning", "Warning")

    def _log(self, text: str, level: str, title: str) -> None:
        self._report(
            {"msg": "log", "log": text, "level": level, "duration": 10.0, "visible": True, "title": title}
        )
