"""SpaceApp: the client of the app inside one Space."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.hub.closing import Closing
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.space_app.base import (
    CALL_SECONDS,
    CANCEL_SECONDS,
    DOWNLOAD_SECONDS,
    PATIENCE_SECONDS,
    PROBE_SECONDS,
    REQUEST_SECONDS,
)
from airflow_provider_hfspaces.space_app.core import Deadline
from airflow_provider_hfspaces.space_app.errors import AppUnavailable, SpaceAppError
from airflow_provider_hfspaces.space_app.gradio.call import cancel
from airflow_provider_hfspaces.space_app.gradio.description import AppDescription
from airflow_provider_hfspaces.space_app.handover import AppHandover
from airflow_provider_hfspaces.space_app.health import AppHealth
from airflow_provider_hfspaces.space_app.health_check import HealthCheck
from airflow_provider_hfspaces.space_app.listener import AcceptedCall, AppListener
from airflow_provider_hfspaces.space_app.plain import AppResponse, Poll
from airflow_provider_hfspaces.space_app.result import AppResult

__all__ = ["SpaceApp"]


class SpaceApp(AppHandover, Closing):
    """Calls the app inside one Space: a Gradio app by the name of its endpoint, any other app by a path.

    .. code-block:: python

        from airflow_provider_hfspaces.space_app import SpaceApp

        with SpaceApp("acme/whisper", "https://acme-whisper.hf.space", token) as app:
            text = app.call("/transcribe", {"audio": Path("talk.mp3")}, timeout=600).value

    Every method has a counterpart for coroutines with an ``a`` before its name: ``await app.acall(…)``. One
    client serves many calls at once, from many threads or from the coroutines of one event loop, over one
    pool of connections. Close it, or use it as a context manager.

    Inputs are compared with what the app declares before anything is sent. A call that was not accepted,
    because the queue is full or the app does not answer, is sent again within its timeout. A call that was
    accepted is never sent again: the app may have worked on it, and :class:`AppCallLost` says so. A call that
    ends early, by its timeout or an exception, is cancelled in the app.

    The token goes to this host only, in a header that the Hub's proxy removes, so that the app's code never
    sees it.

    :param repo_id: the Space, as ``owner/name``.
    :param host: the address of its app, as the Hub names it in ``host`` of the Space's information. Plain
        ``http`` is accepted for loopback addresses only.
    :param token: a User Access Token with read access; ``None`` for public Spaces.
    :param root: path under which the app mounts Gradio; by default its root.
    :param auth: user name and password of the app's own login.
    :param bearer: a token of the app's own, sent as ``Authorization: Bearer``, for apps that require one.
    :param replicas: number of the Space's replicas. With more than one, the requests of a call go to one
        replica.
    :param connections: number of calls in flight at most, each with one connection; by default 100. Further
        calls wait for their turn, within their timeout.
    :param limits: how large and how silent answers may be.
    :param user_agent: sent with each request.
    :param clock: seconds, counted against timeouts.
    :param sleep: waits for a number of seconds in a thread. An exception from it ends the call.
    :param async_sleep: waits for a number of seconds on an event loop.
    :raises InvalidInput: for a host, token or number that is not valid.
    """

    def call(
        self,
        api: str | int,
        inputs: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        timeout: float = CALL_SECONDS,
        listener: AppListener | None = None,
        recover: Callable[[AppUnavailable], Any] | None = None,
        patience: float = PATIENCE_SECONDS,
        allow_unlisted: bool = False,
    ) -> AppResult:
        """Call an endpoint of a Gradio app and return its answer.

        :param api: name of the endpoint, such as ``/predict``; the number of a function without a name.
        :param inputs: by name or by position. Inputs that are left out take the app's defaults. A path-like
            object is uploaded; for a file, a text that begins with ``https://`` is an address that the app
            downloads.
        :param timeout: seconds that the call may take in all, with waiting; by default 3,600.
        :param listener: hears of queue, progress and messages.
        :param recover: called with the error when the app does not answer, before the call is sent again. It
            returns when the app should answer, for example after waking the Space, or raises to end the call.
            For
            :meth:`acall` it may be a coroutine function.
        :param patience: seconds for which a call to an app that does not answer is sent again; by default 30.
            They begin anew when ``recover`` had to wait for the Space.
        :param allow_unlisted: whether ``api`` may be an endpoint that the app does not document.
        :raises InvalidAppInput: if the call does not fit what the app declares. Nothing was sent.
        :raises SpaceAppError: a subclass for each cause; see
            :mod:`~airflow_provider_hfspaces.space_app.errors`.
        """
        call = self._asking.call(
            api, inputs, timeout, listener, recover, patience, allow_unlisted=allow_unlisted
        )
        with self._turn(call):
            try:
                return self._run(call.steps())
            except BaseException:
                if call.accepted is not None:
                    with contextlib.suppress(SpaceAppError):
                        self.cancel(call.accepted)
                raise

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        timeout: float = REQUEST_SECONDS,
        answer: str = "json",
        poll: Poll | Mapping[str, Any] | float | bool | None = None,
    ) -> AppResponse:
        """Send a plain HTTP request to the app and return its answer.

        The Hub's proxy gives up on requests that are not answered within about a minute, while the work
        continues. An app with longer work answers 202 with the address of a status, which ``poll`` follows.

        :param method: such as ``POST``.
        :param path: such as ``/v1/embed``, quoted.
        :param json: the body, as JSON.
        :param content: the body, as it is.
        :param headers: further headers.
        :param query: values after the ``?``.
        :param timeout: seconds that the request may take in all, with polling; by default 60.
        :param answer: ``json`` requires JSON, ``text`` and ``bytes`` accept everything but a web page,
            ``any`` accepts everything.
        :param poll: how to follow an app that answers 202: ``True``, a number of seconds between two reads,
            or a
            :class:`Poll`.
        :raises InvalidAppInput: for a request that cannot be sent.
        :raises SpaceAppError: a subclass for each cause. A request is never sent twice.
        """
        steps = self._asking.request(method, path, json, content, headers, query, timeout, answer, poll)
        return self._run(steps)

    def describe(self, *, timeout: float = REQUEST_SECONDS) -> AppDescription:
        """Return what a Gradio app declares: its version, and its endpoints with their parameters.

        :raises NotGradio: if the app is not a Gradio app, or too old.
        """
        return self._run(self._asking.describe(timeout))

    def check(
        self,
        api: str | int,
        inputs: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        allow_unlisted: bool = False,
        timeout: float = REQUEST_SECONDS,
    ) -> None:
        """Compare a call with what the app declares, without sending it.

        :raises InvalidAppInput: if it does not fit.
        """
        self._run(self._asking.check(api, inputs, allow_unlisted, timeout))

    def health(
        self, path: str | HealthCheck = "/", *, expect: Any = None, timeout: float = PROBE_SECONDS
    ) -> AppHealth:
        """Return whether the app answers: one request, which is a visit and wakes a sleeping Space.

        A page of the Hub may answer in place of an app that does not run. Give ``expect`` to tell the two
        apart.

        :param path: the path to request, or a whole
            :class:`~airflow_provider_hfspaces.space_app.health_check.HealthCheck`.
        :param expect: by default any status below 400; a status, a text that the answer has to contain, or a
            mapping with ``status``, ``text`` and ``json``, see
            :class:`~airflow_provider_hfspaces.space_app.health_check.HealthCheck`.
        """
        return self._run(self._asking.health(path, expect, timeout))

    def upload(self, *sources: Any, timeout: float = DOWNLOAD_SECONDS) -> list[dict[str, Any]]:
        """Upload files for several calls, and return each as an input. A restart of the app deletes them.

        :param sources: path-like objects: ``pathlib.Path``, ``ObjectStoragePath``.
        """
        return self._run(self._asking.upload(sources, timeout))

    def download(
        self,
        file: Mapping[str, Any] | str,
        target: Any,
        *,
        replica: str | None = None,
        timeout: float = DOWNLOAD_SECONDS,
    ) -> int:
        """Download a file of an answer and return its size in bytes.

        :param file: one of ``AppResult.files``.
        :param target: a path-like object to write to. A file that cannot be completed is deleted.
        :param replica: ``AppResult.replica`` of the answer.
        """
        return self._run(self._asking.download(file, target, replica, timeout))

    def cancel(self, call: AcceptedCall | None = None, *, timeout: float = CANCEL_SECONDS) -> int:
        """Cancel a call in the app, or every call in flight; return their number.

        It uses connections of its own, so that a signal handler may call it during a call. A plain function
        that has begun runs to its end in the app, and its answer is dropped.

        :param call: by default every call in flight.
        :param timeout: seconds for all of them; by default 3.
        :raises SpaceAppError: if the app cannot be reached.
        """
        calls = [call] if call is not None else self.in_flight
        deadline = Deadline(timeout, self._core.clock)
        transport = self._new_thread_transport(connections=1)
        try:
            for each in calls:
                execute(cancel(self._core, each, deadline), transport.send, sleep=self._sleep)
        finally:
            transport.close()
        return len(calls)
