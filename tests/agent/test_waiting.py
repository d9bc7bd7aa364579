"""The line that a person sees while an operator decides, on a real terminal and in a log."""

import contextlib
import io
import os
import pty
from collections.abc import Callable

import pytest

from littoral.wire.enrolment import Waiting
from littoral_agent.waiting import Progress

WAITING = Waiting(claim=3, device="pi-7", retry_s=5.0)
KEY = "ddc8-6266-2376-a1f2-eb24-5fad-000a-eb8b"


def on_a_terminal(after: Callable[[], None]) -> str:
    ours, theirs = pty.openpty()
    with (
        os.fdopen(theirs, "w", encoding="utf-8") as stream,
        contextlib.suppress(KeyboardInterrupt),
        Progress(stream) as progress,
    ):
        progress.told(WAITING, KEY)
        progress.told(WAITING, KEY)
        after()
    said = b""
    with contextlib.suppress(OSError):  # how Linux says that nobody writes any more
        while part := os.read(ours, 65536):
            said += part
    os.close(ours)
    return said.decode()


def nothing() -> None:
    pass


def ctrl_c() -> None:
    raise KeyboardInterrupt


def test_on_a_terminal_one_line_lives() -> None:
    said = on_a_terminal(nothing)
    assert said.count(KEY) == 1
    assert said.count("\rwaiting 0:00 (Ctrl-C stops; it can go on later)") == 2
    assert said.endswith("\n"), "what follows begins on a line of its own"
    assert "goes on later" not in said


def test_who_stops_is_told_that_nothing_is_lost() -> None:
    assert on_a_terminal(ctrl_c).rstrip().endswith("the same command goes on later")


def test_in_a_log_it_is_said_once() -> None:
    stream = io.StringIO()
    with Progress(stream) as progress:
        for _ in range(3):
            progress.told(WAITING, KEY)
    assert stream.getvalue().splitlines() == [
        "An operator has to approve 'pi-7', claim 3.",
        f"The key of this board:  {KEY}",
        "Compare it with the console: Devices → waiting, or 'littoral fleet claims'.",
        "waiting",
    ]


def test_who_is_let_in_at_once_reads_nothing() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError, match="x"), Progress(stream):
        raise ValueError("x")
    assert not stream.getvalue()
