"""The card of a repository: the YAML front matter of its README, by which the Hub configures a Space."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from airflow_provider_hfspaces.hub.choices import SDKS

__all__ = ["README", "SDKS", "Card", "app_file", "card_of", "obstacle", "read_card"]

README = "README.md"

_FRONT_MATTER = re.compile(r"\ufeff?\s*---[ \t]*\r?\n(?P<yaml>.*?)(?:^|\r?\n)---[ \t]*(?:\r?\n|$)", re.DOTALL)
_VERSION = re.compile(r"\d+(\.\d+)*([abc]|rc|\.post|\.dev)?\d*")
_COLORS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
_USUAL_APP_FILE = {"gradio": "app.py", "docker": "Dockerfile", "static": "index.html"}
_MAX_PORT = 65535


@dataclass(frozen=True)
class Card:
    """The front matter of a README.

    :ivar data: the values; empty if the front matter cannot be read.
    :ivar errors: the reasons for which the Hub rejects the card; empty for a valid card.
    :ivar warnings: the Hub's advice.
    """

    data: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def card_of(files: Mapping[str, bytes]) -> Card:
    """The card of a Space with these files."""
    content = files.get(README)
    if content is None:
        return Card(errors=(f"Missing configuration in README: the Space has no {README}",))
    return read_card(content.decode(errors="replace"))


@lru_cache(maxsize=1024)
def read_card(text: str, repo_type: str = "space", *, strict: bool = True) -> Card:
    """The card in the text of a README.

    :param repo_type: ``space``, whose card must configure the Space, or ``dataset`` or ``model``, for which
        only the syntax counts.
    :param strict: whether a Space's README must have front matter, as for a build. Without it, a README may
        still be uploaded.
    """
    import yaml  # here, because most emulators never read a card

    match = _FRONT_MATTER.match(text)
    if match is None:
        if repo_type == "space" and strict:
            return Card(errors=("Missing configuration in README",))
        return Card(warnings=("empty or missing yaml metadata in repo card",))
    try:
        data = yaml.safe_load(match["yaml"])
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f" (line {mark.line + 2}, column {mark.column + 1})" if mark else ""
        reason = getattr(problem, "problem", None) or "invalid YAML"
        return Card(errors=(f"YAML metadata error: {reason}{where}",))
    except (ValueError, OverflowError, RecursionError) as problem:
        return Card(errors=(f"YAML metadata error: {problem}",))
    if not isinstance(data, dict):
        return Card(errors=("The YAML metadata must be an object",))
    plain = _plain(data)
    if repo_type != "space":
        index = plain.get("model-index", [])
        return Card(plain, () if isinstance(index, list) else ('"model-index" must be an array',))
    return Card(plain, tuple(_space_errors(plain)))


def app_file(data: Mapping[str, Any]) -> str:
    """The name of the file that a Space with this card needs to have an app."""
    sdk = data.get("sdk", SDKS[0])
    if sdk != "docker" and isinstance(data.get("app_file"), str):
        return str(data["app_file"])
    return _USUAL_APP_FILE[sdk]


def obstacle(files: Mapping[str, bytes]) -> tuple[str, str | None] | None:
    """The reason for which a Space with these files cannot be built.

    :return: the event in the state machine and the error message; ``None`` if the Space can be built.
    """
    card = card_of(files)
    if card.errors:
        return "invalid card", f"ConfigError: {card.errors[0]}"
    return None if app_file(card.data) in files else ("no app file", None)


def _space_errors(data: Mapping[str, Any]) -> list[str]:
    errors = []
    sdk = data.get("sdk")
    if sdk is None:
        errors.append('"sdk" is required')
    elif sdk not in SDKS:
        errors.append(f'"sdk" must be one of [{", ".join(SDKS)}]')
    errors.extend(
        f'"{name}" must be a string'
        for name in ("title", "app_file", "emoji")
        if data.get(name) is not None and not isinstance(data[name], str)
    )
    errors.extend(
        f'"{name}" must be one of [{", ".join(_COLORS)}]'
        for name in ("colorFrom", "colorTo")
        if data.get(name) is not None and data[name] not in _COLORS
    )
    errors.extend(
        f'"{name}" must be a version, such as "5.49.1"'
        for name in ("sdk_version", "python_version")
        if data.get(name) is not None and not _VERSION.fullmatch(str(data[name]))
    )
    port = data.get("app_port")
    if port is not None and (
        isinstance(port, bool) or not isinstance(port, int) or not 0 < port <= _MAX_PORT
    ):
        errors.append('"app_port" must be a valid port')
    errors.extend(
        f'"{name}" must be an array of strings'
        for name in ("models", "datasets", "tags")
        if data.get(name) is not None
        and not (isinstance(data[name], list) and all(isinstance(each, str) for each in data[name]))
    )
    return errors


def _plain(value: Any) -> Any:
    """YAML values as JSON: dates become text, keys become strings."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
