"""Checks that hang, fail, or are not allowed to look keep no other back."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from littoral.errors import StorageError
from littoral.tree import Tree
from littoral_agent.doctor.examining import ask
from littoral_agent.doctor.finding import Check, Finding, Place, ok
from patience import patient

HERE = Place(Tree(Path("/nowhere")))


def check(name: str, does: Callable[[Place], Finding], *, within_s: float = 5.0) -> Check:
    return Check(name, "board", "", does, within_s=within_s)


def test_all_are_asked_at_once_and_told_in_their_order() -> None:
    together = threading.Barrier(3)

    def meet(_: Place) -> Finding:
        together.wait(5)
        return ok("met")

    found = ask([check(name, meet) for name in ("b", "a", "c")], HERE)
    assert [(one.check.name, one.finding.found) for one in found] == [
        ("b", "met"),
        ("a", "met"),
        ("c", "met"),
    ]


def test_one_that_hangs_is_told_and_nobody_waits_for_it() -> None:
    release = threading.Event()

    def hang(_: Place) -> Finding:
        release.wait(30)
        return ok("late")

    begun = time.monotonic()
    slow, quick = ask([check("slow", hang, within_s=0.3), check("quick", lambda _: ok("x"))], HERE)
    release.set()
    assert time.monotonic() - begun < patient(3)
    assert slow.finding.state == "warn"
    assert "no answer within 0 s" in slow.finding.wrong
    assert quick.finding.state == "ok"


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (PermissionError(13, "Permission denied", "/etc/shadow"), "skip", "look at /etc/shadow"),
        (StorageError("the disk is gone"), "warn", "it cannot be looked at: the disk is gone"),
        (OSError(5, "Input/output error"), "warn", "Input/output error"),
        (ZeroDivisionError("oh"), "warn", "this check has a defect: ZeroDivisionError: oh"),
    ],
)
def test_what_a_check_raises_is_its_finding(error: Exception, state: str, words: str) -> None:
    def raising(_: Place) -> Finding:
        raise error

    (one,) = ask([check("x", raising)], HERE)
    assert one.finding.state == state
    assert words in one.finding.found + one.finding.wrong
