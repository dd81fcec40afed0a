"""Runs the official client in an environment of its own, for a test.

One JSON object a line on standard input: which method of ``HfApi``, with which arguments. One on
standard output: what it returned, or what it raised. Needs nothing but ``huggingface_hub``.
"""

import base64
import dataclasses
import datetime
import io
import json
import sys
import types
import warnings

warnings.simplefilter("ignore")

import huggingface_hub  # noqa: E402


def main():
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"returned": plain(carry_out(order))}
        except Exception as error:
            answer = {
                "raised": type(error).__name__,
                "kinds": [kind.__name__ for kind in type(error).__mro__],
                "message": str(error),
                "status": getattr(getattr(error, "response", None), "status_code", None),
            }
        print(json.dumps(answer), flush=True)


def carry_out(order):
    if order["method"] == "version":
        return huggingface_hub.__version__
    api = huggingface_hub.HfApi(token=order["token"] or False)
    values = {name: argument(value) for name, value in order["options"].items()}
    return getattr(api, order["method"])(*map(argument, order["arguments"]), **values)


def argument(value):
    if isinstance(value, dict) and "volume" in value:
        return huggingface_hub.Volume(**value["volume"])
    if isinstance(value, dict) and "add" in value:
        content = base64.b64decode(value["bytes"])
        return huggingface_hub.CommitOperationAdd(path_in_repo=value["add"], path_or_fileobj=content)
    if isinstance(value, dict) and "delete" in value:
        return huggingface_hub.CommitOperationDelete(path_in_repo=value["delete"])
    if isinstance(value, dict) and "bytes" in value:
        return io.BytesIO(base64.b64decode(value["bytes"]))
    if isinstance(value, list):
        return [argument(each) for each in value]
    return value


def plain(value):
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, huggingface_hub.RepoUrl):
        return {"url": str(value), "repo_id": value.repo_id, "endpoint": value.endpoint}
    if isinstance(value, huggingface_hub.CommitInfo):
        return {"url": str(value), "oid": value.oid}
    if isinstance(value, str):
        # a member of an enumeration is its value
        return str(getattr(value, "value", value))
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, types.GeneratorType)) or hasattr(value, "__next__"):
        return [plain(each) for each in value]
    if dataclasses.is_dataclass(value) or hasattr(value, "__dict__"):
        return {name: plain(each) for name, each in vars(value).items() if not name.startswith("_")}
    return repr(value)


main()
