"""Files: uploaded from any path, recognized in answers at any depth, downloaded from the Space's own host."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces import space_app as errors
from airflow_provider_hfspaces.hub import InvalidInput
from airflow_provider_hfspaces.space_app import AppLimits, InvalidAppInput
from tests.space_app.app_server import CUT, Reply, html
from tests.space_app.conftest import TOKEN, Caller
from tests.space_app.gradio_app import GradioApp, file_data

Made = Callable[..., Caller]
UPLOAD = "POST /gradio_api/upload"


class ObjectPath:
    """A file in an object store, as ``ObjectStoragePath`` shows it: a name, and ``open``."""

    name = "stored.bin"

    def __init__(self, content: bytes = b"") -> None:
        self.content = content
        self.modes: list[str] = []

    def open(self, mode: str) -> Any:
        self.modes.append(mode)
        if mode == "rb":
            return io.BytesIO(self.content)
        file = self

        class Writing(io.BytesIO):
            def close(self) -> None:
                file.content = self.getvalue()
                super().close()

        return Writing()

    def unlink(self, missing_ok: bool = False) -> None:
        self.modes.append("unlink")


def test_a_path_is_uploaded_and_its_place_in_the_app_is_sent(
    client: Made, gradio: GradioApp, tmp_path: Path
) -> None:
    source = tmp_path / 'ä "b" c.txt'
    source.write_bytes(b"\r\n--hello--\r\n")
    client(gradio.url).call("/upper", {"file": source})
    (path,) = gradio.files
    assert gradio.files[path] == b"\r\n--hello--\r\n"
    (file_data_of_call,) = gradio.requests_named("POST /gradio_api/call/upper")[0].json["data"]
    assert file_data_of_call == {
        "path": path,
        "orig_name": 'ä "b" c.txt',
        "meta": {"_type": "gradio.FileData"},
    }


def test_files_at_any_depth_are_uploaded_in_one_request(
    client: Made, gradio: GradioApp, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"1")
    file = ObjectPath(b"22")
    client(gradio.url).call("/anything", [{"chat": [{"files": [tmp_path / "a", file]}, file]}])
    assert list(gradio.files.values()) == [b"1", b"22", b"22"]
    assert len(gradio.requests_named(UPLOAD)) == 1
    (payload,) = gradio.requests_named("POST /gradio_api/call/anything")[0].json["data"]
    assert [each["orig_name"] for each in payload["chat"][0]["files"]] == ["a", "stored.bin"]


def test_a_large_file_is_sent_in_pieces(client: Made, gradio: GradioApp) -> None:
    gradio.config["max_file_size"] = None
    content = bytes(range(256)) * 8_192
    client(gradio.url).call("/upper", [ObjectPath(content)])
    assert list(gradio.files.values()) == [content]


def test_a_file_above_the_app_s_limit_is_refused_before_it_is_sent(client: Made, gradio: GradioApp) -> None:
    words = r"accepts files of at most 1,000 bytes; 'stored.bin' has 1,001"
    with pytest.raises(errors.AppInputTooLarge, match=words):
        client(gradio.url).call("/upper", [ObjectPath(b"x" * 1_001)])
    assert gradio.requests_named(UPLOAD) == []


def test_an_upload_that_returns_too_few_paths_is_an_error(client: Made, gradio: GradioApp) -> None:
    gradio.replies[UPLOAD] = [Reply(body=[])]
    with pytest.raises(errors.AppProtocolError, match="did not return 1 paths"):
        client(gradio.url).call("/upper", [ObjectPath(b"x")])
    assert gradio.requests_named("POST /gradio_api/call/upper") == []


def test_an_upload_to_an_app_that_restarts_begins_again(client: Made, gradio: GradioApp) -> None:
    gradio.replies["POST /gradio_api/call/upper"] = [html(503)]
    client(gradio.url).call("/upper", [ObjectPath(b"x")], patience=60)
    assert len(gradio.requests_named(UPLOAD)) == 2
    upload_path = gradio.requests_named("POST /gradio_api/call/upper")[-1].json["data"][0]["path"]
    assert upload_path == list(gradio.files)[-1]


def test_a_file_that_changes_while_it_is_sent_is_not_sent_whole(client: Made, gradio: GradioApp) -> None:
    class Shrinking(ObjectPath):
        def open(self, mode: str) -> Any:
            file = super().open(mode)
            self.content = self.content[:1]
            return file

    with pytest.raises(InvalidAppInput, match="changed while it was uploaded"):
        client(gradio.url).call("/upper", [Shrinking(b"xyz")])
    assert gradio.files == {}


def test_a_target_that_cannot_be_written_is_not_reported_as_an_error_of_the_app(
    client: Made, gradio: GradioApp
) -> None:
    class Full(ObjectPath):
        def open(self, mode: str) -> Any:
            raise OSError("No space left on device")

    gradio.files["/tmp/a"] = b"hello"
    with pytest.raises(OSError, match="No space left on device"):
        client(gradio.url).download(file_data("/tmp/a"), Full())


def test_object_storage_paths_are_read_and_written(client: Made, gradio: GradioApp, tmp_path: Path) -> None:
    from airflow_provider_hfspaces.compat.imports import object_storage_path as object_storage_path

    source = object_storage_path(f"file://{tmp_path}/in.txt")
    target = object_storage_path(f"file://{tmp_path}/out.txt")
    source.write_text("hello")
    app = client(gradio.url)
    app.call("/upper", [source])
    (path,) = gradio.files
    assert app.download(file_data(path), target) == 5
    assert target.read_text() == "hello"
    with pytest.raises(errors.AppRejected):
        app.download(file_data("/tmp/missing"), target)


def test_files_may_be_uploaded_once_for_many_calls(client: Made, gradio: GradioApp) -> None:
    app = client(gradio.url)
    (upload,) = app.upload(ObjectPath(b"once"))
    app.call("/upper", [upload])
    app.call("/upper", [upload])
    assert len(gradio.requests_named(UPLOAD)) == 1


def test_files_of_an_answer_are_found_at_any_depth_and_downloaded_from_the_space_itself(
    client: Made, gradio: GradioApp, tmp_path: Path
) -> None:
    names = ["/tmp/gradio/1/a b.txt", "/tmp/gradio/2/ü.png"]
    gradio.files.update({names[0]: b"hello", names[1]: b""})
    gallery = [{"image": file_data(names[0]), "caption": "one"}, [file_data(names[1]), "two"]]
    gradio.functions["echo"] = lambda text: [gallery]
    app = client(gradio.url)
    result = app.call("/echo", ["x"])
    assert [each["path"] for each in result.files] == names
    sizes = [
        app.download(each, tmp_path / str(number), replica=result.replica)
        for number, each in enumerate(result.files)
    ]
    assert sizes == [5, 0]
    assert (tmp_path / "0").read_bytes() == b"hello"
    assert (tmp_path / "1").read_bytes() == b""
    assert gradio.requests[-1].headers["x-hf-authorization"] == f"Bearer {TOKEN}"


def test_a_mapping_that_only_looks_like_a_file_is_not_downloaded(client: Made, gradio: GradioApp) -> None:
    gradio.functions["echo"] = lambda text: [{"path": "/etc/hostname", "url": "x", "size": 3}]
    assert client(gradio.url).call("/echo", ["x"]).files == []


def test_a_download_may_go_to_an_object_store(client: Made, gradio: GradioApp) -> None:
    gradio.files["/tmp/a"] = b"hello"
    target = ObjectPath()
    assert client(gradio.url).download(file_data("/tmp/a"), target) == 5
    assert (target.content, target.modes) == (b"hello", ["wb"])


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(403, {"detail": "File not allowed: /tmp/a."}), errors.AppRejected),
        (html(503), errors.AppUnavailable),
        (Reply(200, chunks=[b"hel", CUT]), errors.AppUnavailable),
        (Reply(307, b"", {"Location": "https://elsewhere.test/a"}), errors.AppProtocolError),
        (Reply(200, b"x" * 2_000), errors.AppProtocolError),
    ],
)
def test_a_download_that_fails_leaves_no_file(
    client: Made, gradio: GradioApp, tmp_path: Path, reply: Reply, kind: type[Exception]
) -> None:
    gradio.replies["GET /gradio_api/file=/tmp/a"] = [reply]
    app = client(gradio.url, limits=AppLimits(answer_bytes=2**20, download_bytes=1_000))
    with pytest.raises(kind):
        app.download(file_data("/tmp/a"), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", [{}, {"path": ""}, {**file_data("/tmp/live"), "is_stream": True}])
def test_a_file_that_cannot_be_downloaded_is_refused(client: Made, gradio: GradioApp, file: Any) -> None:
    with pytest.raises(InvalidAppInput, match=r"with a 'path'|is a live stream"):
        client(gradio.url).download(file, "/nowhere/at/all")


def test_a_text_is_not_uploaded_as_a_file(client: Made, gradio: GradioApp) -> None:
    with pytest.raises(InvalidInput, match="'file' must be a file"):
        client(gradio.url).call("/upper", {"file": "/etc/hostname"})
    assert gradio.requests_named(UPLOAD) == []
