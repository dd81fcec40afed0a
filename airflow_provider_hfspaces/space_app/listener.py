"""AppListener: receives the events of a call while it waits and runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["AcceptedCall", "AppListener", "AppProgress"]


@dataclass(frozen=True)
class AcceptedCall:
    """A call that a Gradio app has accepted. Pass it to ``SpaceApp.cancel`` to cancel the call.

    :ivar api: the endpoint.
    :ivar event_id: the app's id of the call.
    :ivar session_hash: the session of the call.
    :ivar fn_index: the app's number of the endpoint.
    :ivar prefix: path of the app's API.
    :ivar replica: the replica that has the call; ``None`` for a Space with one replica.
    """

    api: str
    event_id: str
    session_hash: str
    fn_index: int
    prefix: str = ""
    replica: str | None = None


@dataclass(frozen=True)
class AppProgress:
    """One progress bar of the app.

    :ivar done: number of completed steps, or a fraction from 0 to 1 if ``total`` is ``None``; ``None`` if
        unknown.
    :ivar total: number of steps; ``None`` if unknown.
    :ivar unit: unit of the steps, such as ``steps``; ``None`` if the app names none.
    :ivar description: the app's text; ``None`` if the app sends none.
    """

    done: float | None = None
    total: float | None = None
    unit: str | None = None
    description: str | None = None

    def __str__(self) -> str:
        if self.done is None:
            return self.description or ""
        text = f"{self.done:.0%}"
        if self.total:
            text = f"{self.done:g} of {self.total:g} {self.unit or 'steps'}"
        return f"{self.description}: {text}" if self.description else text


class AppListener:
    """Receives the events of a call. Override the methods that you need; by default they do nothing.

    .. code-block:: python

        class Printing(AppListener):
            def progress(self, bars):
                print(*bars, sep=", ")

        app.call("/predict", ["x"], listener=Printing())

    The methods are called in the thread or on the event loop of the call, and must return fast. If a method
    raises an exception, the call ends with it.
    """

    def sending(self, api: str) -> None:
        """Called before the call is sent. From now on, the app may work on the call."""

    def accepted(self, call: AcceptedCall) -> None:
        """Called when the app has accepted the call."""

    def queued(self, position: int, length: int, eta_seconds: float | None) -> None:
        """Called while the call waits in the app's queue.

        :param position: number of calls before this call.
        :param length: number of calls in the queue.
        :param eta_seconds: the app's estimate until the call starts; ``None`` without an estimate.
        """

    def started(self, eta_seconds: float | None) -> None:
        """Called when the app starts to work on the call.

        :param eta_seconds: the app's estimate until the call ends; ``None`` without an estimate.
        """

    def progress(self, bars: list[AppProgress]) -> None:
        """Called when the app reports progress.

        :param bars: the app's progress bars.
        """

    def log(self, level: str, message: str) -> None:
        """Called when the app sends a message to the caller.

        :param level: ``info``, ``warning``, ``success`` or ``error``.
        :param message: the app's text.
        """

    def partial(self, outputs: list[Any]) -> None:
        """Called when a generator function of the app yields.

        :param outputs: one value for each output of the function, with ``None`` for a session state.
        """

    def waiting(self, reason: str, seconds: float) -> None:
        """Called before the client waits to send the call again.

        :param reason: why the app did not accept the call, such as a full queue.
        :param seconds: how long the client waits.
        """
