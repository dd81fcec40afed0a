"""The state file, from which an emulated Hub continues."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.conftest import Ask

SPACE = "acme/whisper"


def test_a_saved_state_is_restored_completely(hub: HubEmulator, ask: Ask, tmp_path: Path) -> None:
    hub.add_user("bob", is_pro=True)
    hub.add_token("bob", "fineGrained", scopes={"acme": ["repo.write"]})
    hub.add_space(SPACE, hardware="t4-small", sleep_time=600, secrets={"S": "x"}, variables={"V": "1"})
    hub.add_space("acme/going", hardware="l4x1")
    hub.rename_space("acme/going", "acme/gone")
    ask("POST", f"/api/spaces/{SPACE}/hardware", {"flavor": "a10g-small"})
    hub.space(SPACE).crash_loop(after=60)
    hub.settings.storage = "gone"
    hub.advance(90)
    hub.save(tmp_path / "hub.json")
    with HubEmulator(speed=0) as other:
        other.load(tmp_path / "hub.json")
        assert other.token == hub.token
        assert other.now() == pytest.approx(hub.now(), abs=1)
        for each in (hub, other):
            each.advance(300)
        for name in (SPACE, "acme/going"):
            mine, theirs = hub.space(name), other.space(name)
            assert theirs.runtime().to_dict() == mine.runtime().to_dict()
            assert theirs.history == mine.history
            assert (theirs.secrets, theirs.variables) == (mine.secrets, mine.variables)
        assert other.space(SPACE).stage == "RUNTIME_ERROR"
        assert other.bill().to_dict() == hub.bill().to_dict()
        assert other.settings.storage == "gone"


def test_a_draft_cannot_be_guessed_and_follows_no_link(
    hub: HubEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    drafts: list[str] = []
    replace = os.replace

    def replace_and_record(draft: str, target: Path) -> None:
        drafts.append(Path(draft).name)
        assert Path(draft).stat().st_mode & 0o777 == 0o600
        replace(draft, target)

    monkeypatch.setattr(os, "replace", replace_and_record)
    (tmp_path / f".hub.json.{os.getpid()}").symlink_to(victim)
    (tmp_path / "hub.json").symlink_to(victim)
    for _ in range(2):
        hub.save(tmp_path / "hub.json")
    assert victim.read_text() == "untouched"
    assert len(set(drafts)) == 2
    assert not any(str(os.getpid()) == draft.rpartition(".")[2] for draft in drafts)


def test_a_file_that_cannot_be_written_leaves_no_draft(hub: HubEmulator, tmp_path: Path) -> None:
    (tmp_path / "hub.json").mkdir()
    with pytest.raises(OSError, match=r"hub\.json"):
        hub.save(tmp_path / "hub.json")
    assert [each.name for each in tmp_path.iterdir()] == ["hub.json"]


def test_only_its_owner_can_read_the_file(hub: HubEmulator, tmp_path: Path) -> None:
    hub.save(tmp_path / "hub.json")
    assert (tmp_path / "hub.json").stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == [tmp_path / "hub.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a state file"),
        ("[]", "not the state of an emulated Hub"),
        ('{"format": 99}', "not the state of an emulated Hub"),
        ('{"format": 2}', "not valid"),
        (json.dumps({"format": 2, "settings": {"storage": "attic"}}), "storage must be one of"),
    ],
)
def test_an_invalid_state_changes_nothing(
    hub: HubEmulator, tmp_path: Path, content: str, message: str
) -> None:
    hub.add_space(SPACE)
    (tmp_path / "hub.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        hub.load(tmp_path / "hub.json")
    assert hub.has_space(SPACE)


def test_the_control_api_returns_and_restores_the_state(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    state = ask("GET", "/_emulator/state").json()
    hub.add_space("acme/later")
    assert ask("PUT", "/_emulator/state", state).json()["spaces"] == 1
    assert ask("PUT", "/_emulator/state", {}).status_code == 400
