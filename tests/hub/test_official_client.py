"""Each request equals that of the official client: method, path, query and body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from huggingface_hub import HfApi, Volume

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.http.client import HubClient
from tests.stub import RUNTIME, Say, StubHub

# The official client warns of what the Hub does with sleep times on free hardware.
pytestmark = pytest.mark.filterwarnings("ignore:If your Space runs on the default")

SPACE = "acme/whisper"
TOKEN = "hf_abcdefghijklmnop"
CREATED = {"url": f"https://huggingface.co/spaces/{SPACE}", "name": SPACE, "id": "0" * 24}
TEMPLATE = {
    "name": "JupyterLab",
    "repoId": "SpacesExamples/jupyterlab",
    "sdk": "docker",
    "preferredPrivate": True,
}
TEMPLATES = {"templates": [TEMPLATE]}
QUOTA = {"base": 2400, "current": 1810, "resetsAt": None, "overquotaUsed": 0}
DUPLICATED = {"url": "https://huggingface.co/spaces/alice/copy"}
VOLUME = {"type": "bucket", "source": "acme/data", "mountPath": "/data", "readOnly": False}
OFFICIAL_VOLUME = Volume(type="bucket", source="acme/data", mount_path="/data", read_only=False)
SECRETS = [{"key": "A", "value": "1", "description": "first"}, {"key": "B", "value": "2"}]
VARIABLES = [{"key": "C", "value": "3"}]

PAIRS: dict[str, tuple[Any, calls.Call[Any], Callable[[HfApi], Any]]] = {
    "get_runtime": (RUNTIME, calls.get_runtime(SPACE), lambda api: api.get_space_runtime(SPACE)),
    "request_hardware": (
        RUNTIME,
        calls.request_hardware(SPACE, "t4-small"),
        lambda api: api.request_space_hardware(SPACE, "t4-small"),
    ),
    "request_hardware with sleep time": (
        RUNTIME,
        calls.request_hardware(SPACE, "t4-small", sleep_time=3600),
        lambda api: api.request_space_hardware(SPACE, "t4-small", sleep_time=3600),
    ),
    "set_sleep_time": (
        RUNTIME,
        calls.set_sleep_time(SPACE, 600),
        lambda api: api.set_space_sleep_time(SPACE, 600),
    ),
    "set_sleep_time never": (
        RUNTIME,
        calls.set_sleep_time(SPACE, -1),
        lambda api: api.set_space_sleep_time(SPACE, -1),
    ),
    "pause": (RUNTIME, calls.pause(SPACE), lambda api: api.pause_space(SPACE)),
    "restart": (RUNTIME, calls.restart(SPACE), lambda api: api.restart_space(SPACE)),
    "restart with factory reboot": (
        RUNTIME,
        calls.restart(SPACE, factory_reboot=True),
        lambda api: api.restart_space(SPACE, factory_reboot=True),
    ),
    "duplicate, private": (
        DUPLICATED,
        calls.duplicate(SPACE, "alice/copy"),
        lambda api: api.duplicate_repo(SPACE, to_id="alice/copy", repo_type="space", private=True),
    ),
    "duplicate, public": (
        DUPLICATED,
        calls.duplicate(SPACE, "alice/copy", private=False),
        lambda api: api.duplicate_repo(SPACE, to_id="alice/copy", repo_type="space", private=False),
    ),
    "duplicate with everything": (
        DUPLICATED,
        calls.duplicate(
            SPACE,
            "alice/copy",
            hardware="t4-small",
            sleep_time=3600,
            secrets=SECRETS,
            variables=VARIABLES,
            volumes=[VOLUME],
        ),
        lambda api: api.duplicate_repo(
            SPACE,
            to_id="alice/copy",
            repo_type="space",
            private=True,
            space_hardware="t4-small",
            space_sleep_time=3600,
            space_secrets=SECRETS,
            space_variables=VARIABLES,
            space_volumes=[OFFICIAL_VOLUME],
        ),
    ),
    "create_space": (
        CREATED,
        calls.create_space(SPACE, sdk="gradio"),
        lambda api: api.create_repo(SPACE, repo_type="space", space_sdk="gradio", visibility="private"),
    ),
    "create_space with everything": (
        CREATED,
        calls.create_space(
            SPACE,
            sdk="docker",
            visibility="protected",
            hardware="t4-small",
            sleep_time=3600,
            secrets=SECRETS,
            variables=VARIABLES,
            volumes=[VOLUME],
        ),
        lambda api: api.create_repo(
            SPACE,
            repo_type="space",
            space_sdk="docker",
            visibility="protected",
            space_hardware="t4-small",
            space_sleep_time=3600,
            space_secrets=SECRETS,
            space_variables=VARIABLES,
            space_volumes=[OFFICIAL_VOLUME],
        ),
    ),
    "delete_space": (
        "OK",
        calls.delete_space(SPACE),
        lambda api: api.delete_repo(SPACE, repo_type="space"),
    ),
    "move_space": (
        {},
        calls.move_space(SPACE, "acme/other"),
        lambda api: api.move_repo(SPACE, "acme/other", repo_type="space"),
    ),
    "set_visibility": (
        {},
        calls.set_visibility(SPACE, "protected"),
        lambda api: api.update_repo_settings(SPACE, repo_type="space", visibility="protected"),
    ),
    "list_commits": (
        [],
        calls.list_commits(SPACE),
        lambda api: api.list_repo_commits(SPACE, repo_type="space"),
    ),
    "list_space_templates": (
        TEMPLATES,
        calls.list_space_templates(),
        lambda api: api.list_space_templates(),
    ),
    "zero_gpu_quota": (QUOTA, calls.zero_gpu_quota(), lambda api: api.get_zero_gpu_quota()),
    "search_spaces": (
        [],
        calls.search_spaces("transcribe speech"),
        lambda api: list(api.search_spaces("transcribe speech")),
    ),
    "search_spaces with everything": (
        [],
        calls.search_spaces("speech", filter=["a", "b"], sdk="gradio", include_non_running=True),
        lambda api: list(
            api.search_spaces("speech", filter=["a", "b"], sdk="gradio", include_non_running=True)
        ),
    ),
    "set_volumes": (
        {"volumes": []},
        calls.set_volumes(SPACE, [VOLUME]),
        lambda api: api.set_space_volumes(SPACE, [OFFICIAL_VOLUME]),
    ),
    "delete_volumes": (
        {"volumes": []},
        calls.delete_volumes(SPACE),
        lambda api: api.delete_space_volumes(SPACE),
    ),
    "get_variables": ({}, calls.get_variables(SPACE), lambda api: api.get_space_variables(SPACE)),
    "add_variable": (
        {},
        calls.add_variable(SPACE, "K", "v"),
        lambda api: api.add_space_variable(SPACE, "K", "v"),
    ),
    "add_variable with description": (
        {},
        calls.add_variable(SPACE, "K", "wört", description="d"),
        lambda api: api.add_space_variable(SPACE, "K", "wört", description="d"),
    ),
    "delete_variable": (
        {},
        calls.delete_variable(SPACE, "K"),
        lambda api: api.delete_space_variable(SPACE, "K"),
    ),
    "get_secrets": ({}, calls.get_secrets(SPACE), lambda api: api.get_space_secrets(SPACE)),
    "add_secret": (
        {},
        calls.add_secret(SPACE, "K", "v"),
        lambda api: api.add_space_secret(SPACE, "K", "v"),
    ),
    "add_secret with description": (
        {},
        calls.add_secret(SPACE, "K", "v", description="d"),
        lambda api: api.add_space_secret(SPACE, "K", "v", description="d"),
    ),
    "delete_secret": (
        {},
        calls.delete_secret(SPACE, "K"),
        lambda api: api.delete_space_secret(SPACE, "K"),
    ),
    "enable dev mode": (
        RUNTIME,
        calls.set_dev_mode(SPACE, True),
        lambda api: api.enable_space_dev_mode(SPACE),
    ),
    "disable dev mode": (
        RUNTIME,
        calls.set_dev_mode(SPACE, False),
        lambda api: api.disable_space_dev_mode(SPACE),
    ),
    "list_hardware": ([], calls.list_hardware(), lambda api: api.list_spaces_hardware()),
    "get_space": ({"id": SPACE}, calls.get_space(SPACE), lambda api: api.space_info(SPACE)),
    "get_space expanded": (
        {"id": SPACE},
        calls.get_space(SPACE, expand=["runtime", "sdk"]),
        lambda api: api.space_info(SPACE, expand=["runtime", "sdk"]),
    ),
    "whoami": ({"name": "alice"}, calls.whoami(), lambda api: api.whoami()),
    "can_write": (
        {},
        calls.can_write(SPACE),
        lambda api: api.auth_check(SPACE, repo_type="space", write=True),
    ),
}


def our_requests(call: calls.Call[Any], answer: Any) -> Any:
    with StubHub(otherwise=Say(body=answer)) as stub, HubClient(TOKEN, stub.url) as client:
        client.send(call)
    return stub.requests


def official_requests(ask: Callable[[HfApi], Any], answer: Any) -> Any:
    with StubHub(otherwise=Say(body=answer)) as stub:
        ask(HfApi(endpoint=stub.url, token=TOKEN))
    return [request for request in stub.requests if "agent-harnesses" not in request.path]


@pytest.mark.parametrize("name", PAIRS)
def test_each_call_sends_the_request_of_the_official_client(name: str) -> None:
    answer, call, ask = PAIRS[name]
    ours, theirs = our_requests(call, answer), official_requests(ask, answer)
    assert [request.content for request in ours] == [request.content for request in theirs]
    for header in ("authorization", "content-type"):
        assert [request.headers.get(header) for request in ours] == [
            request.headers.get(header) for request in theirs
        ]


def test_a_space_from_a_template_is_requested_as_by_the_official_client() -> None:
    call = calls.create_space(SPACE, sdk="docker", template="SpacesExamples/jupyterlab")
    (ours,) = our_requests(call, CREATED)
    with StubHub(Say(body=TEMPLATES), otherwise=Say(body=CREATED)) as stub:
        HfApi(endpoint=stub.url, token=TOKEN).create_repo(
            SPACE, repo_type="space", space_template="JupyterLab", visibility="private"
        )
    theirs = [request for request in stub.requests if request.path == "/api/repos/create"]
    assert [ours.content] == [request.content for request in theirs]


def test_lists_spaces_like_the_official_client() -> None:
    call = calls.list_spaces(
        author="acme", search="x", filter=["a", "b"], sort="likes", limit=5, expand=["runtime"]
    )
    with StubHub(otherwise=Say(body=[])) as stub, HubClient(TOKEN, stub.url) as client:
        assert list(client.pages(call)) == [[]]
        api = HfApi(endpoint=stub.url, token=TOKEN)
        assert not list(
            api.list_spaces(
                author="acme", search="x", filter=["a", "b"], sort="likes", limit=5, expand=["runtime"]
            )
        )
    ours, theirs = (
        sorted(request.path.partition("?")[2].split("&"))
        for request in stub.requests
        if "agent" not in request.path
    )
    assert ours == theirs


def test_reads_logs_like_the_official_client() -> None:
    first = 'data: {"data":"one\\n","timestamp":"2026-01-01T00:00:00Z"}'
    frames = f'{first}\n\n: keep-alive\n\ndata: {{"data":"two\\n"}}\n\n'
    stream = Say(body=frames, headers={"Content-Type": "text/event-stream"})
    with StubHub(otherwise=stream) as stub, HubClient(TOKEN, stub.url) as client:
        ours = list(client.lines(calls.get_logs(SPACE, build=True)))
        theirs = [
            line.strip() for line in HfApi(endpoint=stub.url, token=TOKEN).fetch_space_logs(SPACE, build=True)
        ]
    assert ours == theirs == ["one", "two"]
    assert len({request.content for request in stub.requests if "agent" not in request.path}) == 1


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (calls.request_storage(SPACE, "small"), ("POST", "/storage", {"tier": "small"})),
        (calls.delete_storage(SPACE), ("DELETE", "/storage", None)),
        (calls.set_replicas(SPACE, 2), ("POST", "/replicas", {"replicas": 2})),
        (calls.get_logs(SPACE, lines=5), ("GET", "/logs/run?tail=5", None)),
    ],
)
def test_calls_that_the_official_client_lacks_send_the_documented_requests(
    call: calls.Call[Any], expected: tuple[str, str, Any]
) -> None:
    """Storage as huggingface_hub 1.10, the last one that had it; replicas and tail as documented."""
    with StubHub(otherwise=Say(body=RUNTIME, headers={"Content-Type": "text/event-stream"})) as stub:
        client = HubClient(TOKEN, stub.url)
        if call.answer == "events":
            assert list(client.lines(call)) == []
        else:
            client.send(call)
    method, suffix, body = expected
    assert [request.content for request in stub.requests] == [(method, f"/api/spaces/{SPACE}{suffix}", body)]


def test_a_copy_requests_a_storage_tier_as_older_official_clients_did() -> None:
    (request,) = our_requests(calls.duplicate(SPACE, "alice/copy", storage="large"), DUPLICATED)
    assert request.json == {"repository": "alice/copy", "visibility": "private", "storageTier": "large"}


@pytest.mark.parametrize("organization", [None, "acme"])
def test_billing_is_read_from_the_documented_endpoint(organization: str | None) -> None:
    (request,) = our_requests(calls.get_billing_usage(organization=organization), {"usage": {}, "period": {}})
    owner = f"organizations/{organization}" if organization else "settings"
    assert request.content == ("GET", f"/api/{owner}/billing/usage", None)
