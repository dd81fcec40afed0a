"""ReadingHook: the calls that read Spaces, prices, logs, the token's owner and bills, and change nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hooks.connected import ConnectedHook
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.checks import checked_hardware, known_hardware
from airflow_provider_hfspaces.hub.cost.prices import PriceList
from airflow_provider_hfspaces.hub.errors import HubError, HubPermissionError, SpaceNotFound

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.models import HardwareFlavor, SpaceInfo, SpaceRuntime
    from airflow_provider_hfspaces.hub.repositories import SpaceSearchResult, SpaceTemplate
    from airflow_provider_hfspaces.hub.whoami import WhoAmI, ZeroGpuQuota

__all__ = ["ReadingHook"]


class ReadingHook(ConnectedHook):
    """The part of :class:`~airflow_provider_hfspaces.hooks.hfspaces.HfSpacesHook` that changes nothing."""

    _price_list: PriceList | None = None

    def get_space(self, repo_id: str, *, expand: str | Iterable[str] = ()) -> SpaceInfo:
        """Return the description of a Space: its owner, SDK, commit and other properties.

        Endpoint: ``GET /api/spaces/{repo_id}``.

        :param expand: names of the properties to return, such as ``runtime``; by default the Hub chooses.
        :raises SpaceNotFound: if the Space does not exist or the token cannot see it.
        """
        return self._send(calls.get_space(self.repo_id(repo_id), expand=expand))

    def get_runtime(self, repo_id: str) -> SpaceRuntime:
        """Return the current runtime of a Space: its stage, hardware, sleep time and replicas.

        Endpoint: ``GET /api/spaces/{repo_id}/runtime``.

        :raises SpaceNotFound: if the Space does not exist or the token cannot see it.
        """
        return self._send(calls.get_runtime(self.repo_id(repo_id)))

    def exists(self, repo_id: str) -> bool:
        """Return whether a Space exists that the token can see.

        Endpoint: ``GET /api/spaces/{repo_id}``.
        """
        try:
            self.get_space(repo_id, expand=("createdAt",))
        except SpaceNotFound:
            return False
        return True

    def list_spaces(
        self,
        *,
        author: str | None = None,
        search: str | None = None,
        filter: str | Iterable[str] = (),
        sort: str | None = None,
        limit: int | None = None,
        expand: str | Iterable[str] = (),
        page_size: int | None = None,
    ) -> Iterator[SpaceInfo]:
        """Yield the Spaces that the token can see. Pages are read as they are needed.

        Endpoint: ``GET /api/spaces``.

        :param author: only Spaces of this user or organization. The connection's namespace is not a default.
        :param search: only Spaces whose id contains this text.
        :param filter: only Spaces with all of these tags.
        :param sort: ``lastModified``, ``createdAt``, ``likes`` or ``trendingScore``.
        :param limit: yield at most this many Spaces; by default all.
        :param expand: names of the properties to return, such as ``runtime``; by default the Hub chooses.
        :param page_size: Spaces in one request; by default ``limit``, or the Hub's own page size.
        """
        call = calls.list_spaces(
            author=author,
            search=search,
            filter=filter,
            sort=sort,
            limit=page_size or limit,
            expand=expand,
        )
        count = 0
        for page in self.client.pages(call):
            for space in page:
                if limit is not None and count >= limit:
                    return
                count += 1
                yield space
            if limit is not None and count >= limit:
                return

    def search_spaces(
        self,
        query: str,
        *,
        filter: str | Iterable[str] = (),
        sdk: str | Iterable[str] = (),
        include_non_running: bool = False,
    ) -> list[SpaceSearchResult]:
        """Return the public Spaces that fit a description, best match first.

        Endpoint: ``GET /api/spaces/semantic-search``.

        :param query: what the Space should do, such as ``transcribe speech``.
        :param filter: only Spaces with all of these tags.
        :param sdk: only Spaces with one of these SDKs.
        :param include_non_running: whether Spaces that do not run are in the results; by default not.
        """
        call = calls.search_spaces(query, filter=filter, sdk=sdk, include_non_running=include_non_running)
        return self._send(call)

    def list_space_templates(self) -> list[SpaceTemplate]:
        """Return the templates from which :meth:`create_space` can make a Space.

        Endpoint: ``GET /api/spaces/templates``.
        """
        return self._send(calls.list_space_templates())

    def list_hardware(self) -> list[HardwareFlavor]:
        """Return every flavor that the Hub offers now, with its price.

        Endpoint: ``GET /api/spaces/hardware``.
        """
        return list(self.price_list(again=True).flavors.values())

    def price_list(self, *, again: bool = False) -> PriceList:
        """Return the Hub's prices. The hook reads them once, so that a task uses one price list.

        Endpoint: ``GET /api/spaces/hardware``, for the first time and with ``again``.

        :param again: whether to read the prices again, because they may have changed; by default not.
        """
        if self._price_list is None or again:
            flavors = self._send(calls.list_hardware())
            self._price_list = PriceList.from_flavors(flavors)
        return self._price_list

    def offered(self, hardware: str) -> list[HardwareFlavor] | None:
        """Return the Hub's flavors if this version does not know a flavor, and ``None`` if it does.

        Endpoint: ``GET /api/spaces/hardware``, for a flavor that this version does not know, unless the hook
        has read the price list before.

        :raises InvalidHardware: if the flavor is not known and the Hub does not answer.
        """
        if not isinstance(hardware, str) or known_hardware(hardware):
            return None
        try:
            return list(self.price_list().flavors.values())
        except HubError:
            checked_hardware(hardware)
            raise

    def get_logs(self, repo_id: str, *, build: bool = False, lines: int | None = None) -> list[str]:
        """Return the lines of a Space's log so far.

        Endpoint: ``GET /api/spaces/{repo_id}/logs/run``, or ``/logs/build``.

        :param build: read the log of the build instead of the app's.
        :param lines: the number of lines to return, from the end of the log; by default all.
        """
        text = list(self.client.lines(calls.get_logs(self.repo_id(repo_id), build=build, lines=lines)))
        if lines is None:
            return text
        return text[-lines:] if lines else []

    def follow_logs(self, repo_id: str, *, build: bool = False) -> Iterator[str]:
        """Yield the lines of a Space's log from its beginning, and then each new line as it is written.

        Ends when the Hub closes the log, as it does when the build or the app is over.

        Endpoint: ``GET /api/spaces/{repo_id}/logs/run``, or ``/logs/build``.

        :param build: follow the log of the build instead of the app's.
        """
        return self.client.lines(calls.get_logs(self.repo_id(repo_id), build=build), follow=True)

    def whoami(self) -> WhoAmI:
        """Return the owner of the token and what the token may do.

        Endpoint: ``GET /api/whoami-v2``.

        :raises HubAuthError: if there is no token, or it is not valid.
        """
        return self._send(calls.whoami())

    def zero_gpu_quota(self) -> ZeroGpuQuota:
        """Return the time on ZeroGPU hardware that the token's owner has left today.

        Endpoint: ``GET /api/spaces/zero-gpu/quota``.

        :raises HubError: also for a fine-grained token that may not read the billing usage.
        """
        return self._send(calls.zero_gpu_quota())

    def can_write(self, repo_id: str) -> bool:
        """Return whether the token may change a Space.

        Endpoint: ``GET /api/spaces/{repo_id}/auth-check/write``.

        :raises SpaceNotFound: if the Space does not exist or the token cannot see it.
        :raises HubAuthError: if the token is not valid.
        """
        try:
            return self._send(calls.can_write(self.repo_id(repo_id)))
        except HubPermissionError:
            return False

    def get_billing_usage(self, organization: str | None = None) -> dict[str, Any]:
        """Return what the Hub has billed in the current period.

        Endpoint: ``GET /api/settings/billing/usage``, or
        ``GET /api/organizations/{organization}/billing/usage``.

        :param organization: the organization whose bill to read; by default the token owner's own.
        """
        return self._send(calls.get_billing_usage(organization=organization))
