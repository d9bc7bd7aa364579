"""Programs that end in every way, as the agent's children."""

import sys
import threading
import time
from queue import Queue

import pytest

from littoral.errors import ChildError
from littoral_agent import child
from patience import patient
from simulators.console import until


def run(code: str, *, within_s: float = 20.0) -> child.End:
    return child.run((sys.executable, "-c", code), within_s=within_s)


@pytest.mark.parametrize(
    ("code", "status", "how"),
    [
        ("print('said')", 0, "it ended with 0"),
        ("print('said', flush=True); raise SystemExit(3)", 3, "it ended with 3"),
        ("import os; print('said', flush=True); os.abort()", -6, "it was ended by SIGABRT"),
    ],
)
def test_its_end_is_told_with_what_it_said(code: str, status: int, how: str) -> None:
    end = run(code)
    assert (end.status, end.out, end.how) == (status, b"said\n", how)


def test_one_that_hangs_is_ended_with_all_that_it_started() -> None:
    code = (
        "import subprocess, sys; print('said', flush=True); "
        "subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    )
    begun = time.monotonic()
    end = run(code, within_s=1.0)
    assert time.monotonic() - begun < patient(10)
    assert (end.status, end.out, end.how) == (None, b"said\n", "it did not end in time")


def test_the_last_that_it_complained_of_is_kept() -> None:
    end = run("import sys; sys.stderr.write('x' * 5000 + '\\nfirst\\n  last\\n\\n')")
    assert end.last == "last"
    assert len(end.err) <= 2048
    assert child.End(status=0, out=b"", err="").last == ""


def test_only_who_ended_well_has_answered() -> None:
    assert run("print('said')").answer == b"said\n"
    for code, words in (
        ("raise SystemExit('no')", "ended with 1: no"),
        ("import time; time.sleep(60)", "not end in time"),
    ):
        with pytest.raises(ChildError, match=words):
            _ = run(code, within_s=1.0).answer


def test_it_is_given_what_it_reads_and_little_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET", "7")
    code = "import os, sys; print(sys.stdin.read(), os.environ.get('SECRET'))"
    end = child.Child().run((sys.executable, "-c", code), within_s=20.0, data=b"a word")
    assert end.answer == b"a word None\n"


def test_another_thread_ends_it_and_none_begins_after_that() -> None:
    one, ends = child.Child(), Queue[child.End]()
    command = (sys.executable, "-c", "import time; time.sleep(600)")
    asking = threading.Thread(target=lambda: ends.put(one.run(command, within_s=600.0)))
    asking.start()
    until(lambda: one._process, "a child")
    one.stop()
    assert ends.get(timeout=patient(20)).how == "it was ended by SIGKILL"
    asking.join()
    with pytest.raises(ChildError):
        one.run(command, within_s=600.0)
