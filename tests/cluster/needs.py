"""Check that the programs for the cluster tests are installed: ``python tests/cluster/needs.py``.

Imports only the standard library, so that it works before anything is installed.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

__all__ = ["message", "missing", "program"]

_PROGRAMS = {"postgresql": ("initdb", "postgres"), "redis-server": ("redis-server",)}


def program(name: str) -> str | None:
    """The path of a server's program, also outside the PATH, where Debian installs PostgreSQL."""
    own = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, own)))


def missing() -> list[str]:
    """The Debian packages with programs that are not installed."""
    return [package for package, names in _PROGRAMS.items() if not all(map(program, names))]


def message() -> str:
    """A message that names the missing packages; empty if nothing is missing."""
    packages = missing()
    if not packages:
        return ""
    return (
        f"The cluster tests need programs that are not installed on this host. Install "
        f"{' and '.join(packages)} (Debian's package names). Their services do not have to run."
    )


if __name__ == "__main__":
    sys.exit(message() or 0)
