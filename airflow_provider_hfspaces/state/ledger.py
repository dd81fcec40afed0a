"""What fleet operators must not forget: over the tries of a task, and from the evening to the morning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_hfspaces.state.retry_store import RetryStore

__all__ = ["Journal", "Ledger"]

Record = dict[str, Any]


class Journal:
    """What a task has set out to do, over all of its tries, written down before it is done.

    In pieces, since Airflow's store takes no more than 64 KB at once.

    :param store: what outlives a try.
    :param action: the word under which the pieces are kept.
    """

    def __init__(self, store: RetryStore, action: str) -> None:
        self._store, self._action = store, action
        self._pieces = 0
        self.earlier: dict[str, Record] = {}
        while isinstance(piece := store.get(self._key(self._pieces)), dict):
            self.earlier.update(piece)
            self._pieces += 1

    def of(self, repo_id: str) -> Record | None:
        """What an earlier try has written of a Space."""
        return self.earlier.get(repo_id.casefold())

    def write(self, records: Mapping[str, Record]) -> None:
        """Write a piece, by the id of each Space."""
        if records:
            self._store.set(self._key(self._pieces), {key.casefold(): each for key, each in records.items()})
            self._pieces += 1

    def forget(self) -> None:
        """The task has done all that it has set out to do."""
        while self._pieces:
            self._pieces -= 1
            self._store.delete(self._key(self._pieces))

    def _key(self, number: int) -> str:
        return f"fleet_{self._action}_{number}"


class Ledger:
    """What pauses have put to sleep and nobody has brought back yet: an Airflow Variable.

    One task at a time writes to it, since Airflow cannot change a Variable in one step.

    :param name: the Variable is ``hf_spaces_fleet:`` and this.
    :raises InvalidInput: for a name that cannot be one.
    """

    def __init__(self, name: str) -> None:
        from airflow_provider_hfspaces.hub.checks import InvalidInput

        if not isinstance(name, str) or not re.fullmatch(r"[\w\-.:]{1,200}", name, re.ASCII):
            raise InvalidInput(
                f"A report is kept under a name of letters, digits, '-', '_', '.' and ':'; got {name!r}."
            )
        self.variable = f"hf_spaces_fleet:{name}"

    def read(self) -> dict[str, Record]:
        """The records, by the id of the Space in small letters."""
        from airflow_provider_hfspaces.compat.server import get_variable
        from airflow_provider_hfspaces.hub.checks import InvalidInput

        try:
            said = get_variable(self.variable)
            spaces = {} if said is None else said["spaces"]
            return {each["repo_id"].casefold(): dict(each) for each in spaces}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InvalidInput(
                f"The Airflow Variable {self.variable!r} holds no record of paused Spaces: look at it, and "
                f"delete it if it is not needed."
            ) from None

    def change(self, add: Mapping[str, Record], remove: Mapping[str, Record] | None = None) -> None:
        """Add Spaces, and remove those of which it still says the same.

        Others that have come meanwhile stay.
        """
        from airflow_provider_hfspaces.compat.server import delete_variable, set_variable

        records = self.read()
        gone = {repo_id.casefold(): record["at"] for repo_id, record in (remove or {}).items()}
        left = {key: each for key, each in records.items() if gone.get(key) != each["at"]}
        left.update({repo_id.casefold(): each for repo_id, each in add.items()})
        if left == records:
            return
        if not left:
            delete_variable(self.variable)
            return
        set_variable(
            self.variable,
            {"spaces": list(left.values())},
            "Spaces that a PauseSpacesOperator has paused, for RestartSpacesOperator to bring back.",
        )
