"""Runs gradio_client in an environment of its own, for a test.

``oracle.py URL`` reads one JSON object a line: an endpoint, its inputs, and what to do. It prints one JSON
object a line: the value, or the error. Files are shown by the SHA-256 of their content.
"""

import hashlib
import json
import os
import sys
import threading

import gradio_client
from gradio_client import Client, handle_file


def main():
    client = Client(sys.argv[1], verbose=False)
    print(json.dumps({"version": gradio_client.__version__}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"value": plain(carried_out(client, order))}
        except BaseException as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps(answer), flush=True)


def carried_out(client, order):
    inputs = argument(order["inputs"])
    options = {"api_name": order["api"]}
    positional, keywords = (inputs, {}) if isinstance(inputs, list) else ([], inputs)
    if order.get("cancel_after"):
        job = client.submit(*positional, **keywords, **options)
        threading.Timer(order["cancel_after"], job.cancel).start()
        return job.result(timeout=order["timeout"])
    return client.submit(*positional, **keywords, **options).result(timeout=order.get("timeout", 120))


def argument(value):
    if isinstance(value, dict) and "file" in value:
        return handle_file(value["file"])
    if isinstance(value, dict):
        return {key: argument(each) for key, each in value.items()}
    if isinstance(value, list):
        return [argument(each) for each in value]
    return value


def plain(value):
    if isinstance(value, str) and os.path.isabs(value) and os.path.isfile(value):
        with open(value, "rb") as file:
            return {"file": hashlib.sha256(file.read()).hexdigest()}
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


if __name__ == "__main__":
    main()
