"""Mask tokens and secrets in every text that a person or a log may see.

Use :func:`scrub` on text from outside before you shorten, show or log it. For one line of a message, use
:func:`brief`.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from airflow_provider_hfspaces.hub.text import printable

__all__ = ["MASK", "brief", "mask_tokens", "scrub", "written_forms"]

MASK = "***"

_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])"
    r"(?:(?P<kind>hf_oauth_|hf_jwt_)[\w.\-]{6,}"
    # A lower-case word such as hf_transfer is a token only if 16 letters or more follow the prefix.
    r"|(?P<prefix>hf_|api_org_)(?:(?=[A-Za-z]*[A-Z0-9])[A-Za-z0-9]{6,}|[a-z]{16,}))"
)


def mask_tokens(text: str) -> str:
    """Mask everything in ``text`` that has the form of a Hugging Face token."""
    return _TOKEN.sub(lambda match: (match["kind"] or match["prefix"]) + MASK, text)


def scrub(text: str, secrets: Iterable[str | None] = ()) -> str:
    """Mask all tokens in ``text``, and the given secrets in every form of :func:`written_forms`.

    :param secrets: values to mask; ``None`` and empty values are ignored.
    """
    forms = {form for secret in secrets if secret for form in written_forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    return mask_tokens(text)


def brief(text: str, secrets: Iterable[str | None] = (), *, longest: int) -> str:
    """Return text from outside in a form for one line of a message: scrubbed, printable, then shortened.

    :param longest: characters to keep at most.
    """
    return scrub(" ".join(printable(scrub(text, secrets)).split()), secrets)[:longest]


def written_forms(secret: str) -> set[str]:
    """Return the forms in which a text may contain a secret: plain, JSON, HTML, repr and URL."""
    plain = {secret, " ".join(secret.split())}
    escaped = {
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }
    escaped |= {form.replace("/", "\\/") for form in escaped}
    escaped |= {_upper_escapes(form, r"\\u[0-9a-f]{4}") for form in escaped}
    in_html = {html.escape(secret), html.escape(secret, quote=False)}
    in_html |= {form.replace("&#x27;", "&#39;") for form in in_html}
    in_url = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    in_url |= {re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), form) for form in in_url}
    return {form for form in plain | escaped | in_html | in_url if form}


def _upper_escapes(text: str, pattern: str) -> str:
    return re.sub(pattern, lambda match: match[0][:2] + match[0][2:].upper(), text)
