"""The two halves of a call of a Gradio app: one process sends the call, and another reads the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.space_app.gradio.call import AppCall
from airflow_provider_hfspaces.space_app.gradio.description import AppEndpoint, Slot
from airflow_provider_hfspaces.space_app.gradio.messages import CallMessages
from airflow_provider_hfspaces.space_app.result import AppResult
from airflow_provider_hfspaces.space_app.started import StartedCall

__all__ = ["ReadingCall", "SendingCall"]


@dataclass(eq=False)
class SendingCall(AppCall):
    """The first half of a call: send it at most once, until the app has accepted it."""

    def start(self) -> Steps[StartedCall]:
        """The steps that send the call.

        :raises SpaceAppError: if the app did not accept the call.
        """
        return (yield from self._attempt())  # type: ignore[return-value]

    def _read(self, endpoint: AppEndpoint, prefix: str) -> Steps[Any]:
        """Return the call instead of reading its messages, which another process will read."""
        yield from ()
        assert self.accepted is not None
        shown = tuple(slot.is_shown for slot in endpoint.output_slots)
        return StartedCall(
            self.accepted.api, accepted=self.accepted, shown=shown, replica=self.accepted.replica
        )


@dataclass(eq=False)
class ReadingCall(AppCall):
    """The second half of a call: read its messages until the answer.

    :ivar shown: for each output of the function, whether callers receive it.
    """

    shown: tuple[bool, ...] = ()

    def finish(self) -> Steps[AppResult]:
        """The steps that read the answer.

        :raises SpaceAppError: if the call ends without an answer.
        """
        accepted = self.accepted
        assert accepted is not None
        messages = CallMessages(accepted.event_id, self.listener)
        yield from self._open(accepted, accepted.prefix, messages)
        slots = tuple(Slot(is_shown=shown) for shown in self.shown)
        endpoint = AppEndpoint(api=accepted.api, fn_index=accepted.fn_index, output_slots=slots)
        return self._result(endpoint, messages.outcome)
