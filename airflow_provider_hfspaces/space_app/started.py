"""StartedCall: a call that an app has accepted, in a form that another process can continue with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_provider_hfspaces.space_app.listener import AcceptedCall

__all__ = ["StartedCall"]


@dataclass(frozen=True)
class StartedCall:
    """A call that an app has accepted, without its inputs and without a token.

    .. code-block:: python

        started = app.start("/transcribe", {"audio": path})
        payload = json.dumps(started.to_dict())  # for another process
        result = app.result(StartedCall.from_dict(json.loads(payload)))

    A Gradio app keeps the messages of a call until somebody reads them. They can be read once: a reader that
    is cut off has lost the call. An app that answers 202 keeps the status of its work, which can be read any
    number of times.

    :ivar api: the endpoint, or method and path of a plain request.
    :ivar accepted: what a Gradio app needs to know its call by; ``None`` for a plain request.
    :ivar shown: for each output of a Gradio function, whether callers get it.
    :ivar address: where a plain app tells the status of its work; ``None`` for a Gradio app.
    :ivar poll: how to follow that status, as a mapping.
    :ivar answer: what a plain app has to answer at the end: ``json``, ``text``, ``bytes`` or ``any``.
    :ivar replica: the replica that has the call; ``None`` for a Space with one.
    """

    api: str
    accepted: AcceptedCall | None = None
    shown: tuple[bool, ...] = ()
    address: str | None = None
    poll: Mapping[str, Any] = field(default_factory=dict)
    answer: str = "json"
    replica: str | None = None

    @property
    def is_kept(self) -> bool:
        """Whether the app keeps the answer, so that it can be read again after a reader was cut off."""
        return self.accepted is None

    def to_dict(self) -> dict[str, Any]:
        """Return the call as plain JSON."""
        poll = {name: list(value) if isinstance(value, tuple) else value for name, value in self.poll.items()}
        return {**asdict(self), "shown": list(self.shown), "poll": poll}

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> StartedCall:
        """Return the call that :meth:`to_dict` described."""
        accepted = payload.get("accepted")
        return cls(
            **{
                **payload,
                "accepted": AcceptedCall(**accepted) if accepted else None,
                "shown": tuple(payload.get("shown") or ()),
            }
        )
