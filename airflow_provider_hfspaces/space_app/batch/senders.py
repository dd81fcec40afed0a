"""GradioSender and HttpSender: send one item of a batch to a Gradio app, or to any other HTTP app."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_hfspaces.space_app.batch.errors import InvalidItems
from airflow_provider_hfspaces.space_app.batch.folder import FILES, BatchFolder
from airflow_provider_hfspaces.space_app.batch.inputs import InputMapping
from airflow_provider_hfspaces.space_app.batch.items import Item
from airflow_provider_hfspaces.space_app.errors import AppProtocolError, InvalidAppInput
from airflow_provider_hfspaces.space_app.files import MAX_NAME_CHARACTERS, UNSAFE_IN_NAMES, is_file
from airflow_provider_hfspaces.space_app.gradio.inputs import bind, find_endpoint
from airflow_provider_hfspaces.space_app.plain import Poll
from airflow_provider_hfspaces.space_app.plain_checks import check_target, checked_query

if TYPE_CHECKING:
    from airflow_provider_hfspaces.space_app.app import SpaceApp
    from airflow_provider_hfspaces.space_app.gradio.description import AppEndpoint
    from airflow_provider_hfspaces.space_app.plain import AppResponse
    from airflow_provider_hfspaces.space_app.result import AppResult

__all__ = ["GradioSender", "HttpSender", "Sender"]

_QUERY_METHODS = ("GET", "HEAD", "DELETE")
_JSON = re.compile(r"\s*application/([^;\s]+\+)?json\s*(;|$)", re.IGNORECASE)


class Sender(Protocol):
    """Sends the items of a batch to one endpoint of an app."""

    @property
    def request(self) -> Mapping[str, Any]:
        """The endpoint and the shared inputs, as plain JSON. They identify the batch in its journal."""

    async def prepare(self) -> None:
        """Read the app's declaration. Nothing runs in the app."""

    def check(self, item: Item) -> None:
        """Raise ``InvalidItems`` if the item does not match the endpoint."""

    async def send(self, item: Item) -> Any:
        """Send one item, and return the answer as JSON."""

    async def visit(self) -> None:
        """Send a request that runs nothing, to keep the Space awake."""


class GradioSender:
    """Calls an endpoint of a Gradio app.

    :param app: the client of the app.
    :param api: name of the endpoint, such as ``/predict``.
    :param output: the output folder. Files in the answers are downloaded to its subfolder ``files``.
    :param mapping: turns an item into the inputs of the call; by default without constants.
    :param timeout: seconds that one call may take; by default 3,600.
    :param allow_unlisted: whether the endpoint may be one that the app does not document; by default not.
    """

    def __init__(
        self,
        app: SpaceApp,
        api: str,
        output: BatchFolder,
        *,
        mapping: InputMapping | None = None,
        timeout: float = 3600.0,
        allow_unlisted: bool = False,
    ) -> None:
        self._app, self._api, self._output = app, api, output
        self._mapping = mapping or InputMapping()
        self._timeout, self._allow_unlisted = timeout, allow_unlisted
        self._endpoint: AppEndpoint | None = None

    @property
    def request(self) -> Mapping[str, Any]:
        """The endpoint and the shared inputs."""
        return {"api": f"/{self._api.lstrip('/')}", **self._mapping.to_dict()}

    async def prepare(self) -> None:
        """Find the endpoint in the app's declaration.

        :raises UnknownEndpoint: if the app has no such endpoint.
        :raises InvalidAppInput: if the endpoint lacks an input in ``files`` of the mapping.
        """
        description = await self._app.adescribe()
        self._endpoint = find_endpoint(
            description, self._app.repo_id, self._api, allow_unlisted=self._allow_unlisted
        )
        names = [each.name for each in self._endpoint.parameters]
        unknown = sorted(self._mapping.files.difference(name for name in names if name is not None))
        if unknown:
            raise InvalidAppInput(
                f"files names {', '.join(map(repr, unknown))}, which {self._endpoint.api} of Space "
                f"{self._app.repo_id} does not have. Expected: {self._endpoint.signature}.",
                repo_id=self._app.repo_id,
                api=self._endpoint.api,
            )

    def check(self, item: Item) -> None:
        """Compare an item with the endpoint's parameters.

        :raises InvalidItems: with the place of the item.
        """
        assert self._endpoint is not None
        try:
            bind(self._endpoint, self._app.repo_id, self._inputs(item))
        except InvalidAppInput as error:
            raise InvalidItems(f"{item.place}: {error}") from None

    async def send(self, item: Item) -> Any:
        """Call the endpoint, download the files in the answer, and replace each by its path in the folder."""
        result = await self._app.acall(
            self._api,
            self._inputs(item),
            timeout=self._timeout,
            patience=0.0,
            allow_unlisted=self._allow_unlisted,
        )
        return await self._store(item, result) if result.files else result.value

    async def visit(self) -> None:
        """Send a request that runs nothing."""
        await self._app.ahealth()

    def _inputs(self, item: Item) -> dict[str, Any] | list[Any]:
        parameters = self._endpoint.parameters if self._endpoint is not None else ()
        return self._mapping.inputs(item, [each.name for each in parameters])

    async def _store(self, item: Item, result: AppResult) -> Any:
        files = result.files
        paths = []
        for number, file in enumerate(files):
            name = f"{FILES}/{item.index:06d}/{number}-{_safe_name(file)}"
            target = await asyncio.to_thread(self._output.at, name)
            size = await self._app.adownload(file, target, replica=result.replica)
            paths.append({"path": name, "size": size, "orig_name": file.get("orig_name")})
        return _with_paths(result.value, iter(paths))


class HttpSender:
    """Sends items as requests to a plain HTTP app.

    An item becomes the JSON body, or the query string of ``GET``, ``HEAD`` and ``DELETE``.

    :param app: the client of the app.
    :param path: quoted path, such as ``/v1/embed``.
    :param output: the output folder. Answers that are neither JSON nor text go to its subfolder ``files``.
    :param method: HTTP method; by default ``POST``.
    :param poll: how to follow an app that answers 202 with the URL of a status; by default not.
    :param mapping: turns an item into the body; by default the item is the body.
    :param timeout: seconds that one request may take, including polls; by default 3,600.
    :raises InvalidInput: for a method, path or poll that is not valid.
    """

    def __init__(
        self,
        app: SpaceApp,
        path: str,
        output: BatchFolder,
        *,
        method: str = "POST",
        poll: Any = None,
        mapping: InputMapping | None = None,
        timeout: float = 3600.0,
    ) -> None:
        self._app, self._path, self._output = app, path, output
        check_target(app.repo_id, method, path)
        self._method, self._poll = method.upper(), Poll.from_value(poll)
        self._mapping = mapping or InputMapping()
        self._timeout = timeout

    @property
    def request(self) -> Mapping[str, Any]:
        """The method, the path and the shared inputs."""
        return {"path": self._path, "method": self._method, **self._mapping.to_dict()}

    async def prepare(self) -> None:
        """Do nothing, because a plain app has no declaration."""

    def check(self, item: Item) -> None:
        """Check that an item can be merged with the shared inputs, and sent as a query string if needed.

        :raises InvalidItems: with the place of the item.
        """
        body = self._body(item)
        if self._method in _QUERY_METHODS and not isinstance(body, Mapping):
            raise InvalidItems(
                f"{item.place} is not a mapping, and {self._method} sends items as a query. Write items as "
                f"mappings, or use POST."
            )
        if self._method in _QUERY_METHODS:
            try:
                checked_query(self._app.repo_id, f"{self._method} {self._path}", body)
            except InvalidAppInput as error:
                raise InvalidItems(f"{item.place}: {error}") from None

    async def send(self, item: Item) -> Any:
        """Send the request, and return the answer: JSON, text, or the path of a file.

        :raises AppProtocolError: for an answer with the media type of JSON that is not JSON.
        """
        body = self._body(item)
        content = {"query": body} if self._method in _QUERY_METHODS else {"json": body}
        response = await self._app.arequest(
            self._method, self._path, timeout=self._timeout, answer="bytes", poll=self._poll, **content
        )
        kind = response.headers.get("content-type", "")
        if _JSON.match(kind):
            return self._parse_json(response, kind)
        if kind.startswith("text/") or not response.content:
            return response.text
        return await self._store(item, response, kind)

    async def visit(self) -> None:
        """Send a request that runs nothing."""
        await self._app.ahealth()

    def _parse_json(self, response: AppResponse, kind: str) -> Any:
        try:
            return response.json()
        except (ValueError, RecursionError):
            raise AppProtocolError(
                f"Space {self._app.repo_id} sent {kind} that is not JSON in the answer to {self._method} "
                f"{self._path}. Check what the app answers, and its log.",
                repo_id=self._app.repo_id,
                api=f"{self._method} {self._path}",
                may_have_run=True,
            ) from None

    def _body(self, item: Item) -> Any:
        if isinstance(item.value, Mapping) or self._mapping.fields or self._mapping.constants:
            return self._mapping.inputs(item)
        return item.value

    async def _store(self, item: Item, response: AppResponse, kind: str) -> Any:
        suffix = UNSAFE_IN_NAMES.sub("", kind.partition(";")[0].rpartition("/")[2]) or "bin"
        name = f"{FILES}/{item.index:06d}/0-answer.{suffix}"
        size = await asyncio.to_thread(self._output.write, name, [response.content])
        return {"path": name, "size": size, "content_type": kind}


def _safe_name(file: Mapping[str, Any]) -> str:
    """Return a file name that is valid in every storage and cannot leave its folder."""
    name = str(file.get("orig_name") or file["path"]).replace("\\", "/").rpartition("/")[2]
    return UNSAFE_IN_NAMES.sub("_", name).lstrip(".")[-MAX_NAME_CHARACTERS:] or "file"


def _with_paths(value: Any, paths: Any) -> Any:
    """Return an answer with each file replaced by the next of ``paths``."""
    if is_file(value):
        return next(paths)
    if isinstance(value, Mapping):
        return {key: _with_paths(each, paths) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_paths(each, paths) for each in value]
    return value
