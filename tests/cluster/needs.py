"""What the tests of a cluster need of the host: ``python tests/cluster/needs.py`` says what is missing.

Imports nothing but Python, so that it can say so before anything is installed.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

__all__ = ["missing", "program", "said"]

_PROGRAMS = {"postgresql": ("initdb", "postgres"), "redis-server": ("redis-server",)}


def program(name: str) -> str | None:
    """Where a server's program is; Debian keeps those of PostgreSQL out of the PATH."""
    own = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, own)))


def missing() -> list[str]:
    """Debian's packages of which a program is not there."""
    return [package for package, names in _PROGRAMS.items() if not all(map(program, names))]


def said() -> str:
    """One sentence for people; empty if all is there."""
    packages = missing()
    if not packages:
        return ""
    return (
        f"The tests of a cluster start servers of their own, whose programs are not on this host: install "
        f"Debian's {' and '.join(packages)}, or their like. No service of theirs has to run."
    )


if __name__ == "__main__":
    sys.exit(said() or 0)
