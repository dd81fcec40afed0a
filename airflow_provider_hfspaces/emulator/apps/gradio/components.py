"""The components of a miniature Gradio, and the annotations of Python functions that stand for them."""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

__all__ = ["Component", "Gallery", "State", "component_of", "outputs_of"]


class State(dict[str, Any]):
    """A parameter or a result that a session keeps between its calls, as ``gr.State`` does."""


class Gallery(list[Any]):
    """A list of images with captions, as ``gr.Gallery`` shows it: ``[(path, "a cat"), …]``."""


@dataclass(frozen=True)
class Component:
    """A component, such as a textbox.

    :ivar kind: type of the component in ``/config``, such as ``textbox``.
    :ivar schema: JSON schema of the value.
    :ivar python: Python type of the value, as ``/info`` shows it.
    :ivar example: example of a value.
    :ivar props: further properties in ``/config``.
    """

    kind: str
    schema: dict[str, Any]
    python: str
    example: Any = None
    description: str = ""
    props: dict[str, Any] = field(default_factory=dict)

    @property
    def is_state(self) -> bool:
        """Whether the session keeps the value, which callers neither send nor receive."""
        return self.kind == "state"

    @property
    def has_files(self) -> bool:
        """Whether the value contains files."""
        return self.kind in ("file", "gallery")


_OPTIONAL_TEXT = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
_META = {
    "properties": {"_type": {"const": "gradio.FileData", "title": "Type", "type": "string"}},
    "required": ["_type"],
    "title": "FileDataMeta",
    "type": "object",
}
_FILE = {
    "properties": {
        "path": {"title": "Path", "type": "string"},
        "url": {**_OPTIONAL_TEXT, "title": "Url"},
        "size": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "title": "Size"},
        "orig_name": {**_OPTIONAL_TEXT, "title": "Orig Name"},
        "mime_type": {**_OPTIONAL_TEXT, "title": "Mime Type"},
        "is_stream": {"default": False, "title": "Is Stream", "type": "boolean"},
        "meta": {"$ref": "#/$defs/FileDataMeta"},
    },
    "required": ["path"],
    "title": "FileData",
    "type": "object",
}
_FILES = {
    "$defs": {"FileData": _FILE, "FileDataMeta": _META},
    "items": {"$ref": "#/$defs/FileData"},
    "title": "ListFiles",
    "type": "array",
}
_IMAGES = {
    "$defs": {
        "FileData": _FILE,
        "FileDataMeta": _META,
        "GalleryImage": {
            "properties": {
                "image": {"$ref": "#/$defs/FileData"},
                "caption": {**_OPTIONAL_TEXT, "title": "Caption"},
            },
            "required": ["image"],
            "title": "GalleryImage",
            "type": "object",
        },
    },
    "items": {"$ref": "#/$defs/GalleryImage"},
    "title": "GalleryData",
    "type": "array",
}

TEXT = Component("textbox", {"type": "string"}, "str", "Hello!!")
NUMBER = Component("number", {"type": "number"}, "float", 3)
CHECKBOX = Component("checkbox", {"type": "boolean"}, "bool", True)
JSON = Component(
    "json",
    {"type": {}, "description": "any valid json"},
    "str | float | bool | list | dict",
    {"foo": "bar"},
    "any valid json",
)
STATE = Component("state", {}, "Any")
FILE = Component(
    "file", {"$defs": {"FileDataMeta": _META}, **_FILE}, "filepath", props={"file_count": "single"}
)
FILES = Component("file", _FILES, "list[filepath]", props={"file_count": "multiple"})
GALLERY = Component("gallery", _IMAGES, "list[dict(image: filepath, caption: str | None)]")

_BY_TYPE = {
    str: TEXT,
    int: NUMBER,
    float: NUMBER,
    bool: CHECKBOX,
    Path: FILE,
    State: STATE,
    Gallery: GALLERY,
}


def component_of(annotation: Any) -> Component:
    """The component for a parameter or a result of this type; JSON for all types without a component."""
    if get_origin(annotation) in (Union, types.UnionType):
        alternatives = [each for each in get_args(annotation) if each is not type(None)]
        return component_of(alternatives[0]) if len(alternatives) == 1 else JSON
    if get_origin(annotation) is list and get_args(annotation) == (Path,):
        return FILES
    if get_origin(annotation) is Literal:
        choices = list(get_args(annotation))
        python = f"Literal[{', '.join(map(repr, choices))}]"
        return Component("dropdown", {"enum": choices, "type": "string"}, python, choices[0])
    try:
        return _BY_TYPE.get(annotation, JSON)
    except TypeError:
        return JSON


def outputs_of(annotation: Any) -> tuple[Component, ...]:
    """The components of a function's results, by its return annotation."""
    origin = get_origin(annotation)
    if origin in (AsyncIterator, Iterator) or getattr(origin, "__name__", "").endswith("Generator"):
        return outputs_of(get_args(annotation)[0])
    if annotation is None or annotation is type(None):
        return ()
    if origin is tuple:
        return tuple(component_of(each) for each in get_args(annotation))
    return (component_of(annotation),)
