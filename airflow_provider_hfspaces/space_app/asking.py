"""AppAsking: validates the arguments of ``SpaceApp``'s methods, and returns the steps of each method.

Come here to change a default or a check of a method for threads and its counterpart for coroutines at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.hub.errors import InvalidInput
from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.hub.seconds import checked_seconds
from airflow_provider_hfspaces.space_app.core import AppCore, Deadline
from airflow_provider_hfspaces.space_app.downloading import download
from airflow_provider_hfspaces.space_app.errors import AppTimeout, AppUnavailable
from airflow_provider_hfspaces.space_app.gradio.call import AppCall
from airflow_provider_hfspaces.space_app.gradio.describing import describe
from airflow_provider_hfspaces.space_app.gradio.description import AppDescription
from airflow_provider_hfspaces.space_app.gradio.inputs import bind, find_endpoint
from airflow_provider_hfspaces.space_app.gradio.uploading import upload
from airflow_provider_hfspaces.space_app.health import AppHealth, probe
from airflow_provider_hfspaces.space_app.health_check import HealthCheck
from airflow_provider_hfspaces.space_app.listener import AppListener
from airflow_provider_hfspaces.space_app.plain import AppResponse, Poll, request_steps
from airflow_provider_hfspaces.space_app.plain_checks import checked_request

__all__ = ["ANSWERS", "AppAsking", "checked_api"]

ANSWERS = ("json", "text", "bytes", "any")
"""The valid values of ``answer`` for plain requests."""


class AppAsking:
    """Returns the steps of each method of ``SpaceApp``, with validated arguments."""

    def __init__(self, core: AppCore) -> None:
        self._core = core

    def call(
        self,
        api: str | int,
        inputs: Mapping[str, Any] | Sequence[Any] | None,
        timeout: float,
        listener: AppListener | None,
        recover: Callable[[AppUnavailable], Any] | None,
        patience: float,
        *,
        allow_unlisted: bool,
    ) -> AppCall:
        return AppCall(
            core=self._core,
            api=checked_api(api),
            inputs=inputs,
            deadline=self._deadline(timeout),
            listener=listener or AppListener(),
            allow_unlisted=allow_unlisted or isinstance(api, int),
            patience=checked_seconds(patience, "patience", zero=True),
            recover=recover,
        )

    def request(
        self,
        method: str,
        path: str,
        json: Any,
        content: bytes | str | None,
        headers: Mapping[str, str] | None,
        query: Mapping[str, Any] | None,
        timeout: float,
        answer: str,
        poll: Any,
    ) -> Steps[AppResponse]:
        if answer not in ANSWERS:
            raise InvalidInput(f"answer must be one of {', '.join(ANSWERS)}; got {answer!r:.50}.")
        follow = Poll.from_value(poll)
        request = checked_request(
            self._core, method, path, json_body=json, content=content, headers=headers, query=query
        )
        return request_steps(self._core, request, path, self._deadline(timeout), answer=answer, poll=follow)

    def describe(self, timeout: float) -> Steps[AppDescription]:
        return describe(self._core, self._deadline(timeout))

    def check(
        self,
        api: str | int,
        inputs: Mapping[str, Any] | Sequence[Any] | None,
        allow_unlisted: bool,
        timeout: float,
    ) -> Steps[None]:
        name = checked_api(api)
        description = yield from describe(self._core, self._deadline(timeout))
        allowed = allow_unlisted or isinstance(api, int)
        endpoint = find_endpoint(description, self._core.repo_id, name, allow_unlisted=allowed)
        bind(endpoint, self._core.repo_id, inputs)

    def health(self, path: str | HealthCheck, expect: Any, timeout: float) -> Steps[AppHealth]:
        check = path if isinstance(path, HealthCheck) else HealthCheck.from_expected(path, expect)
        return probe(self._core, check, self._deadline(timeout))

    def upload(self, sources: Sequence[Any], timeout: float) -> Steps[list[dict[str, Any]]]:
        deadline = self._deadline(timeout)
        description = yield from describe(self._core, deadline)
        files, _ = yield from upload(self._core, description, sources, deadline)
        return files

    def download(
        self, file: Mapping[str, Any] | str, target: Any, replica: str | None, timeout: float
    ) -> Steps[int]:
        deadline = self._deadline(timeout)
        description = yield from describe(self._core, deadline)
        return (
            yield from download(
                self._core,
                file,
                target,
                deadline,
                prefix=description.prefix,
                replica=replica,
                max_bytes=self._core.limits.download_bytes,
            )
        )

    def no_turn(self, call: AppCall, connections: int) -> AppTimeout:
        """Return the error for a call whose deadline passed before a connection was free.

        :param connections: the limit on calls in flight.
        """
        error = self._core.words.timeout(str(call.api), call.deadline.seconds, may_have_run=False)
        error.message = (
            f"Space {self._core.repo_id} was not called within {call.deadline.seconds:g} seconds, because "
            f"{connections} other calls are in flight. Nothing ran. Raise timeout or connections."
        )
        error.args = (error.message,)
        return error

    def _deadline(self, timeout: float) -> Deadline:
        return Deadline(checked_seconds(timeout, "timeout"), self._core.clock)


def checked_api(api: str | int) -> str | int:
    """Return the name of an endpoint, without surrounding spaces, or its number.

    :raises InvalidInput: for anything else, including an empty name.
    """
    is_number = isinstance(api, int) and not isinstance(api, bool) and api >= 0
    if not is_number and (not isinstance(api, str) or not api.strip("/ ")):
        raise InvalidInput(f"api must be the name of an endpoint, such as '/predict'; got {api!r:.100}.")
    return api.strip() if isinstance(api, str) else api
