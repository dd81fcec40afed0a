"""Files that look like secrets, which must not reach a repository by accident."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.operators.deploy.source import Source, matches_patterns

__all__ = ["refuse_credentials"]

_NAMES = (
    ".env",
    ".env.*",
    "!.env.example",
    "!.env.sample",
    "!.env.template",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.ppk",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    ".netrc",
    "_netrc",
    ".pypirc",
    ".git-credentials",
    ".htpasswd",
    ".aws/credentials",
    ".kube/config",
    ".docker/config.json",
    "credentials.json",
    "client_secret*.json",
    "service_account*.json",
    "service-account*.json",
    "secrets.toml",
)
"""Names of files that hold secrets, as patterns of ``.gitignore``."""

_CONTENTS = {
    "a Hugging Face token": re.compile(rb"\b(?:hf|api_org)_([A-Za-z0-9]{30,})\b"),
    "a private key": re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "an AWS access key": re.compile(rb"\b(?:AKIA|ASIA)([0-9A-Z]{16})\b"),
    "a GitHub token": re.compile(rb"\b(?:gh[pousr]|github_pat)_([A-Za-z0-9_]{36,})\b"),
    "an OpenAI key": re.compile(rb"\bsk-(?:proj-)?([A-Za-z0-9_-]{40,})\b"),
    "a Slack token": re.compile(rb"\bxox[abprs]-([A-Za-z0-9-]{20,})\b"),
}
"""What the text of a file may hold."""

_LARGEST_TEXT_BYTES = 4 * 1024 * 1024
_BINARY_SAMPLE_BYTES = 8192
_FEWEST_CHARACTERS = 8
"""Different characters of a real token; ``hf_xxxxxxxx…`` stands for one."""

_MOST_NAMED = 5


def refuse_credentials(source: Source, allowed: Iterable[str]) -> None:
    """Refuse to ship files that look like secrets.

    :param allowed: patterns, in the form of ``.gitignore``, of files that are shipped nevertheless.
    :raises InvalidInput: naming the files and the reasons, without their content.
    """
    allowed = list(allowed)
    reasons = {
        file.path: reason
        for file in source.files.values()
        if not matches_patterns(allowed, file.path)
        if (reason := _reason(file.path, file.local, file.size))
    }
    if not reasons:
        return
    named = [f"{path} ({reason})" for path, reason in list(reasons.items())[:_MOST_NAMED]]
    more = f" and {len(reasons) - _MOST_NAMED} more" if len(reasons) > _MOST_NAMED else ""
    raise InvalidInput(
        f"source {source.name!r} has files that look like secrets: {', '.join(named)}{more}. Nothing was "
        f"sent. Remove them or add them to ignore, and pass secrets with the argument secrets. If a file "
        f"holds no secret, name it in allow_secrets."
    )


def _reason(path: str, local: Path, size: int) -> str | None:
    """Why a file looks like a secret, ``None`` if it does not."""
    if matches_patterns(_NAMES, path):
        return "by its name"
    if size > _LARGEST_TEXT_BYTES:
        return None
    content = local.read_bytes()
    if b"\0" in content[:_BINARY_SAMPLE_BYTES]:
        return None
    for reason, pattern in _CONTENTS.items():
        for match in pattern.finditer(content):
            if not match.groups() or len(set(match[1])) >= _FEWEST_CHARACTERS:
                return f"holds {reason}"
    return None
