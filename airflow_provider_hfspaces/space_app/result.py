"""AppResult: the answer of one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.space_app.files import files_in

__all__ = ["AppResult"]


@dataclass(frozen=True)
class AppResult:
    """The answer of one call.

    :ivar api: the endpoint.
    :ivar outputs: one value for each output of the function, without states.
    :ivar seconds: how long the app worked on it; ``None`` if it did not say.
    :ivar event_id: the app's id of the call.
    :ivar replica: the replica that worked on it; ``None`` for a Space with one.
    """

    api: str
    outputs: list[Any]
    seconds: float | None = None
    event_id: str | None = None
    replica: str | None = field(default=None, repr=False)

    @property
    def value(self) -> Any:
        """The output if the function has exactly one, otherwise all of them as a list."""
        return self.outputs[0] if len(self.outputs) == 1 else self.outputs

    @property
    def files(self) -> list[Mapping[str, Any]]:
        """Every file in the outputs, at any depth, for ``SpaceApp.download``."""
        return files_in(self.outputs)
