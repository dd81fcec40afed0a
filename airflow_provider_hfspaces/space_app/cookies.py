"""AppCookies: the cookies of the app of one Space, which both transports share."""

from __future__ import annotations

from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie

__all__ = ["AppCookies"]

_MOST_COOKIES = 50


class AppCookies:
    """Stores the cookies of the app and of the Hub's proxy, such as a login or the replica of a visitor.

    Domains and paths of cookies are ignored, because all requests go to one host.

    :param secure: whether requests are encrypted. Only then are ``Secure`` cookies stored and sent.
    """

    def __init__(self, *, secure: bool) -> None:
        self._secure = secure
        self._values: dict[str, str] = {}

    def learn(self, headers: Iterable[str]) -> None:
        """Store the cookies in the ``Set-Cookie`` headers of an answer."""
        for header in headers:
            try:
                parsed = SimpleCookie(header)
            except CookieError:
                continue
            for name, morsel in parsed.items():
                is_over = morsel["max-age"] in ("0", 0) or str(morsel["max-age"]).startswith("-")
                if is_over or not morsel.value:
                    self._values.pop(name, None)
                elif (self._secure or not morsel["secure"]) and len(self._values) < _MOST_COOKIES:
                    self._values[name] = morsel.coded_value

    def forget(self) -> None:
        """Delete all cookies."""
        self._values.clear()

    @property
    def header(self) -> str | None:
        """The ``Cookie`` header; ``None`` without cookies."""
        return "; ".join(f"{name}={value}" for name, value in self._values.items()) or None
