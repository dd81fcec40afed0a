"""The files in the first commit of a new repository."""

from __future__ import annotations

import json
from collections.abc import Mapping

from airflow_provider_hfspaces.emulator.model.card import README, app_file

__all__ = ["GITATTRIBUTES", "first_files"]

_LFS_PATTERNS = (
    *("*.7z", "*.arrow", "*.bin", "*.bz2", "*.ckpt", "*.ftz", "*.gz", "*.h5", "*.joblib", "*.lfs.*"),
    *("*.mlmodel", "*.model", "*.msgpack", "*.npy", "*.npz", "*.onnx", "*.ot", "*.parquet", "*.pb"),
    *("*.pickle", "*.pkl", "*.pt", "*.pth", "*.rar", "*.safetensors", "saved_model/**/*", "*.tar.*"),
    *("*.tar", "*.tflite", "*.tgz", "*.wasm", "*.xz", "*.zip", "*.zst", "*tfevents*"),
)

GITATTRIBUTES = "".join(f"{each} filter=lfs diff=lfs merge=lfs -text\n" for each in _LFS_PATTERNS).encode()
"""Content of ``.gitattributes`` in a new repository, which selects the files to keep outside git."""

_README = """---
title: {title}
emoji: 🐠
colorFrom: red
colorTo: yellow
sdk: {sdk}
{more}app_file: {app_file}
pinned: false
---

Check out the configuration reference at https://huggingface.co/docs/hub/spaces-config-reference
"""
_GRADIO_VERSION = "5.49.1"
_PAGE = b"""<!doctype html>
<html>
  <head>
    <meta charset="utf-8" />
    <title>My static Space</title>
    <link rel="stylesheet" href="style.css" />
  </head>
  <body>
    <h1>Welcome to your static Space!</h1>
  </body>
</html>
"""
_STYLE = b"body {\n  padding: 2rem;\n  font-family: sans-serif;\n}\n"


def first_files(
    name: str, sdk: str, *, with_app: bool, card: Mapping[str, str] | None = None
) -> Mapping[str, bytes]:
    """The files of a new Space.

    :param with_app: whether to add an empty app file. Static Spaces always get an ``index.html``.
    :param card: further values of the front matter, by key.
    """
    more = {"sdk_version": _GRADIO_VERSION} if sdk == "gradio" else {}
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in {**more, **(card or {})}.items())
    title = " ".join(word.capitalize() for word in name.replace("_", "-").split("-")).strip()
    file = app_file({"sdk": sdk})
    readme = _README.format(title=f'"{title or name}"', sdk=sdk, more=lines, app_file=file)
    if sdk == "docker":
        readme = readme.replace(f"app_file: {file}\n", "")
    files = {".gitattributes": GITATTRIBUTES, README: readme.encode()}
    if sdk == "static":
        return {**files, file: _PAGE, "style.css": _STYLE}
    return {**files, file: b""} if with_app else files
