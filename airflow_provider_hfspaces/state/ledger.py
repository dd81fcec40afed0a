"""Records of the fleet operators: across the tries of a task, and from a pause to the restart.

Come here to change what a retry or a restart knows about the Spaces that a task has changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.server import delete_variable, get_variable, set_variable
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.state.variables import variable_name

if TYPE_CHECKING:
    from airflow_provider_hfspaces.state.retry_store import RetryStore

__all__ = ["Journal", "Ledger"]

Record = dict[str, Any]


class Journal:
    """The Spaces that a task is about to change, over all of its tries, recorded before each request.

    The record is split into parts, because Airflow's store accepts at most 64 KB at a time.

    :param store: the store that outlives a try.
    :param action: the name of the action, part of the keys in the store.
    :ivar earlier: the records of earlier tries, by the lower-case id of the Space.
    """

    def __init__(self, store: RetryStore, action: str) -> None:
        self._store, self._action = store, action
        self._parts = 0
        self.earlier: dict[str, Record] = {}
        while isinstance(part := store.get(self._key(self._parts)), dict):
            self.earlier.update(part)
            self._parts += 1

    def record_of(self, repo_id: str) -> Record | None:
        """Return what an earlier try recorded about a Space; ``None`` if no try did."""
        return self.earlier.get(repo_id.casefold())

    def write(self, records: Mapping[str, Record]) -> None:
        """Record a batch of Spaces, by id."""
        if records:
            self._store.set(self._key(self._parts), {key.casefold(): each for key, each in records.items()})
            self._parts += 1

    def forget(self) -> None:
        """Delete the record of a task that has changed all its Spaces."""
        while self._parts:
            self._parts -= 1
            self._store.delete(self._key(self._parts))

    def _key(self, number: int) -> str:
        return f"fleet_{self._action}_{number}"


class Ledger:
    """The Spaces that pauses have stopped and no restart has started again yet, kept in an Airflow Variable.

    Only one task may write to a ledger at a time, because Airflow cannot change a Variable atomically.

    :param name: the name of the ledger. Its Variable is ``hf_spaces_fleet-`` and this name.
    :raises InvalidInput: if the name is not valid.
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[\w\-.:]{1,200}", name, re.ASCII):
            raise InvalidInput(
                f"The report name {name!r} is not valid: use letters, digits, '-', '_', '.' and ':'."
            )
        self.variable = variable_name("hf_spaces_fleet", name)
        self._old_variable = f"hf_spaces_fleet:{name}"

    def read(self) -> dict[str, Record]:
        """Return the records by the lower-case id of the Space.

        A ledger of version 0.1 is moved to its new Variable once.

        :raises InvalidInput: if the Variable holds something else.
        """

        value = get_variable(self.variable)
        if value is not None:
            return self._records(self.variable, value)
        value = get_variable(self._old_variable)
        if value is None:
            return {}
        records = self._records(self._old_variable, value)
        self._write(records)
        delete_variable(self._old_variable)
        return records

    def change(self, add: Mapping[str, Record], remove: Mapping[str, Record] | None = None) -> None:
        """Add records, and remove those that have not changed since they were read.

        Records that another task has added in the meantime stay. An empty ledger keeps its Variable, so that
        Airflow need not look for the one of version 0.1 again.

        :param add: records by the id of the Space.
        :param remove: records as they were read, by the id of the Space.
        """
        records = self.read()
        removed = {repo_id.casefold(): record["at"] for repo_id, record in (remove or {}).items()}
        remaining = {key: each for key, each in records.items() if removed.get(key) != each["at"]}
        remaining.update({repo_id.casefold(): each for repo_id, each in add.items()})
        if remaining != records:
            self._write(remaining)

    def _records(self, variable: str, value: Any) -> dict[str, Record]:
        try:
            return {each["repo_id"].casefold(): dict(each) for each in value["spaces"]}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InvalidInput(
                f"The Airflow Variable {variable!r} holds no record of paused Spaces. Check what it is for, "
                f"and delete it if it is not needed."
            ) from None

    def _write(self, records: Mapping[str, Record]) -> None:
        set_variable(
            self.variable,
            {"spaces": list(records.values())},
            "Spaces that a PauseSpacesOperator has paused, for RestartSpacesOperator to start again.",
        )
