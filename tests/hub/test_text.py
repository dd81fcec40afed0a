"""The output of a program for a terminal, turned into lines of a log."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.hub.text import plain_lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("\x1b[1;32mdone\x1b[0m in \x9b31m3 s\n", ["done in 3 s"]),
        ("\x1b]8;;https://acme.example\x1b\\link\x1b]8;;\x07 follows", ["link follows"]),
        ("\x1b]0;title\x07first\nsecond\n", ["first", "second"]),
        ("\x1bPq#0;2;0;0;0\x1b\\after an image", ["after an image"]),
        ("\x1bPa command without an end\nthe next line", ["", "the next line"]),
        ("\x1b]0;a title without an end\nthe next line\n", ["", "the next line"]),
        ("10 %\r50 %\r100 %\n", ["100 %"]),
        ("a\u202eb\x00c", ["a b c"]),
    ],
)
def test_commands_to_the_terminal_are_left_out(text: str, lines: list[str]) -> None:
    assert plain_lines(text) == lines


@pytest.mark.parametrize("command", ["\x1bP", "\x1b^a", "\x1b_", "\x1b]", "\x1b[", "\x9b", "\x1b ", "\r"])
def test_a_line_full_of_commands_without_an_end_does_not_keep_the_reader_busy(command: str) -> None:
    """A line that takes time by the square of its length takes hours here."""
    assert plain_lines(command * 300_000 + "\nthe next line")[-1] == "the next line"
