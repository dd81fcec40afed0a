"""Large files on the emulated Hub: Git LFS, parts, Xet, ranges, and the state file."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.commits import commit
from tests.emulator.conftest import Ask

SPACE = "acme/whisper"
API = f"/api/spaces/{SPACE}"
BATCH = f"/spaces/{SPACE}.git/info/lfs/objects/batch"
WEIGHTS = bytes(range(256)) * 50
OID = hashlib.sha256(WEIGHTS).hexdigest()
OBJECT = {"oid": OID, "size": len(WEIGHTS)}


@pytest.fixture
def hub_with_space(hub: HubEmulator) -> HubEmulator:
    hub.add_space(SPACE)
    return hub


def batch(ask: Ask, operation: str = "upload", **more: Any) -> dict[str, Any]:
    body = {"operation": operation, "transfers": ["basic", "multipart"], "objects": [OBJECT], **more}
    answer = ask("POST", BATCH, body)
    assert answer.status_code == 200, answer.text
    (entry,) = answer.json()["objects"]
    return dict(entry)


def upload(ask: Ask, content: bytes = WEIGHTS) -> int:
    return requests.put(batch(ask)["actions"]["upload"]["href"], data=content, timeout=5).status_code


def large(path: str = "model.bin", **more: Any) -> dict[str, Any]:
    return {"key": "lfsFile", "value": {"path": path, "algo": "sha256", **OBJECT, **more}}


class TestLfs:
    def test_a_large_file_is_uploaded_verified_committed_and_downloaded(
        self, hub_with_space: HubEmulator, ask: Ask
    ) -> None:
        verify = batch(ask)["actions"]["verify"]["href"].removeprefix(hub_with_space.url)
        assert ask("POST", verify, OBJECT).status_code == 404
        assert upload(ask) == 200
        assert ask("POST", verify, OBJECT).status_code == 200
        assert ask("POST", verify, {**OBJECT, "size": 1}).status_code == 404
        assert commit(hub_with_space, {}, large()).status_code == 200
        file = ask("GET", f"/spaces/{SPACE}/resolve/main/model.bin")
        assert (file.content, file.headers["X-Linked-ETag"]) == (WEIGHTS, f'"{OID}"')
        assert hub_with_space.files(SPACE)["model.bin"] == WEIGHTS
        assert hub_with_space.space(SPACE).stage == "RUNNING_BUILDING"
        assert "actions" not in batch(ask), "what the Hub has needs no second upload"

    def test_lists_have_the_size_of_the_file_and_of_its_pointer(
        self, hub_with_space: HubEmulator, ask: Ask
    ) -> None:
        upload(ask)
        commit(hub_with_space, {}, large())
        (entry,) = ask("POST", f"{API}/paths-info/main", {"paths": ["model.bin"]}).json()
        assert (entry["size"], entry["lfs"]["oid"], entry["lfs"]["pointerSize"]) == (len(WEIGHTS), OID, 130)
        siblings = {each["rfilename"]: each for each in ask("GET", f"{API}?blobs=true").json()["siblings"]}
        assert siblings["model.bin"]["lfs"]["sha256"] == OID
        assert ask("GET", f"{API}?expand=usedStorage").json()["usedStorage"] > len(WEIGHTS)

    def test_content_that_was_not_announced_is_not_kept(self, hub_with_space: HubEmulator, ask: Ask) -> None:
        assert upload(ask, b"something else") == 400
        assert commit(hub_with_space, {}, large()).status_code == 400
        assert "actions" in batch(ask)

    def test_a_commit_cannot_name_a_file_with_the_wrong_size(
        self, hub_with_space: HubEmulator, ask: Ask
    ) -> None:
        upload(ask)
        assert commit(hub_with_space, {}, large(size=1)).status_code == 400
        assert commit(hub_with_space, {}, large(oid="../../etc/passwd")).status_code == 400

    def test_an_address_of_the_storage_needs_its_signature(
        self, hub_with_space: HubEmulator, ask: Ask
    ) -> None:
        href = batch(ask)["actions"]["upload"]["href"]
        for wrong in (href.partition("?")[0], href.replace("size=", "size=1"), f"{href}0"):
            assert requests.put(wrong, data=WEIGHTS, timeout=5).status_code == 403
        assert requests.get(f"{hub_with_space.url}/_storage/lfs/{OID}", timeout=5).status_code == 403
        assert requests.get(f"{hub_with_space.url}/_storage/etc/passwd", timeout=5).status_code == 404

    def test_a_file_can_be_uploaded_in_parts(self, hub_with_space: HubEmulator, ask: Ask) -> None:
        hub_with_space.settings.change({"lfs_part_bytes": 5000})
        action = batch(ask)["actions"]["upload"]
        parts = {name: url for name, url in action["header"].items() if name.isdigit()}
        assert (action["header"]["chunk_size"], list(parts)) == ("5000", ["00001", "00002", "00003"])
        etags = []
        for name, url in parts.items():
            start = (int(name) - 1) * 5000
            answer = requests.put(url, data=WEIGHTS[start : start + 5000], timeout=5)
            etags.append({"partNumber": int(name), "etag": answer.headers["ETag"]})
            if name == "00001":
                early = requests.post(action["href"], json={"oid": OID, "parts": [*etags, {}]}, timeout=5)
                assert early.status_code == 400
        assert requests.post(action["href"], json={"oid": OID, "parts": etags}, timeout=5).status_code == 200
        assert commit(hub_with_space, {}, large()).status_code == 200
        assert hub_with_space.files(SPACE)["model.bin"] == WEIGHTS
        assert (
            "chunk_size"
            not in batch(ask, objects=[{"oid": "0" * 64, "size": 5000}])["actions"]["upload"]["header"]
        )

    def test_a_file_is_downloaded_by_its_own_address_too(self, hub_with_space: HubEmulator, ask: Ask) -> None:
        assert batch(ask, "download")["error"]["code"] == 404
        upload(ask)
        href = batch(ask, "download")["actions"]["download"]["href"]
        assert requests.get(href, timeout=5).content == WEIGHTS
        assert requests.get(href, headers={"Range": "bytes=2-4"}, timeout=5).content == WEIGHTS[2:5]

    def test_an_address_for_uploads_needs_write_access(self, hub_with_space: HubEmulator, ask: Ask) -> None:
        body = {"operation": "upload", "objects": [OBJECT]}
        assert ask("POST", BATCH, body, token=hub_with_space.add_token("mallory")).status_code == 403
        assert ask("POST", BATCH, body, token=None).status_code == 401
        token = f"{API}/xet-write-token/main"
        assert ask("GET", token, token=hub_with_space.add_token("mallory")).status_code == 403

    @pytest.mark.parametrize(
        "body",
        [
            {"operation": "steal", "objects": []},
            {"operation": "upload", "objects": None},
            {"operation": "upload", "objects": [{"oid": "x", "size": 1}]},
            {"operation": "upload", "objects": [{"oid": OID, "size": -1}]},
            {"operation": "upload", "objects": ["x"]},
        ],
    )
    def test_a_batch_that_is_not_valid_is_refused(
        self, hub_with_space: HubEmulator, ask: Ask, body: dict[str, Any]
    ) -> None:
        assert ask("POST", BATCH, body).status_code == 422

    def test_size_and_gitattributes_decide_what_is_large(self, hub_with_space: HubEmulator, ask: Ask) -> None:
        def mode(path: str, size: int = 10) -> str:
            body = {"files": [{"path": path, "size": size, "sample": ""}]}
            return str(ask("POST", f"{API}/preupload/main", body).json()["files"][0]["uploadMode"])

        assert (mode("app.py"), mode("model.safetensors"), mode("deep/x.bin")) == ("regular", "lfs", "lfs")
        assert (mode("a.txt", 10 * 2**20), mode("a.txt", 10 * 2**20 + 1)) == ("regular", "lfs")
        commit(hub_with_space, {".gitattributes": b"*.txt filter=lfs diff=lfs\n"})
        assert (mode("a.txt"), mode("x.bin")) == ("lfs", "regular")

    def test_a_regular_file_must_not_be_larger_than_ten_megabytes(self, hub_with_space: HubEmulator) -> None:
        answer = commit(hub_with_space, {"big.txt": bytes(10 * 2**20 + 1)})
        assert answer.status_code == 400
        assert "use LFS" in answer.json()["error"]


class TestFaults:
    def test_an_upload_can_break_off_and_be_sent_again(self, hub_with_space: HubEmulator, ask: Ask) -> None:
        hub_with_space.faults.add(kind="reset", method="PUT", path="^/_storage/", times=1)
        with pytest.raises(requests.ConnectionError):
            upload(ask)
        assert upload(ask) == 200

    def test_an_upload_can_be_kept_though_its_answer_is_lost(
        self, hub_with_space: HubEmulator, ask: Ask
    ) -> None:
        hub_with_space.faults.add(
            kind="status", status=503, method="PUT", path="^/_storage/", after=True, times=1
        )
        assert upload(ask) == 503
        assert "actions" not in batch(ask)


class TestRanges:
    @pytest.mark.parametrize("path", ["app.py", "model.bin"])
    @pytest.mark.parametrize(
        ("requested", "part"),
        [
            ("bytes=0-1", slice(0, 2)),
            ("bytes=100-", slice(100, None)),
            ("bytes=-5", slice(-5, None)),
            ("bytes=5-999999", slice(5, None)),
        ],
    )
    def test_a_part_of_a_file_is_a_206(
        self, hub_with_space: HubEmulator, ask: Ask, path: str, requested: str, part: slice
    ) -> None:
        upload(ask)
        commit(hub_with_space, {"app.py": WEIGHTS}, large())
        url = f"{hub_with_space.url}/spaces/{SPACE}/resolve/main/{path}"
        answer = requests.get(url, headers={"Range": requested}, timeout=5)
        assert (answer.status_code, answer.content) == (206, WEIGHTS[part])
        assert answer.headers["Content-Range"].endswith(f"/{len(WEIGHTS)}")
        beyond = requests.get(url, headers={"Range": "bytes=999999-"}, timeout=5)
        assert beyond.status_code == 416


class TestXet:
    """Clients of recent versions upload in this format; tests with them are in test_uploads."""

    @pytest.fixture
    def storage(self, hub_with_space: HubEmulator, ask: Ask) -> Any:
        body = ask("GET", f"{API}/xet-write-token/main").json()

        def post(path: str, data: bytes, token: str | None = None) -> requests.Response:
            headers = {"Authorization": f"Bearer {token or body['accessToken']}"}
            return requests.post(f"{body['casUrl']}/v1/{path}", data=data, headers=headers, timeout=5)

        return post

    @staticmethod
    def xet_hash(hexadecimal: str) -> bytes:
        raw = bytes.fromhex(hexadecimal)
        return b"".join(raw[start : start + 8][::-1] for start in range(0, 32, 8))

    def shard(self, xorb: str, chunks: int, sha256: str = OID) -> bytes:
        head = b"HFRepoMetaData".ljust(32, b"\0") + struct.pack("<QQ", 2, 0)
        file = b"f" * 32 + struct.pack("<IIQ", 1 << 30, 1, 0)
        segment = self.xet_hash(xorb) + struct.pack("<IIII", 0, len(WEIGHTS), 0, chunks)
        return head + file + segment + self.xet_hash(sha256) + bytes(16) + b"\xff" * 32 + bytes(16)

    @staticmethod
    def xorb(*chunks: bytes, scheme: int = 0) -> bytes:
        sizes = [(len(each).to_bytes(3, "little"), each) for each in chunks]
        return b"".join(b"\0" + size + bytes([scheme]) + size + each for size, each in sizes)

    def test_a_file_is_put_together_from_its_chunks(
        self, hub_with_space: HubEmulator, ask: Ask, storage: Any
    ) -> None:
        name = "a" * 64
        assert storage(f"xorbs/default/{name}", self.xorb(WEIGHTS[:7000], WEIGHTS[7000:])).json() == {
            "was_inserted": True
        }
        assert storage("shards", self.shard(name, 2)).status_code == 200
        assert commit(hub_with_space, {}, large()).status_code == 200
        assert hub_with_space.files(SPACE)["model.bin"] == WEIGHTS

    @pytest.mark.parametrize(
        ("chunks", "scheme", "sha256", "message"),
        [
            (3, 0, OID, "has 2 chunks, not 3"),
            (2, 9, OID, "compressed in an unknown way"),
            (2, 1, OID, "not in the LZ4 format"),
            (2, 0, "0" * 64, "SHA-256"),
        ],
    )
    def test_an_upload_that_does_not_add_up_is_refused(
        self, hub_with_space: HubEmulator, storage: Any, chunks: int, scheme: int, sha256: str, message: str
    ) -> None:
        name = "b" * 64
        storage(f"xorbs/default/{name}", self.xorb(WEIGHTS[:7000], WEIGHTS[7000:], scheme=scheme))
        answer = storage("shards", self.shard(name, chunks, sha256))
        assert answer.status_code == 400
        assert message in answer.json()["error"]
        assert storage("shards", self.shard("c" * 64, 1)).status_code == 400
        assert storage("shards", b"not a shard").status_code == 400
        assert storage("shards", self.shard(name, chunks)[:100]).status_code == 400
        assert commit(hub_with_space, {}, large()).status_code == 400

    def test_another_token_is_refused(self, hub_with_space: HubEmulator, storage: Any) -> None:
        assert storage("shards", b"", token="wrong").status_code == 401


def test_large_files_are_saved_beside_the_state_file(
    hub_with_space: HubEmulator, ask: Ask, tmp_path: Path
) -> None:
    upload(ask)
    commit(hub_with_space, {}, large())
    commit(hub_with_space, {}, deletions=["model.bin"])
    hub_with_space.save(tmp_path / "hub.json")
    with HubEmulator(speed=0) as other:
        other.load(tmp_path / "hub.json")
        before = [each for each in other.files(SPACE, "main") if each == "model.bin"]
        assert before == []
        older = ask("GET", f"{API}/commits/main").json()[1]["id"]
        assert other.files(SPACE, older)["model.bin"] == WEIGHTS


def test_a_reset_forgets_large_files(hub_with_space: HubEmulator, ask: Ask) -> None:
    upload(ask)
    hub_with_space.reset()
    hub_with_space.add_space(SPACE)
    assert "actions" in batch(ask)
