import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from littoral_converter.terminal import _ENDS, progress, stoppable, undisturbed
from littoral_converter.worker import Cost, Progress

SAYS = """
import sys, time
from littoral_converter.terminal import progress
from littoral_converter.worker import Cost, Progress
with progress(shown=True) as say:
    for n in range(40):
        say(Progress(step="read the model", stage="asking [it]", done=n, of=200))
        time.sleep(0.05)
    say(Progress(step="read the model", stage="done", cost=Cost(seconds=3.25, peak_bytes=1)))
    say(Progress(step="quantize", stage="done", cost=Cost(seconds=9, peak_bytes=1, cached=True)))
"""


def test_each_step_is_a_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(shown=False) as say:
        say(Progress(step="read", stage="asking", done=3, of=7))
        say(Progress(step="read", stage="done", cost=Cost(seconds=3.25, peak_bytes=1)))
        say(Progress(step="mix", stage="done", cost=Cost(seconds=9, peak_bytes=1, cached=True)))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "read: 3.2 s\nmix: from the cache, it took 9.0 s\n"


def test_a_terminal_shows_the_step_and_the_time_left() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen([sys.executable, "-c", SAYS], stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # how a terminal says that nobody is there any more
                break
        assert process.wait(10) == 0
    os.close(ours)
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown.decode())
    assert "read the model: asking [it]" in text
    assert "left 0:00:0" in text
    assert "read the model: 3.2 s" in text
    assert "quantize: from the cache, it took 9.0 s" in text


@pytest.fixture
def signals() -> Iterator[None]:
    before = {sent: signal.getsignal(sent) for sent in _ENDS}
    yield
    for sent, was in before.items():
        signal.signal(sent, was)


@pytest.mark.usefixtures("signals")
def test_what_is_undisturbed_is_done_first() -> None:
    done = []

    def work() -> None:
        with stoppable():
            with undisturbed():
                os.kill(os.getpid(), signal.SIGTERM)
                done.append("the block")
            done.append("what follows")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["the block"]


@pytest.mark.usefixtures("signals")
def test_a_command_that_ends_well_leaves_signals_as_they_were() -> None:
    before = [signal.getsignal(sent) for sent in _ENDS]
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) is not before[1]
    with pytest.raises(ValueError, match="of the work"), stoppable():
        raise ValueError("of the work")
    after = [signal.getsignal(sent) for sent in _ENDS]
    assert after == before


def test_who_started_it_to_live_on_is_heard(tmp_path: Path) -> None:
    """As nohup does: a closed terminal is not to end it."""
    script = (
        "import os, signal\nfrom littoral_converter.terminal import stoppable\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with stoppable():\n    os.kill(os.getpid(), signal.SIGHUP)\nprint('on')"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == "on\n"
