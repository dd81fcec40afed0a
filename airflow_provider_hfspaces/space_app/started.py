"""StartedCall: a call that an app has accepted, in a form for another process that reads the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_provider_hfspaces.space_app.listener import AcceptedCall

__all__ = ["StartedCall"]


@dataclass(frozen=True)
class StartedCall:
    """A call that an app has accepted. It contains neither the inputs nor the token.

    .. code-block:: python

        started = app.start("/transcribe", {"audio": path})
        payload = json.dumps(started.to_dict())  # for another process
        result = app.result(StartedCall.from_dict(json.loads(payload)))

    A Gradio app keeps the messages of a call until a client reads them, and they can be read only once: a
    reader whose connection breaks has lost the call. An app that answers 202 keeps the status of the work,
    which can be read any number of times.

    :ivar api: the endpoint, or method and path of a plain request.
    :ivar accepted: identifies the call in a Gradio app; ``None`` for a plain request.
    :ivar shown: for each output of a Gradio function, whether callers receive it.
    :ivar address: URL of the status of the work; ``None`` for a Gradio app.
    :ivar poll: how to poll the status, as the fields of ``Poll``.
    :ivar answer: expected form of the answer of a plain app: ``json``, ``text``, ``bytes`` or ``any``.
    :ivar replica: the replica that has the call; ``None`` for a Space with one replica.
    """

    api: str
    accepted: AcceptedCall | None = None
    shown: tuple[bool, ...] = ()
    address: str | None = None
    poll: Mapping[str, Any] = field(default_factory=dict)
    answer: str = "json"
    replica: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the call as plain JSON."""
        poll = {name: list(value) if isinstance(value, tuple) else value for name, value in self.poll.items()}
        return {**asdict(self), "shown": list(self.shown), "poll": poll}

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> StartedCall:
        """Return the call from its :meth:`to_dict`."""
        accepted = payload.get("accepted")
        return cls(
            **{
                **payload,
                "accepted": AcceptedCall(**accepted) if accepted else None,
                "shown": tuple(payload.get("shown") or ()),
            }
        )
