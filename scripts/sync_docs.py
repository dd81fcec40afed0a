"""Write the generated parts of the documentation: example code, tables of parameters and lists of modules.

``python scripts/sync_docs.py`` rewrites them, ``make docs`` and the tests refuse pages that are out of date.
The pages contain the code itself, so that they are complete on a code host and on the built site.

A page names its generated parts in comments:

- ``<!-- example: example_dags/first_space.py first_space -->``, followed by a fenced block: the part of the
  file between ``# [START first_space]`` and ``# [END first_space]``; ``*`` stands for the whole file.
  A part of an example DAG comes with the imports, constants and functions that it uses.
- ``<!-- class: airflow_provider_hfspaces.operators.hardware.SetSleepTimeOperator -->``, followed by a
  line with the import path and a link to the source.
- ``<!-- parameters: airflow_provider_hfspaces.operators.hardware.SetSleepTimeOperator -->``, followed by a
  table of parameters, up to ``<!-- end -->``.

A row of a table that begins with the linked name of a module gets the path of the module and the first
paragraph of its docstring.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]

EXAMPLE = re.compile(
    r"(?P<head><!-- example: (?P<file>\S+) (?P<mark>\S+) -->\n)\n*(?:```python\n.*?^```\n*)?",
    re.MULTILINE | re.DOTALL,
)
CLASS = re.compile(r"(?P<head><!-- class: (?P<path>\S+) -->\n)(?:Import from .*\n)?")
PARAMETERS = re.compile(r"(?P<head><!-- parameters: (?P<path>\S+) -->\n)(?:.*?<!-- end -->\n?)?", re.DOTALL)
MODULE = re.compile(r"^\| \[`(?P<module>airflow_provider_hfspaces[\w.]*)`\]\([^)]*\) \|.*$", re.MULTILINE)
MARK = re.compile(r"\s*# \[(START|END) (\w+)\]\s*")
LONGEST_LINE = 110
ALWAYS = frozenset({"repo_id", "hf_spaces_conn_id"})
"""Parameters that the page explains in one place for all operators."""


def synced(page: Path) -> str:
    """The text of a page with its generated parts up to date."""
    text = page.read_text("utf-8")
    text = EXAMPLE.sub(lambda match: match["head"] + example(match["file"], match["mark"]), text)
    text = CLASS.sub(lambda match: match["head"] + imported_from(match["path"], page), text)
    text = PARAMETERS.sub(lambda match: match["head"] + table_of_parameters(match["path"]), text)
    return MODULE.sub(lambda match: module_row(match["module"], page), text)


def example(file: str, mark: str) -> str:
    """A fenced block with the code that an example shows.

    :raises ValueError: if the file has no such part.
    """
    text = (ROOT / file).read_text("utf-8")
    code = text.strip() if mark == "*" else part(text, mark)
    if file.startswith("example_dags/") and mark != "*":
        code = completed(text, code)
    return f"\n```python\n{code}\n```\n\n"


def part(text: str, mark: str) -> str:
    """The lines of a file between two marks, without the marks of other parts.

    :raises ValueError: if the file has no such part.
    """
    lines: list[str] = []
    inside = closed = False
    for line in text.splitlines():
        match = MARK.fullmatch(line)
        if match is None:
            if inside:
                lines.append(line)
        elif match[2] == mark:
            inside = match[1] == "START"
            closed = not inside
    if not closed:
        raise ValueError(f"The file has no part between '# [START {mark}]' and '# [END {mark}]'.")
    return textwrap.dedent("\n".join(lines)).strip("\n")


def completed(text: str, code: str) -> str:
    """Code as a file of its own, with the imports, constants, functions, tasks and the DAG that it needs."""
    module = ast.parse(text)
    block = next((node for node in module.body if is_dag_block(node, text, code)), None)
    tree = ast.parse(code)
    names = names_in(tree) | ({"DAG"} if block else set())
    tasks = block.body if isinstance(block, ast.With) else []
    others = [node for node in module.body if node is not block]
    definitions = {name: node for node in [*others, *tasks] for name in defined_names(node)}
    used: list[ast.stmt] = []
    while missing := [node for name, node in definitions.items() if name in names and node not in used]:
        used += missing
        names |= {name for node in missing for name in names_in(node)}
    own = {name for node in tree.body for name in defined_names(node)}
    own |= {name for node in imports(tree) for name in imported_names(node)}
    used = [node for node in [*others, *tasks] if node in used and not own & set(defined_names(node))]
    lines = [line for node in imports(module) for line in import_lines(node, names - own)]
    if not any(isinstance(node, ast.Try) for node in tree.body):
        lines += [line for node in imports(tree) for line in import_lines(node, own)]
        code = without_imports(code, tree)
    head = "\n\n".join(
        "\n".join(group)
        for group in (
            [line for line in lines if is_standard(line)],
            sorted((line for line in lines if not is_standard(line)), key=lambda line: "_hfspaces" in line),
        )
        if group
    )
    if block is not None:
        assert isinstance(block, ast.With)
        strings = (each.value for each in ast.walk(block.items[0]) if isinstance(each, ast.Constant))
        dag_id = next(each for each in strings if isinstance(each, str))
        code = joined([*(textwrap.dedent(source_of(node, text)) for node in used if node in tasks), code])
        blank = "\n" if is_definition(code, 0) else ""
        code = f'with DAG("{dag_id}"):\n{blank}' + textwrap.indent(code, "    ")
    return joined([head, *(source_of(node, text) for node in used if node not in tasks), code])


def joined(parts: list[str]) -> str:
    """Parts of a file with the empty lines that the formatter puts around functions and classes."""
    code = ""
    for each in filter(None, parts):
        apart = bool(code) and (is_definition(code, -1) or is_definition(each, 0))
        code += ("\n\n\n" if apart else "\n\n" if code else "") + each
    return code


def is_definition(code: str, position: int) -> bool:
    """Whether the statement at a position of some code is a function or a class."""
    return isinstance(ast.parse(code).body[position], ast.FunctionDef | ast.ClassDef)


def is_dag_block(node: ast.stmt, text: str, code: str) -> bool:
    """Whether this is the ``with DAG(...)`` that surrounds the code."""
    if not isinstance(node, ast.With) or not ast.unparse(node.items[0].context_expr).startswith("DAG("):
        return False
    first = code.splitlines()[0].strip()
    return any(line.strip() == first and line[:1] == " " for line in source_of(node, text).splitlines())


def names_in(node: ast.AST) -> set[str]:
    """The names that code mentions."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def defined_names(node: ast.stmt) -> list[str]:
    """The names that a definition or an assignment binds."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [each.id for each in node.targets if isinstance(each, ast.Name)]
    return []


def source_of(node: ast.stmt, text: str) -> str:
    """The lines of a statement, with its decorators and without marks."""
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
    lines = text.splitlines()[first - 1 : node.end_lineno]
    return "\n".join(line for line in lines if not MARK.fullmatch(line))


def imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports of a file; of a ``try`` for several versions of Airflow, the first."""
    for node in tree.body:
        for each in [node, *(node.body if isinstance(node, ast.Try) else [])]:
            if isinstance(each, ast.Import | ast.ImportFrom):
                yield each


def imported_names(node: ast.AST) -> list[str]:
    """The names that an import binds."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    return []


def without_imports(code: str, tree: ast.Module) -> str:
    """Code without the imports at its top level."""
    gone = {number for node in imports(tree) for number in range(node.lineno, (node.end_lineno or 0) + 1)}
    lines = (line for number, line in enumerate(code.splitlines(), 1) if number not in gone)
    return "\n".join(lines).strip("\n")


def is_standard(line: str) -> bool:
    """Whether an import is of Python's standard library."""
    return line.split()[1].partition(".")[0] in sys.stdlib_module_names


def import_lines(node: ast.Import | ast.ImportFrom, names: set[str]) -> list[str]:
    """An import with only the names that are used, wrapped as the formatter does it."""
    used = [alias for alias in node.names if (alias.asname or alias.name).split(".")[0] in names]
    if not used or (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
        return []
    if isinstance(node, ast.Import):
        return [ast.unparse(ast.Import(names=used))]
    line = ast.unparse(ast.ImportFrom(module=node.module, names=used, level=0))
    if len(line) <= LONGEST_LINE:
        return [line]
    names_below = "".join(f"    {alias.name},\n" for alias in used)
    return [f"from {node.module} import (\n{names_below})"]


def class_at(path: str) -> type[Any]:
    """The class with this import path."""
    module, _, name = path.rpartition(".")
    cls: type[Any] = getattr(import_module(module), name)
    return cls


def imported_from(path: str, page: Path) -> str:
    """A line that says where to import a class from, with a link to its source."""
    link = link_to(Path(inspect.getsourcefile(class_at(path)) or ""), page)
    return f"Import from `{path.rpartition('.')[0]}`; [source]({link}).\n"


def table_of_parameters(path: str) -> str:
    """The parameters of a class."""
    rows = [
        f"| `{parameter}` | {meaning} | {default} | {'yes' if templated else ''} |"
        for parameter, default, templated, meaning in parameters(class_at(path))
        if parameter not in ALWAYS
    ]
    table = ["| parameter | meaning | default | templated |", "|---|---|---|---|", *rows]
    if not rows:
        table = ["No parameters besides `repo_id` and `hf_spaces_conn_id`."]
    return "\n".join(["", *table, "", "<!-- end -->", ""])


def module_row(module: str, page: Path) -> str:
    """The row of a table that links to a module and says what the module holds."""
    source = ROOT / module.replace(".", "/")
    source = source / "__init__.py" if source.is_dir() else source.with_suffix(".py")
    doc = ast.get_docstring(ast.parse(source.read_text("utf-8"))) or ""
    return f"| [`{module}`]({link_to(source, page)}) | {as_markdown(doc.split(chr(10) * 2)[0]).rstrip('.')} |"


def link_to(source: Path, page: Path) -> str:
    """The link from a page to a source file."""
    path = source.resolve().relative_to(ROOT).as_posix()
    return ("../" if page.parent.name == "docs" else "") + path


def parameters(cls: type[Any]) -> Iterator[tuple[str, str, bool, str]]:
    """Name, default, whether it is a template field, and the first sentence of the docstring on it."""
    templates = getattr(cls, "template_fields", ())
    described_in = [inspect.getdoc(each) or "" for each in ours(cls)]
    seen: set[str] = set()
    for each in ours(cls):
        if "__init__" not in vars(each):
            continue
        for parameter in signature_of(each).parameters.values():
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                continue
            if parameter.name in seen | {"self"}:
                continue
            seen.add(parameter.name)
            required = parameter.default is parameter.empty
            meaning = next(filter(None, (sentence(doc, parameter.name) for doc in described_in)), "")
            default = "required" if required else f"`{parameter.default!r}`".replace("datetime.", "")
            # The table has a column for the default, which the sentence need not repeat.
            meaning = re.sub(
                rf" \(default `?[\"']?{re.escape(str(parameter.default).removesuffix('.0'))}[\"']?`?\)",
                "",
                meaning,
            )
            field = getattr(cls, "renamed_arguments", {}).get(parameter.name, parameter.name)
            # Secrets and task groups render templates without template fields: their docstrings say so.
            templated = field in templates or any(has_template(doc, parameter.name) for doc in described_in)
            yield parameter.name, default, templated, meaning
        seen |= passed_on(each)


def ours(cls: type[Any]) -> list[type[Any]]:
    """A class and those of its bases that this package defines."""
    return [each for each in cls.__mro__ if each.__module__.startswith("airflow_provider_hfspaces")]


def signature_of(cls: type[Any]) -> inspect.Signature:
    """The signature of a class's own ``__init__``, without the wrappers that Airflow adds."""
    function: Callable[..., Any] = vars(cls)["__init__"]
    return inspect.signature(inspect.unwrap(function))


def passed_on(cls: type[Any]) -> set[str]:
    """The parameters of its base that a class sets itself, so that its callers cannot."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(vars(cls)["__init__"])))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    passed = {
        keyword.arg
        for call in calls
        if ast.unparse(call.func) == "super().__init__"
        for keyword in call.keywords
        if keyword.arg
    }
    replaced = {
        str(ast.literal_eval(call.args[0]))
        for call in calls
        if ast.unparse(call.func) in ("kwargs.setdefault", "kwargs.pop")
    }
    return passed | replaced


def has_template(doc: str, parameter: str) -> bool:
    """Whether a docstring says that a parameter may be or have a template."""
    return re.search(r"(?i)\btemplate[sd]?\b|rendered when", text_on(doc, parameter)) is not None


def sentence(doc: str, parameter: str) -> str:
    """The first sentence of ``:param parameter:``, as Markdown."""
    text = as_markdown(text_on(doc, parameter))
    return re.split(r"(?<=\.)\s", text, maxsplit=1)[0].rstrip(".").replace("|", "\\|")


def text_on(doc: str, parameter: str) -> str:
    """What a docstring says about a parameter; empty if it says nothing."""
    match = re.search(rf"^:param {parameter}: (.*?)(?=^:|\Z)", doc, re.MULTILINE | re.DOTALL)
    return match[1] if match else ""


def as_markdown(text: str) -> str:
    """Text of a docstring as one line of Markdown."""
    text = re.sub(r":\w+(?::\w+)?:`(\w+) <[^>`]+>`", r"`\1`", " ".join(text.split()))
    return re.sub(r":\w+(?::\w+)?:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text).replace("``", "`")


def main() -> int:
    """Rewrite the pages; with ``--check``, only print which pages are out of date."""
    check = "--check" in sys.argv[1:]
    stale = [(page, text) for page in PAGES if (text := synced(page)) != page.read_text("utf-8")]
    for page, text in stale:
        if check:
            print(f"{page.relative_to(ROOT)} is out of date: run 'make sync-docs'.")
        else:
            page.write_text(text, "utf-8")
            print(f"{page.relative_to(ROOT)} is updated.")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
