"""AppListener: what a caller may hear of a call while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["AcceptedCall", "AppListener", "AppProgress"]


@dataclass(frozen=True)
class AcceptedCall:
    """A call that the app has accepted, with all that is needed to cancel it.

    :ivar api: the endpoint.
    :ivar event_id: the app's id of the call.
    :ivar session_hash: the session of the call.
    :ivar fn_index: the app's number of the endpoint.
    :ivar prefix: path of the app's API.
    :ivar replica: the replica that has the call; ``None`` for a Space with one.
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

    :ivar done: steps that are done, or a share of 1 if ``total`` is ``None``; ``None`` if unknown.
    :ivar total: number of steps.
    :ivar unit: what a step is.
    :ivar description: the app's text.
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
    """Hears what happens to a call. Override what you need; each method does nothing by default.

    .. code-block:: python

        class Printing(AppListener):
            def progress(self, bars):
                print(*bars, sep=", ")

        app.call("/predict", ["x"], listener=Printing())

    The methods are called in the thread or on the event loop of the call and have to return soon. An
    exception from one of them ends the call.
    """

    def sending(self, api: str) -> None:
        """The call is about to be sent. From here on the app may work on it."""

    def accepted(self, call: AcceptedCall) -> None:
        """The app has accepted the call."""

    def queued(self, position: int, length: int, eta_seconds: float | None) -> None:
        """The call waits in the app's queue.

        :param position: number of calls before it.
        :param length: number of calls in the queue.
        :param eta_seconds: the app's estimate until the call starts; ``None`` if it has no estimate.
        """

    def started(self, eta_seconds: float | None) -> None:
        """The app works on the call.

        :param eta_seconds: the app's estimate until the call ends; ``None`` if it has no estimate.
        """

    def progress(self, bars: list[AppProgress]) -> None:
        """The app reports progress."""

    def log(self, level: str, message: str) -> None:
        """The app shows a message to the caller.

        :param level: ``info``, ``warning``, ``success`` or ``error``.
        """

    def partial(self, outputs: list[Any]) -> None:
        """A generator has yielded.

        :param outputs: one value for each output of the function, with ``None`` for a state.
        """

    def waiting(self, reason: str, seconds: float) -> None:
        """The call is sent again later.

        :param reason: why it was not accepted, such as a full queue.
        :param seconds: how long the client waits before it.
        """
