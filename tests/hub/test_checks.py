"""Bad input gives one clear sentence, and nothing is sent."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.hub import calls, checks
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.models import HardwareFlavor

SPACE = "acme/whisper"


@pytest.mark.parametrize(
    "repo_id",
    [
        "acme/whisper",
        " acme/whisper ",
        "https://huggingface.co/spaces/acme/whisper",
        "https://huggingface.co/spaces/acme/whisper/",
        "https://huggingface.co/spaces/acme/whisper/tree/main?x=1#readme",
        "https://huggingface.co/spaces/acme/whisper?logs=container",
        "huggingface.co/spaces/acme/whisper",
        "https://hf.co/spaces/acme/whisper",
        "https://huggingface.co/api/spaces/acme/whisper/runtime",
        "hf://spaces/acme/whisper",
        "spaces/acme/whisper",
        "https://hub.acme.test/spaces/acme/whisper",
        "https://hub.acme.test/mirror/spaces/acme/whisper",
    ],
)
def test_a_repo_id_may_be_a_name_an_address_or_a_url(repo_id: str) -> None:
    endpoint = "https://hub.acme.test" + ("/mirror" if "mirror" in repo_id else "")
    assert checks.checked_repo_id(repo_id, endpoint=endpoint) == SPACE


def test_a_name_alone_belongs_to_the_namespace() -> None:
    assert checks.checked_repo_id("whisper", namespace="acme") == SPACE


def test_an_id_that_was_returned_passes_without_another_check() -> None:
    strips = []

    class Text(str):
        def strip(self, chars: str | None = None) -> str:
            strips.append(str(self))
            return super().strip(chars)

    first = checks.checked_repo_id(Text(" acme/checked-once "))
    assert strips
    strips.clear()
    again = checks.checked_repo_id(Text(first))
    assert (first, again, strips) == ("acme/checked-once", "acme/checked-once", [])
    assert type(first) is type(again) is str


def test_an_owner_that_looks_like_a_host_is_valid_in_every_layer() -> None:
    repo_id = checks.checked_repo_id("https://huggingface.co/spaces/hf.co/whisper")
    assert calls.pause(repo_id).path == "/api/spaces/hf.co/whisper/pause"


@pytest.mark.parametrize(
    ("repo_id", "message"),
    [
        ("whisper", "names no owner"),
        ("", "must be a Space"),
        (None, "must be a Space"),
        ("acme/../whisper", "one slash"),
        ("acme/..", "'..'"),
        ("acme/a--b", "'--'"),
        ("acme/whisper/x", "one slash"),
        ("acme/", "name is empty"),
        ("/whisper", "owner is empty"),
        ("acme/my space", "letters"),
        ("acme/wörter", "letters"),
        ("acme/" + "x" * 97, "96"),
        ("acme/whisper.git", ".git"),
        ("acme/-whisper", "begin and end"),
        ("https://acme-whisper.hf.space", "owner/name"),
        ("https://example.com/spaces/acme/whisper", "not a URL on the Hub"),
        ("https://huggingface.co/acme/whisper", "…/spaces/owner/name"),
        ("https://huggingface.co/datasets/acme/whisper", "…/spaces/owner/name"),
        ("https://huggingface.co/spaces/acme/..%2Fwhisper", "'..'|slash"),
    ],
)
def test_an_invalid_repo_id_is_rejected_with_the_reason(repo_id: Any, message: str) -> None:
    with pytest.raises(checks.InvalidRepoId, match=message) as refusal:
        checks.checked_repo_id(repo_id)
    assert "\n" not in str(refusal.value)
    if repo_id:
        assert repr(repo_id) in str(refusal.value)


@pytest.mark.parametrize("seconds", [0, -2, -3600, 1.5, 3600.0, "3600", True, None, 2**53])
def test_an_invalid_sleep_time_is_rejected(seconds: Any) -> None:
    with pytest.raises(checks.InvalidSleepTime, match="sleep_time must"):
        calls.set_sleep_time(SPACE, seconds)
    if seconds is not None:
        with pytest.raises(checks.InvalidSleepTime):
            calls.request_hardware(SPACE, "t4-small", sleep_time=seconds)


@pytest.mark.parametrize("seconds", [1, 3600, 2**53 - 1, -1])
def test_a_sleep_time_is_accepted(seconds: int) -> None:
    assert calls.set_sleep_time(SPACE, seconds).body == {"seconds": seconds}


def flavor(name: str, micro: int) -> HardwareFlavor:
    return HardwareFlavor.from_payload({"name": name, "unitCostMicroUSD": micro, "unitLabel": "minute"})


OFFERED = [flavor("cpu-basic", 0), flavor("t4-small", 6667), flavor("b300x1", 100000)]


def test_an_unknown_flavor_is_refused_with_the_nearest_name_and_all_prices() -> None:
    with pytest.raises(checks.InvalidHardware) as refusal:
        calls.request_hardware(SPACE, "t4_smal", offered=OFFERED)
    message = str(refusal.value)
    assert "Did you mean 't4-small'?" in message
    assert "cpu-basic (free), t4-small ($0.40/h), b300x1 ($6.00/h)" in message


@pytest.mark.parametrize(
    ("family", "cheapest"),
    [("a100", "a100-large"), ("t4", "t4-small"), ("A10", "a10g-small"), ("l4", "l4x1")],
)
def test_the_name_of_a_family_suggests_its_cheapest_flavor(family: str, cheapest: str) -> None:
    with pytest.raises(checks.InvalidHardware, match=f"Did you mean '{cheapest}'"):
        calls.request_hardware(SPACE, family)
    offers = [flavor("a100x8", 333333), flavor("l4x4", 63333), flavor("t4-medium", 10000)]
    offers += [flavor("a100-large", 41667), flavor("l4x1", 13333), flavor("t4-small", 6667)]
    offers += [flavor("a10g-small", 16667)]
    with pytest.raises(checks.InvalidHardware, match=f"Did you mean '{cheapest}'"):
        calls.request_hardware(SPACE, family, offered=offers)


@pytest.mark.parametrize("hardware", ["h100", "v100", "v100x8", "gpu", "large"])
def test_no_flavor_of_another_family_is_suggested(hardware: str) -> None:
    with pytest.raises(checks.InvalidHardware) as excinfo:
        calls.request_hardware(SPACE, hardware)
    assert "Did you mean" not in str(excinfo.value)


def test_a_flavor_that_the_hub_offers_is_accepted_though_this_version_does_not_know_it() -> None:
    assert calls.request_hardware(SPACE, "b300x1", offered=OFFERED).body == {"flavor": "b300x1"}
    with pytest.raises(checks.InvalidHardware):
        calls.request_hardware(SPACE, "b300x1")


@pytest.mark.parametrize("hardware", ["", "T4-SMALL", None, 4, "t4 small"])
def test_a_flavor_that_is_not_valid_is_refused(hardware: Any) -> None:
    with pytest.raises(checks.InvalidHardware):
        calls.request_hardware(SPACE, hardware)


@pytest.mark.parametrize("key", ["", None, "1A", "A-B", "A B", "Ä"])
def test_a_key_that_is_not_valid_is_refused(key: Any) -> None:
    for refuse in (
        lambda: calls.add_secret(SPACE, key, "v"),
        lambda: calls.delete_secret(SPACE, key),
        lambda: calls.add_variable(SPACE, key, "v"),
        lambda: calls.delete_variable(SPACE, key),
        lambda: calls.duplicate(SPACE, "acme/copy", secrets=[{"key": key, "value": "v"}]),
    ):
        with pytest.raises(checks.InvalidKey):
            refuse()


def test_a_value_that_is_not_a_string_is_refused_without_being_shown() -> None:
    with pytest.raises(checks.InvalidInput, match="must be a string; got int") as refusal:
        calls.add_secret(SPACE, "KEY", 918273)  # type: ignore[arg-type]
    assert "918273" not in str(refusal.value)


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"type": "disk", "source": "a/b", "mountPath": "/data"}, "type"),
        ({"type": "bucket", "source": "data", "mountPath": "/data"}, "source"),
        ({"type": "bucket", "source": "a/b", "mountPath": "data"}, "mount_path"),
        ({"type": "bucket", "source": "a/b", "mountPath": "/data", "readOnly": "yes"}, "read_only"),
        ("a/b", "volume"),
    ],
)
def test_a_volume_that_is_not_valid_is_refused(volume: Any, message: str) -> None:
    with pytest.raises(checks.InvalidVolume, match=message):
        calls.set_volumes(SPACE, [volume])


@pytest.mark.parametrize("volumes", ["", {}, 0])
def test_volumes_of_a_new_space_or_a_copy_must_be_a_list(volumes: Any) -> None:
    with pytest.raises(checks.InvalidVolume, match="volumes must be a list"):
        calls.create_space(SPACE, sdk="gradio", volumes=volumes)
    with pytest.raises(checks.InvalidVolume, match="volumes must be a list"):
        calls.duplicate(SPACE, "acme/copy", volumes=volumes)


def test_only_a_copy_needs_an_empty_list_of_volumes() -> None:
    assert "volumes" not in (calls.create_space(SPACE, sdk="gradio", volumes=[]).body or {})
    assert (calls.duplicate(SPACE, "acme/copy", volumes=[]).body or {})["volumes"] == []


def test_an_empty_secret_is_not_hidden_in_messages() -> None:
    for call in (
        calls.create_space(SPACE, sdk="gradio", secrets={"A": "", "B": "s3cr3t"}),
        calls.duplicate(SPACE, "acme/copy", secrets={"A": "", "B": "s3cr3t"}),
    ):
        assert call.confidential == ("s3cr3t",)


def test_an_empty_list_of_volumes_is_refused_with_the_call_that_deletes_them() -> None:
    with pytest.raises(checks.InvalidVolume, match="delete"):
        calls.set_volumes(SPACE, [])


@pytest.mark.parametrize("replicas", [0, -1, 1.5, "2", True])
def test_a_number_of_replicas_that_is_not_valid_is_refused(replicas: Any) -> None:
    with pytest.raises(checks.InvalidNumber):
        calls.set_replicas(SPACE, replicas)


def test_an_unknown_storage_tier_is_refused_with_the_three_tiers() -> None:
    with pytest.raises(checks.InvalidStorage, match="small, medium, large"):
        calls.request_storage(SPACE, "huge")


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("http://hub.acme.test", "unencrypted to hub.acme.test"),
        ("ftp://huggingface.co", "https://host"),
        ("huggingface.co", "https://host"),
        ("https://me:secret@huggingface.co", "a user name"),
        ("https://huggingface.co?x=1", "a query"),
        ("https://[x", "https://host"),
        ("https://huggingface.co:port", "https://host"),
        ("https://huggingface.co:99999", "https://host"),
        ("https://hugging face.co", "a character that is not allowed"),
    ],
)
def test_an_endpoint_that_leaks_a_token_or_is_not_valid_is_refused(endpoint: str, message: str) -> None:
    with pytest.raises(checks.InvalidEndpoint, match=message) as refusal:
        HubClient("hf_token", endpoint)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:8900/", "http://localhost:1", "http://[::1]:1"])
def test_http_is_accepted_on_this_host(endpoint: str) -> None:
    assert HubClient("hf_token", endpoint).endpoint == endpoint.rstrip("/")


def test_http_is_accepted_elsewhere_only_when_allowed() -> None:
    assert HubClient("hf_token", "http://hub.acme.test", allow_http=True).endpoint == "http://hub.acme.test"


@pytest.mark.parametrize("owner", ["", "..", "../x", "a/b", "a b", None])
def test_an_invalid_owner_is_rejected(owner: Any) -> None:
    with pytest.raises(checks.InvalidInput, match="not a valid name of a user or an organization"):
        calls.get_billing_usage(organization=owner) if owner is not None else checks.checked_owner(owner)


def test_a_single_name_is_not_split_into_letters() -> None:
    assert calls.get_space(SPACE, expand="runtime").query == (("expand", "runtime"),)
    assert calls.list_spaces(expand="runtime", filter="gradio").query == (
        ("filter", "gradio"),
        ("expand", "runtime"),
    )


@pytest.mark.parametrize(
    ("sha", "wanted", "expected"),
    [
        ("ABCDEF0" + "1" * 33, "abcdef0", True),
        ("abcdef0" + "1" * 33, "ABCDEF01", True),
        ("abcdef0" + "1" * 33, "abcdef1", False),
        (None, "abcdef0", False),
    ],
)
def test_a_commit_is_compared_by_its_first_digits_in_any_case(
    sha: str | None, wanted: str, expected: bool
) -> None:
    assert checks.is_commit(sha, wanted) is expected
