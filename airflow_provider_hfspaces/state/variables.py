"""Names of the Airflow Variables in which this package keeps state.

Come here to add a kind of Variable. Every Variable is looked up in the configured secrets backend first, and
some backends (Azure Key Vault) reject names with characters other than letters, digits, "-" and "_", or
longer than about 110 characters.
"""

from __future__ import annotations

import re
from hashlib import sha256

__all__ = ["old_variable_name", "unique_variable_name", "variable_name"]

_MAX_CHARACTERS = 100
_OLD_MAX_CHARACTERS = 250
_DIGEST_CHARACTERS = 16


def variable_name(kind: str, name: str) -> str:
    """Return a readable name: the kind and the name, unchanged where every secrets backend accepts it.

    >>> variable_name("hf_spaces_fleet", "nightly")
    'hf_spaces_fleet-nightly'

    :param kind: the prefix that says what the Variable holds.
    :param name: what the user calls it. A name that has to be changed or shortened gets a digest, so that
        two names never share a Variable.
    """
    full = f"{kind}-{name}"
    return (
        full if full == _readable(full) and len(full) <= _MAX_CHARACTERS else unique_variable_name(kind, name)
    )


def unique_variable_name(kind: str, *parts: str) -> str:
    """Return a name that no other parts share: readable text, and a digest of the exact parts.

    :param kind: the prefix that says what the Variable holds.
    :param parts: what tells this Variable from others of its kind, such as a DAG, a run and a task.
    """
    digest = sha256("\0".join((kind, *parts)).encode()).hexdigest()[:_DIGEST_CHARACTERS]
    text = _readable("-".join((kind, *parts)))[: _MAX_CHARACTERS - _DIGEST_CHARACTERS - 1].rstrip("-")
    return f"{text}-{digest}"


def old_variable_name(name: str) -> str:
    """Return the name under which version 0.1 kept a Variable, shortened as that version shortened it."""
    if len(name) <= _OLD_MAX_CHARACTERS:
        return name
    digest = sha256(name.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{name[: _OLD_MAX_CHARACTERS - _DIGEST_CHARACTERS - 1]}:{digest}"


def _readable(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text)
