"""InputMapping: turns an item into the inputs of one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.hub.errors import InvalidInput
from airflow_provider_hfspaces.space_app.batch.errors import InvalidItems
from airflow_provider_hfspaces.space_app.batch.items import Item

__all__ = ["InputMapping"]


@dataclass(frozen=True)
class InputMapping:
    """Turns an item into the inputs of a call.

    ::

        InputMapping(constants={"language": "en"}, fields={"text": "caption"})

    This mapping calls the endpoint with ``text`` from the field ``caption`` of each item, and with
    ``language="en"``. Without ``fields``, each field of an item becomes the input with its name.

    :ivar constants: inputs that all items share, by name. A field of an item takes precedence.
    :ivar fields: the input names, each with the field of the items that has its value. Other fields of the
        items are not sent. By default all fields are sent.
    :ivar files: names of inputs whose values are paths of files to upload, or lists of paths.
    :ivar open_file: returns the path object for a path. Required with ``files``.
    :raises InvalidInput: for ``files`` without ``open_file``.
    """

    constants: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, str] | None = None
    files: frozenset[str] = frozenset()
    open_file: Callable[[str], Any] | None = None

    def __post_init__(self) -> None:
        if self.files and self.open_file is None:
            raise InvalidInput("files requires open_file, which returns the path object for a path.")

    def to_dict(self) -> dict[str, Any]:
        """Return the constants and the fields as plain JSON."""
        return {"inputs": dict(self.constants), "fields": dict(self.fields) if self.fields else None}

    def inputs(self, item: Item, parameters: Sequence[str | None] = ()) -> dict[str, Any] | list[Any]:
        """Return the inputs of a call: by name for a mapping, by position for any other item.

        :param parameters: names of the endpoint's parameters in their order. They name the values of an item
            without names, if there are constants or files.
        :raises InvalidItems: if the item lacks a field, or has more values than parameters.
        """
        value = item.value
        if self.fields is not None:
            chosen = self._select(item)
        elif isinstance(value, Mapping):
            chosen = {**self.constants, **value}
        else:
            values = list(value) if isinstance(value, list) else [value]
            if not self.constants and not self.files:
                return values
            chosen = {**self.constants, **self._by_name(item, values, parameters)}
        return {name: self._open(each, item) if name in self.files else each for name, each in chosen.items()}

    def _select(self, item: Item) -> dict[str, Any]:
        assert self.fields is not None
        chosen = dict(self.constants)
        for name, source in self.fields.items():
            if not isinstance(item.value, Mapping) or source not in item.value:
                raise InvalidItems(
                    f"{item.place} has no field {source!r}, which fields maps to the input {name!r}."
                )
            chosen[name] = item.value[source]
        return chosen

    def _by_name(self, item: Item, values: list[Any], parameters: Sequence[str | None]) -> dict[str, Any]:
        names = [name for name in parameters if name is not None and name not in self.constants]
        if len(values) > len(names):
            raise InvalidItems(
                f"{item.place} has {len(values)} values for {len(names)} inputs without a constant. Write "
                f"items as mappings of names to values."
            )
        return dict(zip(names, values, strict=False))

    def _open(self, value: Any, item: Item) -> Any:
        assert self.open_file is not None
        if isinstance(value, list):
            return [self._open(each, item) for each in value]
        if not isinstance(value, str):
            return value
        try:
            return self.open_file(value)
        except ValueError as error:
            raise InvalidItems(f"{item.place}: {error}") from None
