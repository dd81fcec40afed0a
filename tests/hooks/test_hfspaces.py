"""HfSpacesHook: a method for each call, the connection, and the button that tests it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_hfspaces import get_provider_info
from airflow_provider_hfspaces.compat import config
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.connection import ConnectionSettings, InvalidConnection
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.checks import InvalidEndpoint
from airflow_provider_hfspaces.hub.errors import HubConflict, SpaceNotFound
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from tests.airflow_tools import connection
from tests.stub import Say, StubHub

SPACE = "acme/whisper"


def test_one_hook_offers_every_call_on_a_space(hub: HubEmulator) -> None:
    hub.settings.storage = "works"
    hub.add_space(SPACE)
    hook = HfSpacesHook()
    assert hook.get_space(SPACE).sdk == "gradio"
    assert any("Build Queued" in line for line in hook.get_logs(SPACE, build=True))
    assert len(hook.get_logs(SPACE, build=True, lines=1)) == 1
    assert hook.get_space(SPACE, expand=["runtime"]).runtime == hook.get_runtime(SPACE)
    assert [each.id for each in hook.list_spaces(author="acme")] == [SPACE]
    assert {each.name: each.price for each in hook.list_hardware()}["t4-small"] == "$0.40/h"
    assert hook.request_hardware(SPACE, "t4-small", sleep_time=60000).requested_hardware == "t4-small"
    runtime = hook.wait_for(SPACE, Goal(hardware="t4-small"), timeout=10, poll_interval=0.02)
    assert runtime.sleep_time == 60000
    assert hook.set_sleep_time(SPACE, -1).sleep_time is None
    hook.set_replicas(SPACE, 2)
    assert hook.get_runtime(SPACE).replicas.requested == 2
    assert hook.set_dev_mode(SPACE, True).dev_mode
    assert hook.pause(SPACE).stage == "PAUSED"
    assert hook.restart(SPACE).stage == "BUILDING"
    assert hook.add_variable(SPACE, "A", "1", description="d")["A"].description == "d"
    assert hook.get_variables(SPACE)["A"].value == "1"
    assert hook.delete_variable(SPACE, "A") == {}
    hook.add_secret(SPACE, "S", "s3cr3t", description="d")
    assert hook.get_secrets(SPACE)["S"].description == "d"
    hook.delete_secret(SPACE, "S")
    assert hook.get_secrets(SPACE) == {}
    hook.set_volumes(SPACE, [{"type": "dataset", "source": "acme/d", "mountPath": "/d"}])
    assert hook.get_runtime(SPACE).volumes[0].read_only
    hook.delete_volumes(SPACE)
    assert hook.request_storage(SPACE, "small").storage == "small"
    assert hook.delete_storage(SPACE).storage is None
    assert hook.duplicate(SPACE, to_id="acme/copy").repo_id == "acme/copy"
    with pytest.raises(HubConflict):
        hook.duplicate(SPACE, to_id="acme/copy")
    assert hook.duplicate(SPACE, to_id="acme/copy", exist_ok=True).repo_id == "acme/copy"
    assert hook.whoami().name == "alice"
    assert hook.can_write(SPACE)
    assert hook.get_billing_usage("acme")["usage"]["Spaces"][0]["label"] == SPACE
    assert hook.get_billing_usage()["period"]["entityName"] == "alice"
    assert hook.exists(SPACE)
    assert not hook.exists("acme/none")


def test_a_list_is_read_page_by_page_up_to_its_limit(hub: HubEmulator) -> None:
    for number in range(25):
        hub.add_space(f"acme/s{number:02}", tags=("even",) if number % 2 == 0 else ())
    hook = HfSpacesHook()
    assert len(list(hook.list_spaces(author="acme", page_size=10))) == 25
    assert len([request for request in hub.requests if request.path == "/api/spaces"]) == 3
    assert len(list(hook.list_spaces(author="acme", page_size=10, limit=12))) == 12
    assert len([request for request in hub.requests if request.path == "/api/spaces"]) == 5
    assert len(list(hook.list_spaces(author="acme", filter="even"))) == 13
    assert len(list(hook.list_spaces(search="s07", expand=["runtime"]))) == 1


def test_a_token_of_the_hook_replaces_that_of_the_connection(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    bob = hub.add_token("bob")
    assert HfSpacesHook(token=bob).whoami().name == "bob"
    assert not HfSpacesHook(token=bob).can_write(SPACE)
    assert HfSpacesHook().whoami().name == "alice"


def test_a_missing_space_differs_from_a_space_that_the_token_may_not_change(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    assert not HfSpacesHook(token=hub.add_token("alice", "read")).can_write(SPACE)
    with pytest.raises(SpaceNotFound):
        HfSpacesHook().can_write("acme/none")


class TestConnection:
    def test_a_name_alone_belongs_to_the_namespace(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.add_space(SPACE)
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub, namespace="acme"))
        assert HfSpacesHook().get_runtime("whisper").stage == "RUNNING"

    def test_the_address_of_a_page_names_its_space(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        assert HfSpacesHook().get_runtime(f"{hub.url}/spaces/{SPACE}").stage == "RUNNING"
        assert HfSpacesHook().page_url(SPACE) == f"{hub.url}/spaces/{SPACE}"

    def test_a_connection_without_a_host_uses_the_public_hub(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", '{"conn_type": "hf_spaces"}')
        assert HfSpacesHook().client.endpoint == "https://huggingface.co"

    @pytest.mark.parametrize(
        ("host", "more", "endpoint"),
        [
            ("hub.acme.test", {}, "https://hub.acme.test"),
            ("localhost", {"schema": "http", "port": 8900}, "http://localhost:8900"),
            ("https://hub.acme.test/", {}, "https://hub.acme.test"),
            ("https://hub.acme.test", {"port": 443}, "https://hub.acme.test"),
            ("https://hub.acme.test/", {"port": 8443}, "https://hub.acme.test:8443"),
            ("http://localhost:8900", {"port": 443}, "http://localhost:8900"),
            ("http://[::1]", {"port": 8900}, "http://[::1]:8900"),
            ("", {"port": 443}, "https://huggingface.co"),
        ],
    )
    def test_the_endpoint_is_made_of_host_port_and_schema(
        self, monkeypatch: pytest.MonkeyPatch, host: str, more: dict[str, Any], endpoint: str
    ) -> None:
        fields = json.dumps({"conn_type": "hf_spaces", "host": host, **more})
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", fields)
        assert HfSpacesHook().client.endpoint == endpoint

    @pytest.mark.parametrize(
        ("extra", "field"),
        [
            ({"timeout": "soon"}, "timeout"),
            ({"timeout": -1}, "timeout"),
            ({"allow_http": "perhaps"}, "allow_http"),
        ],
    )
    def test_an_extra_with_a_value_that_is_not_valid_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], field: str
    ) -> None:
        monkeypatch.setenv(
            "AIRFLOW_CONN_HF_SPACES_DEFAULT", connection("http://127.0.0.1:1", "hf_x", **extra)
        )
        with pytest.raises(InvalidConnection, match=field):
            _ = HfSpacesHook().client

    @pytest.mark.parametrize("extra", ["[1]", '"acme"', "namespace=acme"])
    def test_an_extra_that_is_not_an_object_is_refused(self, extra: str) -> None:
        record = SimpleNamespace(conn_id="hub", conn_type="hf_spaces", host="", schema="", extra=extra)
        with pytest.raises(InvalidConnection, match="not a JSON object"):
            ConnectionSettings.from_connection(record)

    def test_allow_http_accepts_plain_http_to_another_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        allowed_connection = connection("http://hub.acme.test", "hf_x", allow_http="true", timeout="7")
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", allowed_connection)
        hook = HfSpacesHook()
        assert hook.client.endpoint == "http://hub.acme.test"
        assert hook.settings.timeout == 7

    def test_a_missing_connection_is_reported_with_the_remedy(self, airflow_db: None) -> None:
        with pytest.raises(InvalidConnection, match=r"Connection 'nowhere' does not exist\. Create"):
            HfSpacesHook("nowhere").get_runtime(SPACE)

    @pytest.mark.parametrize(
        "uri",
        [
            "hf_spaces://:hf_itsTokenItsToken@hub.acme.test",
            "hf_spaces://hf_itsTokenItsToken@",
            "hf_spaces://:x@/?namespace=acme",
        ],
    )
    def test_a_uri_with_an_underscore_in_its_scheme_is_refused_with_the_remedy(
        self, monkeypatch: pytest.MonkeyPatch, uri: str
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", uri)
        with pytest.raises(
            InvalidConnection, match="Write 'hf-spaces://' with a hyphen, or use JSON"
        ) as excinfo:
            HfSpacesHook().get_runtime(SPACE)
        assert "hf_its" not in str(excinfo.value)
        with pytest.raises(InvalidConnection, match="hf-spaces"):
            _ = HfSpacesHook().settings
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", uri.replace("hf_spaces:", "hf-spaces:"))
        assert HfSpacesHook().settings.endpoint

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"login": "hf_itsTokenItsToken"}, "'login'"),
            ({"schema": "hf_itsTokenItsToken"}, "'schema'"),
            ({"schema": "hf_itsTokenItsToken", "host": "hub.example.com"}, "'schema'"),
            ({"extra": '{"token": "itsTokenItsToken"}'}, "'extra: token'"),
            ({"extra": {"HF_TOKEN": "itsTokenItsToken"}}, "'extra: HF_TOKEN'"),
            ({"extra": {"note": "hf_itsTokenItsToken"}}, "'extra: note'"),
        ],
    )
    def test_a_token_in_another_field_is_named_with_its_field(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], field: str
    ) -> None:
        fields_of_connection = {"conn_type": "hf_spaces", "host": hub.url, **fields}
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", json.dumps(fields_of_connection))
        with pytest.raises(InvalidConnection, match="Move it to the password") as excinfo:
            HfSpacesHook().get_runtime(SPACE)
        assert field in str(excinfo.value)
        assert "itsToken" not in str(excinfo.value)
        assert not hub.requests
        works, message = HfSpacesHook().test_connection()
        assert not works
        assert field in message

    def test_a_token_in_the_login_does_not_matter_to_a_hook_with_its_own_token(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection_fields = {"conn_type": "hf_spaces", "host": hub.url, "login": "hf_itsTokenItsToken"}
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", json.dumps(connection_fields))
        assert HfSpacesHook(token=hub.token).whoami().name == "alice"

    @pytest.mark.parametrize(
        "host",
        [
            "https://alice:confidential@[hub",
            "https://alice:confid@ential@hub:port",
            "https://hub:0?key=confidential",
            "alice:confidential@hub",
            "https://hub#confidential",
            "ftp://alice:confidential@hub",
            "https://hub/hf_confidentialconfidential",
        ],
    )
    def test_a_host_that_is_not_valid_is_shown_without_its_secrets(
        self, monkeypatch: pytest.MonkeyPatch, host: str
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(host, "hf_x"))
        with pytest.raises(InvalidEndpoint, match="is not a valid endpoint") as excinfo:
            _ = HfSpacesHook().client
        assert "confid" not in str(excinfo.value)
        assert "ential" not in str(excinfo.value)

    def test_requests_name_the_provider_and_airflow_as_user_agent(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        HfSpacesHook().get_runtime(SPACE)
        agent = hub.requests[-1].headers["user-agent"]
        assert agent.startswith("airflow-provider-hfspaces/")
        assert "airflow/" in agent


class TestTheTestButton:
    def test_it_names_the_owner_of_the_token_and_what_the_token_may_do(self, hub: HubEmulator) -> None:
        hub.add_organization("acme", members={"alice": "admin"})
        works, message = HfSpacesHook().test_connection()
        assert works
        assert message == (
            "Authenticated as alice with the token 'emulator' (role: write). It may change the Spaces of "
            "alice, acme."
        )

    def test_it_reports_a_token_that_can_only_read(self, hub: HubEmulator) -> None:
        works, message = HfSpacesHook(token=hub.add_token("bob", "read")).test_connection()
        assert works
        assert "may read Spaces but change none" in message

    def test_it_lists_the_permissions_of_a_fine_grained_token(self, hub: HubEmulator) -> None:
        token = hub.add_token("bob", "fineGrained", scopes={"acme": ["repo.write"]})
        assert "It may: acme: repo.write." in HfSpacesHook(token=token).test_connection()[1]

    def test_it_reports_what_an_oauth_token_cannot_do(self, hub: HubEmulator) -> None:
        token = hub.add_token("bob", kind="oauth")
        assert "refuses hardware, sleep time and restart" in HfSpacesHook(token=token).test_connection()[1]

    def test_it_warns_of_a_namespace_that_the_token_does_not_belong_to(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub, namespace="stranger"))
        assert "neither this user nor one of its organizations" in HfSpacesHook().test_connection()[1]

    def test_it_reports_a_connection_without_a_token(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub.url, ""))
        works, message = HfSpacesHook().test_connection()
        assert works
        assert "only public Spaces can be read" in message

    @pytest.mark.parametrize("token", ["hf_wrongwrong", "hf_anotherwrong"])
    def test_it_reports_a_wrong_token_without_showing_it(self, hub: HubEmulator, token: str) -> None:
        works, message = HfSpacesHook(token=token).test_connection()
        assert not works
        assert "wrong, expired or revoked" in message
        assert token not in message

    def test_it_reports_an_endpoint_that_is_not_a_hub(self, monkeypatch: pytest.MonkeyPatch) -> None:
        html = Say(200, "<!DOCTYPE html>", {"Content-Type": "text/html"})
        with StubHub(otherwise=html) as stub:
            monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(stub.url, "hf_abcdefgh"))
            works, message = HfSpacesHook().test_connection()
        assert not works
        assert "does not look like a Hub" in message

    def test_it_reports_an_endpoint_that_would_get_the_token_unencrypted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection("http://hub.acme.test", "hf_x"))
        works, message = HfSpacesHook().test_connection()
        assert not works
        assert "unencrypted" in message


class TestProviderInfo:
    def test_it_is_valid_and_every_name_in_it_can_be_imported(self) -> None:
        from importlib import import_module

        from airflow.providers_manager import _create_provider_info_schema_validator

        info = get_provider_info()
        _create_provider_info_schema_validator().validate(info)
        for group in ("hooks", "operators", "sensors"):
            for entry in info[group]:
                for module in entry["python-modules"]:
                    assert import_module(module).__all__
        for link in info["extra-links"]:
            module, _, name = link.rpartition(".")
            assert getattr(import_module(module), name)

    @pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")
    def test_airflow_finds_the_connection_type(self) -> None:
        from airflow.providers_manager import ProvidersManager

        hook = ProvidersManager().hooks["hf_spaces"]
        assert hook is not None
        assert hook.hook_name == "Hugging Face Spaces"

    def test_the_forms_of_old_and_new_airflow_show_equal_fields(self) -> None:
        form = get_provider_info()["connection-types"][0]
        behaviour = HfSpacesHook.get_ui_field_behaviour()
        assert behaviour["hidden_fields"] == form["ui-field-behaviour"]["hidden-fields"]
        pytest.importorskip("flask_appbuilder", reason="the old form's libraries come with Airflow 2.11 only")
        assert set(HfSpacesHook.get_connection_form_widgets()) == set(form["conn-fields"])

    def test_the_configuration_has_one_default_for_each_option(self, monkeypatch: pytest.MonkeyPatch) -> None:
        options = get_provider_info()["config"]["hf_spaces"]["options"]
        assert config.quota_share() == float(options["quota_share"]["default"])
        assert config.connections_of_config() == []
        monkeypatch.setenv("AIRFLOW__HF_SPACES__QUOTA_SHARE", "0.25")
        monkeypatch.setenv("AIRFLOW__HF_SPACES__FLEET_CONNECTIONS", "a, b,")
        assert config.quota_share() == 0.25
        assert config.connections_of_config() == ["a", "b"]

    def test_the_form_says_what_the_port_is_for(self) -> None:
        form = get_provider_info()["connection-types"][0]["ui-field-behaviour"]
        assert "Test in 3.3 needs it" in form["relabeling"]["port"]


def test_the_hook_class_itself_describes_the_form_since_older_airflows_ask_no_base_class() -> None:
    assert {"get_connection_form_widgets", "get_ui_field_behaviour"} <= vars(HfSpacesHook).keys()
