"""SpaceApp: the client of the app inside one Space. Start here to call an app."""

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

    Most methods have a counterpart for coroutines, with an ``a`` before the name: ``await app.acall(…)``. One
    client serves many calls at once, from threads or from the coroutines of one event loop, over one
    connection pool. Close the client, or use it as a context manager.

    Before anything is sent, inputs are compared with the app's declaration. If the app does not accept a
    call, because its queue is full or it does not answer, the call is sent again within its timeout. An
    accepted call is never sent again, because the app may have worked on it; if its answer is lost,
    :class:`AppCallLost` is raised. A call that ends early, by its timeout or an exception, is cancelled in
    the app.

    The token is sent only to this host, in a header that the Hub's proxy removes. The app's code never sees
    it.

    :param repo_id: the Space, as ``owner/name``.
    :param host: address of the app: ``host`` in the Hub's description of the Space. Plain ``http`` is valid
        for loopback addresses only.
    :param token: a User Access Token with read access; ``None`` for public Spaces.
    :param root: path under which the app mounts Gradio; by default ``/``.
    :param auth: user name and password of the app's own login; by default none.
    :param bearer: a token of the app itself, sent as ``Authorization: Bearer``; by default none.
    :param replicas: number of replicas of the Space; by default 1. With several replicas, all requests of a
        call go to one replica.
    :param connections: number of calls in flight, each with one connection; by default 100. Further calls
        wait within their timeout.
    :param limits: limits on the size and silence of answers; see :class:`AppLimits`.
    :param user_agent: the ``User-Agent`` of requests; by default one that names this client.
    :param clock: returns the time in seconds, for timeouts.
    :param sleep: waits for a number of seconds in a thread. If it raises an exception, the call ends with it.
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

        :param api: name of the endpoint, such as ``/predict``, or the number of a function without a name.
        :param inputs: a mapping of names to values, or a list of values. Missing inputs take the app's
            defaults. A path object, such as ``pathlib.Path``, is uploaded. For a file input, a string that
            begins with ``https://`` is a URL from which the app downloads the file.
        :param timeout: seconds that the call may take in total, including waits; by default 3,600.
        :param listener: receives the queue position, progress and messages of the call.
        :param recover: called with the error if the app does not answer, before the call is sent again. It
            returns when the app should answer, for example after waking the Space, or raises an exception to
            end the call. For :meth:`acall`, it may be a coroutine function.
        :param patience: seconds for which a call to an app that does not answer is sent again; by default 30.
            This time begins anew if ``recover`` had to wait for the Space.
        :param allow_unlisted: whether ``api`` may be an endpoint that the app does not document; by default
            not.
        :raises InvalidAppInput: if the call does not match the app's declaration. Nothing was sent.
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

        The Hub's proxy ends requests that are not answered within about a minute, while the app continues to
        work. An app with longer work should answer 202 with the URL of a status, which ``poll`` follows.

        :param method: such as ``POST``.
        :param path: quoted path, such as ``/v1/embed``.
        :param json: the body as JSON; by default none.
        :param content: the body as text or bytes; by default none.
        :param headers: further headers.
        :param query: parameters of the query string.
        :param timeout: seconds that the request may take in total, including polls; by default 60.
        :param answer: ``json`` (default) requires JSON, ``text`` and ``bytes`` accept everything but a web
            page, ``any`` accepts everything.
        :param poll: how to follow an app that answers 202: ``True``, a number of seconds between two polls, a
            mapping, or a :class:`Poll`; by default the 202 itself is the answer.
        :raises InvalidAppInput: for a request that cannot be sent. Nothing was sent.
        :raises SpaceAppError: a subclass for each cause. A request is never sent twice.
        """
        steps = self._asking.request(method, path, json, content, headers, query, timeout, answer, poll)
        return self._run(steps)

    def describe(self, *, timeout: float = REQUEST_SECONDS) -> AppDescription:
        """Return the declaration of a Gradio app: its version, and its endpoints with their parameters.

        Endpoints: ``GET /config`` and ``GET /info``.

        :param timeout: seconds for both requests; by default 60.
        :raises NotGradio: if the app is not a Gradio app, or its version of Gradio is too old.
        :raises SpaceAppError: a subclass for each other cause.
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
        """Compare a call with the app's declaration, without sending the call.

        The parameters are those of :meth:`call`.

        :raises InvalidAppInput: if the call does not match the declaration.
        :raises SpaceAppError: if the declaration cannot be read.
        """
        self._run(self._asking.check(api, inputs, allow_unlisted, timeout))

    def health(
        self, path: str | HealthCheck = "/", *, expect: Any = None, timeout: float = PROBE_SECONDS
    ) -> AppHealth:
        """Send one request to the app, and return whether it answered as expected.

        The request is a visit, which wakes a sleeping Space. If the app does not run, a page of the Hub may
        answer instead. Set ``expect`` to distinguish such a page from the app.

        :param path: path to request, by default ``/``; or a
            :class:`~airflow_provider_hfspaces.space_app.health_check.HealthCheck`.
        :param expect: expected HTTP status, text that the answer must contain, or a mapping with ``status``,
            ``text`` and ``json`` of a ``HealthCheck``; by default any status below 400.
        :param timeout: seconds for the request; by default 10.
        """
        return self._run(self._asking.health(path, expect, timeout))

    def upload(self, *sources: Any, timeout: float = DOWNLOAD_SECONDS) -> list[dict[str, Any]]:
        """Upload files to a Gradio app, and return each file as an input for any number of calls.

        A restart of the app deletes the files.

        :param sources: path objects, such as ``pathlib.Path`` or an fsspec path.
        :param timeout: seconds for all files together; by default 3,600.
        :raises InvalidAppInput: for a file that cannot be read.
        :raises AppInputTooLarge: for a file above the app's limit.
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
        """Download a file of an answer, and return its size in bytes.

        :param file: one of ``AppResult.files``, or its path in the app.
        :param target: path object of the file to write. If the download fails, the file is deleted.
        :param replica: ``AppResult.replica`` of the answer.
        :param timeout: seconds for the download; by default 3,600.
        :raises OSError: if the target cannot be written.
        :raises SpaceAppError: if the file cannot be downloaded.
        """
        return self._run(self._asking.download(file, target, replica, timeout))

    def cancel(self, call: AcceptedCall | None = None, *, timeout: float = CANCEL_SECONDS) -> int:
        """Cancel calls in the app, and return the number of cancelled calls.

        The method uses its own connection, so that a signal handler may call it during a call. A function
        that has already begun runs to its end in the app, unless it is a generator, and its answer is
        dropped.

        :param call: the call to cancel; by default all calls in flight.
        :param timeout: seconds for all cancellations together; by default 3.
        :raises SpaceAppError: if the app does not answer.
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
