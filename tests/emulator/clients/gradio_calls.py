"""Calls the built-in endpoints with the official client, and prints the answers as JSON. Runs without this
package, with Gradio's client of any version: ``python gradio_calls.py SPACE_OR_URL TOKEN``."""

import contextlib
import io
import json
import os
import sys
import tempfile

import gradio_client
from gradio_client import Client

handle_file = gradio_client.handle_file if hasattr(gradio_client, "handle_file") else gradio_client.file
source, token = sys.argv[1:]
major = int(gradio_client.__version__.split(".")[0])
client = Client(source, verbose=False, **{"token" if major >= 2 else "hf_token": token})
path = os.path.join(tempfile.mkdtemp(), "a b é.txt")
with open(path, "w") as file:
    file.write("hello")


def generator(api):
    job = client.submit(3, api_name=api)
    return job.result(30), job.outputs()


def text_of(name):
    with open(name) as file:
        return file.read()


def failure(call):
    try:
        call()
    except Exception as problem:
        return type(problem).__name__
    return None


with contextlib.redirect_stdout(io.StringIO()):
    pictures = client.predict("cat", 2, api_name="/gallery")
    answers = {
        "echo": client.predict("é😀", api_name="/echo"),
        "two": client.predict("abc", api_name="/two"),
        "defaults": client.predict(a="x", c="y", api_name="/defaults"),
        "remember": [client.predict("x", api_name="/remember") for _ in range(2)],
        "count": generator("/count"),
        "rows": generator("/rows")[0],
        "upper_file": text_of(client.predict(handle_file(path), api_name="/upper_file")),
        "describe_files": client.predict([handle_file(path)], api_name="/describe_files"),
        "gallery": [(os.path.basename(each["image"]), each["caption"]) for each in pictures],
        "big": len(client.predict(10_000_000, api_name="/big")),
        "gr_error": failure(lambda: client.predict("x", api_name="/gr_error")),
        "value_error": failure(lambda: client.predict("x", api_name="/value_error")),
        "hidden": failure(lambda: client.predict("x", api_name="/hidden")),
        "two without its input": failure(lambda: client.predict(api_name="/two")),
    }
print(json.dumps(answers), flush=True)
# The client's threads would keep the process alive.
os._exit(0)
