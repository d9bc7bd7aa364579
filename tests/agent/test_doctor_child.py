"""Programs that end in every way, as doctor's children."""

import sys
import time

import pytest

from littoral_agent.doctor import child


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
    assert time.monotonic() - begun < 10
    assert (end.status, end.out, end.how) == (None, b"said\n", "it did not end in time")


def test_the_last_that_it_complained_of_is_kept() -> None:
    end = run("import sys; sys.stderr.write('x' * 5000 + '\\nfirst\\n  last\\n\\n')")
    assert end.last == "last"
    assert len(end.err) <= 2048
    assert child.End(status=0, out=b"", err="").last == ""
