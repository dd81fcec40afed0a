"""A real Gradio app with the built-in endpoints of the miniature one. Runs on Gradio 4, 5 and 6, without this
package: ``python gradio_twin.py PORT``."""

import asyncio
import os
import sys
import tempfile
import time

import gradio as gr

VERSION = int(gr.__version__.split(".")[0])


def echo(text):
    return text


def slow(text, seconds):
    time.sleep(seconds)
    return f"{text}!"


async def nap(text, seconds):
    await asyncio.sleep(seconds)
    return f"{text}!"


async def count(n):
    for number in range(int(n)):
        await asyncio.sleep(0.1)
        yield f"step {number}"


async def rows(n):
    items = []
    for number in range(int(n)):
        await asyncio.sleep(0.1)
        items = [*items, number]
        yield {"items": items, "last": number}


async def fail_late(n):
    for number in range(int(n)):
        await asyncio.sleep(0.1)
        yield f"step {number}"
    raise ValueError("failed after its steps")


def gr_error(text):
    raise gr.Error(f"bad input: {text}")


def value_error(text):
    raise ValueError(f"secret detail {text}")


def upper_file(file):
    path = os.path.join(tempfile.mkdtemp(), "out file.txt")
    with open(file) as source, open(path, "w") as target:
        target.write(source.read().upper())
    return path


def describe_files(files):
    return [{"name": os.path.basename(file), "size": os.path.getsize(file)} for file in files or []]


def defaults(a, b, c):
    return f"{a}|{b:g}|{c}"


def remember(text, calls):
    number = (calls or 0) + 1
    return f"{text}:{number}", number


def reverse(words):
    return [[word[::-1] for word in words]]


def two(text):
    return text, len(text)


def nothing():
    return None


def unusual_json():
    return {"nan": float("nan"), "inf": float("inf"), "text": "é😀\u2028x"}


with gr.Blocks() as demo:
    text, seconds, n = gr.Textbox(label="Text"), gr.Number(1, label="Seconds"), gr.Number(3, label="N")
    a, b, c = gr.Textbox(label="A"), gr.Number(1, label="B"), gr.Textbox("see", label="C")
    words = gr.Textbox(label="Words")
    file, files = gr.File(label="File"), gr.File(label="Files", file_count="multiple")
    state = gr.State(0)
    out, length, json = gr.Textbox(label="Output 1"), gr.Number(label="Output 2"), gr.JSON(label="Output 1")
    out_file = gr.File(label="Output 1")

    def add(function, inputs, outputs, name=None, **options):
        gr.Button(function.__name__).click(
            function, inputs, outputs, api_name=function.__name__ if name is None else name, **options
        )

    add(echo, [text], [out])
    add(slow, [text, seconds], [out])
    add(nap, [text, seconds], [out], concurrency_limit=None)
    add(count, [n], [out])
    add(rows, [n], [json])
    add(fail_late, [n], [out])
    add(gr_error, [text], [out])
    add(value_error, [text], [out])
    add(upper_file, [file], [out_file])
    add(describe_files, [files], [json])
    add(defaults, [a, b, c], [out])
    add(remember, [text, state], [out, state])
    add(reverse, [words], [out], batch=True, max_batch_size=4)
    add(two, [text], [out, length])
    add(nothing, None, None)
    add(unusual_json, None, [json])
    add(echo, [text], [out], "unqueued", queue=False)

demo.queue(max_size=2)
demo.launch(server_port=int(sys.argv[1]), server_name="127.0.0.1", quiet=True, prevent_thread_lock=True)
print("ready", flush=True)
sys.stdin.read()
