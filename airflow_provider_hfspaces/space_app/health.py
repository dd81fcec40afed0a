"""Whether the app answers: one request, without retries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_hfspaces.hub.errors import InvalidInput
from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.space_app.core import AppCore, Deadline
from airflow_provider_hfspaces.space_app.errors import SpaceAppError
from airflow_provider_hfspaces.space_app.http.exchange import BodyExchange

__all__ = ["AppHealth", "checked_expectation", "probe"]

_LONGEST_TEXT = 300


@dataclass(frozen=True)
class AppHealth:
    """What one probe of an app has shown. True in a condition if the app answered as expected.

    :ivar is_healthy: whether the app answered as expected.
    :ivar status: HTTP status; ``None`` without an answer.
    :ivar reason: why the app is not healthy; empty if it is.
    """

    is_healthy: bool
    status: int | None = None
    reason: str = ""

    def __bool__(self) -> bool:
        return self.is_healthy


def checked_expectation(expect: Any) -> Any:
    """Return an expectation of a probe.

    :param expect: ``None`` for any status from 200 to 299, a status, a text that the answer has to contain,
        or a mapping or list that the JSON of the answer has to contain.
    :raises InvalidInput: for anything else.
    """
    if isinstance(expect, bool) or not isinstance(expect, (int, str, Mapping, list, type(None))):
        raise InvalidInput(
            f"expect must be a status such as 200, a text, or JSON that the answer contains; got "
            f"{expect!r:.100}."
        )
    if isinstance(expect, int) and not 100 <= expect <= 599:
        raise InvalidInput(f"expect must be a status from 100 to 599; got {expect!r}.")
    return expect


def probe(core: AppCore, path: str, deadline: Deadline, expect: Any) -> Steps[AppHealth]:
    """The steps of one probe.

    :param expect: see :func:`checked_expectation`.
    """
    api = f"GET {path}"
    exchange = core.exchange(core.request("GET", path), deadline)
    try:
        yield from core.fetch(api, exchange, deadline)
    except SpaceAppError as error:
        return AppHealth(False, error.status, error.message)
    problem = _problem(exchange, expect)
    if not problem:
        return AppHealth(True, exchange.status)
    if exchange.status >= 400 and not isinstance(expect, int):
        problem = core.words.refusal(api, exchange, work=False).message
    else:
        problem = f"Space {core.repo_id} answered {api} with {problem}."
    return AppHealth(False, exchange.status, problem)


def _problem(exchange: BodyExchange, expect: Any) -> str:
    if isinstance(expect, int):
        return "" if exchange.status == expect else f"{exchange.status} instead of {expect}"
    if not 200 <= exchange.status < 300:
        return str(exchange.status)
    if isinstance(expect, str):
        return "" if expect in exchange.text else f"a text without {expect!r:.{_LONGEST_TEXT}}"
    if expect is None:
        return ""
    try:
        answer = exchange.json
    except ValueError:
        return "something that is not JSON"
    return "" if _contains(answer, expect) else f"JSON without {expect!r:.{_LONGEST_TEXT}}"


def _contains(answer: Any, expected: Any) -> bool:
    """Whether JSON contains other JSON: every expected key of a mapping, every expected value of a list."""
    if isinstance(expected, Mapping):
        return isinstance(answer, Mapping) and all(
            key in answer and _contains(answer[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return isinstance(answer, list) and all(
            any(_contains(each, value) for each in answer) for value in expected
        )
    return bool(answer == expected)
