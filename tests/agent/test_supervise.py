"""Two programs that are kept going, for real: killed, failing, stopped, and orphaned."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from littoral.errors import PortInUseError
from littoral_agent import supervise
from littoral_agent.supervise import check_free
from patience import patient

SUPERVISOR = """
import sys
from littoral_agent.supervise import Program, Supervisor
programs = [Program(n, (sys.executable, "-c", c)) for n, c in zip(sys.argv[1::2], sys.argv[2::2])]
sys.exit(Supervisor(programs, lambda line: print(line, flush=True)).run())
"""
IDLE = "import time\nprint('ready')\ntime.sleep(600)"


class Run:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.lines = process, list[str]()

    def until(self, pattern: str, *, within_s: float = 15.0) -> re.Match[str]:
        """Read on until a line matches."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + patient(within_s)
        while time.monotonic() < deadline:
            line = self.process.stdout.readline()
            assert line, f"it ended before {pattern!r}: {self.lines}"
            self.lines.append(line.rstrip("\n"))
            if found := re.search(pattern, line):
                return found
        pytest.fail(f"no {pattern!r} in {self.lines}")


@contextmanager
def running(*programs: str) -> Iterator[Run]:
    command = [sys.executable, "-c", SUPERVISOR, *programs]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Run(process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


def wait(until: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + patient(within_s)
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_their_lines_come_behind_their_names() -> None:
    with running("serve", IDLE, "agent", IDLE) as run:
        run.until(r"^serve started, process \d+")
        for _ in range(2):
            run.until(r"^(serve|agent) \| ready$")


def test_what_is_killed_is_back_within_half_a_second() -> None:
    with running("serve", IDLE) as run:
        pid = int(run.until(r"process (\d+)")[1])
        run.until("ready")
        for _ in range(3):
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            run.until("serve ended by SIGKILL")
            pid = int(run.until(r"serve started, process (\d+)")[1])
            assert time.monotonic() - killed < patient(0.5)
            run.until("ready")


def test_there_is_no_limit_to_starting_again() -> None:
    with running("agent", "raise SystemExit(1)") as run:
        for _ in range(8):
            run.until("agent ended with code 1")


def test_a_misuse_at_the_first_start_ends_everything() -> None:
    with running("serve", IDLE, "agent", "print('error: … [setting]')\nraise SystemExit(2)") as run:
        run.until(r"agent \| error: … \[setting\]")
        run.until(r"^agent ended with code 2$")  # and is not started again
        run.until("stopped")
        assert run.process.wait(10) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_them_say_goodbye(number: signal.Signals) -> None:
    polite = """
import signal, sys, time
def goodbye(*_):
    print("goodbye")
    sys.exit(0)
signal.signal(signal.SIGTERM, goodbye)
print("ready")
time.sleep(600)
"""
    with running("serve", polite, "agent", polite) as run:
        for _ in range(2):
            run.until("ready")
        run.process.send_signal(number)
        for _ in range(2):
            run.until(r"\| goodbye")
        run.until("stopped")
        assert run.process.wait(10) == 0


def test_who_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert supervise.GRACE_S <= 10
    deaf = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('ready')\ntime.sleep(600)"
    monkeypatch.setitem(
        globals(),
        "SUPERVISOR",
        SUPERVISOR.replace(
            "programs =", "import littoral_agent.supervise as s; s.GRACE_S = 0.3\nprograms ="
        ),
    )
    with running("serve", deaf) as run:
        pid = int(run.until(r"process (\d+)")[1])
        run.until("ready")
        run.process.terminate()
        run.until("stopped")
        wait(lambda: not alive(pid))


@pytest.mark.parametrize("setpriv", [True, False], ids=["setpriv", "prctl"])
def test_they_die_with_a_supervisor_that_is_killed(
    monkeypatch: pytest.MonkeyPatch, *, setpriv: bool
) -> None:
    if not setpriv:
        monkeypatch.setitem(
            globals(),
            "SUPERVISOR",
            SUPERVISOR.replace(
                "programs =", "import shutil; shutil.which = lambda *_: None\nprograms ="
            ),
        )
    with running("serve", IDLE, "agent", IDLE) as run:
        pids = [int(run.until(r"process (\d+)")[1])]
        pids.append(int(run.until(r"started, process (\d+)")[1]))
        for _ in range(2):
            run.until("ready")
        run.process.kill()
        wait(lambda: not any(map(alive, pids)))


def test_long_lines_and_half_lines_are_not_lost() -> None:
    code = "import sys\nsys.stdout.write('x' * 200000 + '\\nhalf a line')"
    with running("serve", code) as run:
        whole = 0
        while whole < 200_000:
            whole += len(run.until(r"serve \| (x+)")[1])
        run.until(r"serve \| half a line")


def test_a_port_in_use_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"127.0.0.1:{port}"):
            check_free(f"127.0.0.1:{port}")
    check_free(f"127.0.0.1:{port}")
