"""A call of a Gradio app in two halves: one process sends it, and another one reads its answer."""

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
    """The half of a call up to the app's answer that it has accepted the call. It is sent at most once."""

    def start(self) -> Steps[StartedCall]:
        """The steps of this half.

        :raises SpaceAppError: if the app has not accepted the call.
        """
        return (yield from self._attempt())  # type: ignore[return-value]

    def _read(self, endpoint: AppEndpoint, prefix: str) -> Steps[Any]:
        """Leave the messages to another process."""
        yield from ()
        assert self.accepted is not None
        shown = tuple(slot.is_shown for slot in endpoint.output_slots)
        return StartedCall(
            self.accepted.api, accepted=self.accepted, shown=shown, replica=self.accepted.replica
        )


@dataclass(eq=False)
class ReadingCall(AppCall):
    """The half of a call that reads its messages to their end."""

    shown: tuple[bool, ...] = ()

    def finish(self) -> Steps[AppResult]:
        """The steps of this half.

        :raises SpaceAppError: for every end but an answer.
        """
        accepted = self.accepted
        assert accepted is not None
        messages = CallMessages(accepted.event_id, self.listener)
        yield from self._open(accepted, accepted.prefix, messages)
        slots = tuple(Slot(is_shown=shown) for shown in self.shown)
        endpoint = AppEndpoint(api=accepted.api, fn_index=accepted.fn_index, output_slots=slots)
        return self._result(endpoint, messages.outcome)
