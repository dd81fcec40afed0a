"""``exampleinclude``: the part of a tested file between ``# [START name]`` and ``# [END name]``.

Airflow's own documentation marks its examples in the same way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from marks import marked
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class ExampleInclude(SphinxDirective):
    """Shows a marked part, without its indentation and without the marks inside of it."""

    required_arguments = 1
    option_spec = {"mark": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        _, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(path)
        mark = self.options["mark"]
        text = marked(Path(path).read_text(encoding="utf-8"), mark)
        if text is None:
            raise self.error(f"{self.arguments[0]} has no part that is marked as {mark!r}.")
        block = nodes.literal_block(text, text, language="python")
        self.set_source_info(block)
        return [block]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("exampleinclude", ExampleInclude)
    return {"version": "1", "parallel_read_safe": True}
