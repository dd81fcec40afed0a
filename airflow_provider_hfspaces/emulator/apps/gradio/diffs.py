"""The edits between two values, which Gradio sends in place of whole values while a generator runs."""

from __future__ import annotations

from typing import Any

__all__ = ["changes"]


def changes(before: Any, after: Any, path: tuple[str | int, ...] = ()) -> list[list[Any]]:
    """The edits that turn one JSON value into another: ``[action, path, value]``.

    >>> changes("ab", "abc")
    [['append', [], 'c']]
    >>> changes({"items": [1], "last": 1}, {"items": [1, 2], "last": 2})
    [['add', ['items', 1], 2], ['replace', ['last'], 2]]
    """
    if before == after and type(before) is type(after):
        return []
    if isinstance(before, str) and isinstance(after, str) and after.startswith(before):
        return [["append", list(path), after[len(before) :]]]
    if isinstance(before, list) and isinstance(after, list):
        return _of_lists(before, after, path)
    if isinstance(before, dict) and isinstance(after, dict):
        return _of_dicts(before, after, path)
    return [["replace", list(path), after]]


def _of_lists(before: list[Any], after: list[Any], path: tuple[str | int, ...]) -> list[list[Any]]:
    edits = []
    for place in range(min(len(before), len(after))):
        edits += changes(before[place], after[place], (*path, place))
    for place in range(len(before), len(after)):
        edits.append(["add", [*path, place], after[place]])
    for place in reversed(range(len(after), len(before))):
        edits.append(["delete", [*path, place], None])
    return edits


def _of_dicts(before: dict[str, Any], after: dict[str, Any], path: tuple[str | int, ...]) -> list[list[Any]]:
    edits = []
    for key, value in before.items():
        if key in after:
            edits += changes(value, after[key], (*path, key))
        else:
            edits.append(["delete", [*path, key], None])
    edits += [["add", [*path, key], value] for key, value in after.items() if key not in before]
    return edits
