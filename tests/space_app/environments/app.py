"""One Gradio app with every kind of endpoint, for Gradio 4, 5 and 6: ``app.py PORT [QUEUE_SIZE]``."""

import asyncio
import os
import sys
import tempfile
import time

import gradio

MAJOR = int(gradio.__version__.split(".")[0])


def echo(text):
    return text


def add(a, b):
    return a + b


async def nap(text, seconds):
    await asyncio.sleep(float(seconds))
    return f"{text}!"


def slow(text, seconds):
    for _ in range(int(float(seconds) * 20)):
        time.sleep(0.05)
    return f"{text}!"


def count(number):
    for each in range(int(number)):
        time.sleep(0.05)
        yield f"step {each}"


def grow(number):
    items = []
    for each in range(int(number)):
        time.sleep(0.05)
        items = [*items, each]
        yield {"items": items, "last": each}


def fail_later(number):
    for each in range(int(number)):
        yield str(each)
    raise gradio.Error("failed after its first values")


def progress(text, progress=gradio.Progress()):  # noqa: B008
    for _ in progress.tqdm(range(4), desc="steps"):
        time.sleep(0.15)
    gradio.Info("half way")
    gradio.Warning("careful")
    return text


def refuse(text):
    raise gradio.Error(f"bad input: {text}")


def crash(text):
    raise ValueError(f"a detail: {text}")


def upper(path):
    target = os.path.join(tempfile.mkdtemp(), "out ü file.txt")
    with open(path, encoding="utf-8") as source, open(target, "w", encoding="utf-8") as file:
        file.write(source.read().upper())
    return target


def sizes(paths):
    return [{"name": os.path.basename(each), "size": os.path.getsize(each)} for each in paths or []]


def gallery(path):
    return [(path, "one"), (path, None)]


def same_image(path):
    return path


def defaults(a, b=3, c="see"):
    return f"{a}|{b}|{c}"


def stateful(x, number):
    number = (number or 0) + 1
    return f"{x}:{number}", number


def reverse(words):
    time.sleep(0.1)
    return [[each[::-1] for each in words]]


def odd(kind):
    if kind == "nan":
        return {"nan": float("nan"), "infinite": float("inf"), "text": "é\U0001f600"}
    return {"value": kind}


def big(number):
    return "x" * int(number)


def nothing():
    return None


def two(text):
    return text, len(text)


def choose(color):
    return color


def headers(request: gradio.Request):
    return dict(request.headers.items())


def build():
    with gradio.Blocks() as app:
        text, other = gradio.Textbox(label="Text"), gradio.Textbox("see", label="Other")
        number, second = gradio.Number(1, label="Number"), gradio.Number(label="Second")
        state, data = gradio.State(0), gradio.JSON(label="Data")
        file, files = gradio.File(label="File"), gradio.File(label="Files", file_count="multiple")
        image, pictures = gradio.Image(type="filepath", label="Image"), gradio.Gallery(label="Pictures")
        color = gradio.Dropdown(["red", "blue"], label="Color")
        out, out_file, out_image = gradio.Textbox(), gradio.File(), gradio.Image()

        def endpoint(function, inputs, outputs, name=None, **options):
            gradio.Button().click(function, inputs, outputs, api_name=name or function.__name__, **options)

        endpoint(echo, text, out)
        endpoint(echo, text, out, "unqueued", queue=False)
        endpoint(add, [number, second], second)
        endpoint(nap, [text, number], out, concurrency_limit=None)
        endpoint(slow, [text, number], out, concurrency_limit=1)
        endpoint(count, number, out)
        endpoint(grow, number, data)
        endpoint(fail_later, number, out)
        endpoint(progress, text, out)
        endpoint(refuse, text, out)
        endpoint(crash, text, out)
        endpoint(upper, file, out_file)
        endpoint(sizes, files, data)
        endpoint(gallery, image, pictures)
        endpoint(same_image, image, out_image)
        endpoint(defaults, [text, number, other], out)
        endpoint(stateful, [text, state], [out, state])
        endpoint(reverse, text, out, batch=True, max_batch_size=4)
        endpoint(odd, text, data)
        endpoint(big, number, out)
        endpoint(nothing, None, None)
        endpoint(two, text, [out, second])
        endpoint(choose, color, out)
        endpoint(headers, None, data)
        unlisted_options = {"api_visibility": "undocumented"} if MAJOR >= 6 else {"show_api": False}
        endpoint(echo, text, out, "undocumented", **unlisted_options)
    return app


if __name__ == "__main__":
    app = build()
    app.queue(max_size=int(sys.argv[2]) if len(sys.argv) > 2 else None)
    login = os.environ.get("APP_LOGIN")
    app.launch(
        server_name="127.0.0.1",
        server_port=int(sys.argv[1]),
        quiet=True,
        max_file_size="1mb",
        auth=tuple(login.split(":")) if login else None,
    )
