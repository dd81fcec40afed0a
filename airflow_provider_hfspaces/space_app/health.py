"""AppHealth, and the probe: one request to the app that shows whether it works, without retries."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.space_app.core import AppCore, Deadline
from airflow_provider_hfspaces.space_app.errors import SpaceAppError
from airflow_provider_hfspaces.space_app.health_check import HealthCheck

__all__ = ["AppHealth", "probe"]


@dataclass(frozen=True)
class AppHealth:
    """The result of one health check. It is truthy if the app answered as expected.

    ::

        if not app.health("/health", expect={"json": {"model": "ready"}}):
            ...

    :ivar is_healthy: whether the app answered as expected.
    :ivar status: HTTP status; ``None`` without an answer.
    :ivar reason: why the app is not healthy, as a sentence; empty for a healthy app.
    :ivar cause: what was wrong with the answer, in a few words; empty for a healthy app.
    """

    is_healthy: bool
    status: int | None = None
    reason: str = ""
    cause: str = ""

    def __bool__(self) -> bool:
        return self.is_healthy


def probe(core: AppCore, check: HealthCheck, deadline: Deadline) -> Steps[AppHealth]:
    """The steps of one health check. Errors of the app become an unhealthy result."""
    api = str(check)
    exchange = core.exchange(core.request("GET", check.path), deadline)
    try:
        yield from core.fetch(api, exchange, deadline)
    except SpaceAppError as error:
        return AppHealth(False, error.status, error.message, (error.cause or error.message).rstrip("."))
    difference = check.judge(exchange.status, exchange.content)
    if difference is None:
        return AppHealth(True, exchange.status)
    if exchange.status >= 400 and check.status is None:
        reason = core.words.refusal(api, exchange, work=False).message
    else:
        reason = f"Space {core.repo_id} answered {api} with {core.words.brief(difference)}."
    return AppHealth(False, exchange.status, reason, core.words.brief(difference))
