"""What the Hub accepts as the value of an argument. The module imports nothing."""

from __future__ import annotations

__all__ = ["FLAVOR_PATTERN", "LARGEST_NUMBER", "SDKS", "VISIBILITIES"]

SDKS = ("gradio", "docker", "static")
"""The SDKs that a new Space can have."""

VISIBILITIES = ("private", "public", "protected")
"""Who can see a Space."""

FLAVOR_PATTERN = r"[a-z0-9]+(-[a-z0-9]+)*"
"""What the name of a hardware flavor looks like, such as ``t4-small``."""

LARGEST_NUMBER = 2**53 - 1
"""The largest whole number that JSON keeps exactly in every language, and that the Hub accepts."""
