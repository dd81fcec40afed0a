"""The app of a Space is chosen in tests, in state files, on the command line and by the control API."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

from airflow_provider_hfspaces.emulator import DockerApp, GradioApp, HubEmulator
from airflow_provider_hfspaces.emulator.__main__ import main
from airflow_provider_hfspaces.emulator.apps.gradio.builtin import BUILTIN
from tests.conftest import ROOT
from tests.emulator.conftest import Ask
from tests.emulator.test_cli import emulator, free_port

SPACE = "acme/caption"


def version(url: str) -> str:
    return str(requests.get(f"{url}/config", timeout=5).json()["version"])


def test_the_control_api_adds_a_space_with_an_app(hub: HubEmulator, ask: Ask) -> None:
    options = {"kind": "gradio", "version": 4, "queue_size": 3}
    description = ask("POST", "/_emulator/spaces", {"repo_id": SPACE, "app": options}).json()
    assert description["app"]["queue_size"] == 3
    assert version(description["app_url"]) == "4.44.1"
    assert description["app_url"] == hub.space(SPACE).app_url
    assert ask("POST", "/_emulator/spaces", {"repo_id": "acme/x", "app": "nonsense"}).status_code == 400


def test_the_control_api_changes_and_kills_an_app_and_lists_its_requests(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE, private=True)
    description = ask("POST", f"/_emulator/spaces/{SPACE}/serve", {"app": "docker"}).json()
    assert description["app"] == {"kind": "docker", "seconds": 0.0}
    headers = {"X-HF-Authorization": f"Bearer {hub.token}"}
    requests.post(f"{space.app_url}/v1/echo", json={"a": 1}, headers=headers, timeout=5)
    requests.get(f"{space.app_url}/health?x=1", headers=headers, timeout=5)
    path = f"/_emulator/spaces/{SPACE}/app-requests"
    app_requests = ask("GET", path).json()["requests"]
    assert [(each["method"], each["path"], each["query"], each["json"]) for each in app_requests] == [
        ("POST", "/v1/echo", "", {"a": 1}),
        ("GET", "/health", "x=1", None),
    ]
    assert hub.token not in str(app_requests)
    assert len(ask("GET", f"{path}?path=echo&method=POST").json()["requests"]) == 1
    replica = app_requests[-1]["replica"]
    assert ask("POST", f"/_emulator/spaces/{SPACE}/kill-app").status_code == 200
    answer = requests.get(f"{space.app_url}/health", headers=headers, timeout=5)
    assert answer.headers["x-proxied-replica"] != replica
    assert ask("POST", f"/_emulator/spaces/{SPACE}/serve", {"app": 7}).status_code == 400


def test_a_state_file_keeps_the_apps(hub: HubEmulator, tmp_path: Path) -> None:
    hub.add_space(SPACE, app=GradioApp(version=5, queue_size=3, login={"ada": "secret"}))
    hub.add_space("acme/jobs", sdk="docker", app=DockerApp(seconds=5))
    hub.add_space("acme/real", app="http://127.0.0.1:7860")
    hub.add_space("acme/code", app=lambda scope, receive, send: None)
    hub.add_space("acme/paused", stage="PAUSED")
    apps = {name: space.app.choice for name, space in hub.world.spaces.items()}
    hub.save(tmp_path / "state.json")
    with HubEmulator(speed=0) as other:
        other.load(tmp_path / "state.json")
        choices = {name: space.app.choice for name, space in other.world.spaces.items()}
        assert choices == {**apps, "acme/code": None}
        assert requests.get(f"{other.space('acme/jobs').app_url}/health", timeout=5).json() == {"ok": True}
        assert requests.get(other.space("acme/paused").app_url, timeout=5).status_code == 503


def test_a_loaded_state_ends_the_apps_of_the_one_before(hub: HubEmulator, tmp_path: Path) -> None:
    space = hub.add_space(SPACE)
    before = requests.get(f"{space.app_url}/config", timeout=5).json()["app_id"]
    hub.save(tmp_path / "state.json")
    hub.load(tmp_path / "state.json")
    assert hub.space(SPACE).app_url == space.app_url
    assert requests.get(f"{space.app_url}/config", timeout=5).json()["app_id"] != before


def test_the_documentation_lists_every_built_in_endpoint() -> None:
    page = (ROOT / "docs" / "emulator.md").read_text("utf-8")
    table = page.partition("| endpoint | what it does |")[2].partition("###")[0]
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| ([^|]+) \|", table, re.M)))) == set(BUILTIN)


def test_the_demo_fleet_serves_apps(ask: Ask) -> None:
    with HubEmulator(fleet="demo") as hub:
        assert version(hub.space("acme/diffusion").app_url) == "6.31.0"
        assert requests.get(f"{hub.space('acme/demo-api').app_url}/health", timeout=5).json() == {"ok": True}
        assert requests.get(hub.space("acme/night-owl").app_url, timeout=5).status_code == 503


def test_an_emulator_that_starts_again_serves_apps_again() -> None:
    hub = HubEmulator(speed=0)
    space = hub.add_space(SPACE)
    assert space.app_url == ""
    for _ in range(2):
        with hub:
            assert version(space.app_url) == "6.31.0"
            address = space.app_url
        with pytest.raises(requests.ConnectionError):
            requests.get(address, timeout=5)


def test_the_ports_of_apps_follow_the_first_one() -> None:
    first = int(free_port())
    with HubEmulator(speed=0, app_port=first) as hub:
        ports = [int(hub.add_space(f"acme/x{number}").app_url.rpartition(":")[2]) for number in range(3)]
    assert ports == sorted(ports)
    assert min(ports) >= first


def test_the_command_line_chooses_apps() -> None:
    arguments = [
        "--fleet",
        "empty",
        "--port",
        free_port(),
        "--app",
        f"{SPACE}=gradio",
        "--app",
        "acme/jobs=docker",
    ]
    with emulator(*arguments) as process:
        assert process.stdout is not None
        output = ""
        while "Press Ctrl-C" not in output:
            output += process.stdout.readline()
        url = re.search(r"HF_ENDPOINT=(\S+)", output).group(1)  # type: ignore[union-attr]
        assert "/apps/owner/name" in output
        assert requests.get(f"{url}/apps/acme/jobs/health", timeout=5).json() == {"ok": True}
        assert version(f"{url}/apps/{SPACE}") == "6.31.0"


@pytest.mark.parametrize("app", ["acme/caption", "acme/caption=nonsense", "nonsense=gradio"])
def test_the_command_line_refuses_an_invalid_app(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--fleet", "empty", "--app", app])
    assert "error:" in capsys.readouterr().err
