"""AppResult: the answer to a call of a Gradio app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.space_app.files import files_in

__all__ = ["AppResult"]


@dataclass(frozen=True)
class AppResult:
    """The answer to a call of a Gradio app.

    ::

        result = app.call("/caption", [Path("cat.png")])
        print(result.value, result.seconds)

    :ivar api: the endpoint.
    :ivar outputs: one value for each output of the function, without session states.
    :ivar seconds: seconds that the app worked on the call; ``None`` if the app does not say.
    :ivar event_id: the app's id of the call.
    :ivar replica: the replica that answered; ``None`` for a Space with one replica.
    """

    api: str
    outputs: list[Any]
    seconds: float | None = None
    event_id: str | None = None
    replica: str | None = field(default=None, repr=False)

    @property
    def value(self) -> Any:
        """The output if the function has exactly one, otherwise the list of all outputs."""
        return self.outputs[0] if len(self.outputs) == 1 else self.outputs

    @property
    def files(self) -> list[Mapping[str, Any]]:
        """All files in the outputs, at any depth. Download each with ``SpaceApp.download``."""
        return files_in(self.outputs)
