"""What a killed parent leaves: nothing, by each of the ways there are."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from patience import patient

WAYS = {
    "asked": ("words = dying_with_us()", ""),
    "itself": ("words = []", "from littoral.children import die_with_parent as d; d(); "),
}
CHILD = "import time; print('ready', flush=True); time.sleep(600)"
PARENT = """
import subprocess, sys, time
from littoral.children import dying_with_us
{words}
child = subprocess.Popen([*words, sys.executable, "-c", {child!r}])
print(child.pid, flush=True)
time.sleep(600)
"""


def runs(pid: int) -> bool:
    """Tell whether it runs: whom nobody waits for stays as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("way", WAYS)
def test_a_child_ends_with_a_parent_that_is_killed(way: str) -> None:
    words, first = WAYS[way]
    code = PARENT.format(words=words, child=first + CHILD)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as told:
        assert told.stdout is not None
        lines = {told.stdout.readline().strip(), told.stdout.readline().strip()}
        assert "ready" in lines
        pid = int(next(line for line in lines if line != "ready"))
        assert runs(pid)
        told.kill()
        told.wait()
        end = time.monotonic() + 10
        while runs(pid):
            assert time.monotonic() < end, f"{pid} is still there"
            time.sleep(0.01)


LATE = """
import os, sys, time
from littoral.children import dying_with_us
{words}
if os.fork() == 0:
    time.sleep(0.5)
    os.execv(words[0], [*words, sys.executable, "-c", {child!r}])
time.sleep(0.1)
"""


def test_a_child_that_comes_too_late_to_be_told_does_not_begin(tmp_path: Path) -> None:
    """Its parent was killed before the kernel was asked: it held port and lock for ever."""
    began = tmp_path / "began"
    child = f"open({str(began)!r}, 'w').close()"
    code = LATE.format(words=WAYS["asked"][0], child=child)
    # The pipe is open until the last of them is gone.
    subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=patient(20), stdout=subprocess.PIPE
    )
    assert not began.exists()
