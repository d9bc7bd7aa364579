"""Keeps programs going where there is no systemd: starts them, starts them again, ends with them.

One thread and one selector: their output, line by line behind their name, and their ends. A
program that ends is started again within half a second, as often as it takes; only a misuse
on its first start, which would be one for ever, ends everything. They end with their
supervisor, even when that is killed.
"""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from littoral import addresses
from littoral.children import dying_with_us
from littoral.errors import PortInUseError

AGAIN_S: Final = 0.2  # from its end to its next start
SETTLED_S: Final = 5.0  # a misuse later than this is none
GRACE_S: Final = 10.0  # from SIGTERM to SIGKILL
MOST_LINE: Final = 64 * 1024
MISUSE: Final = 2


@dataclass(slots=True)
class Program:
    """A program that is to run always."""

    name: str
    command: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    first_s: float | None = None  # when it was first started
    again_s: float | None = 0.0  # when it is to be started; None: it runs
    rest: bytes = b""  # of a line that has no end yet


@dataclass(slots=True)
class Supervisor:
    """Runs ``programs`` until told to stop; ``say`` prints a line."""

    programs: Sequence[Program]
    say: Callable[[str], None]
    hear: Callable[[str, str], bool] = lambda _name, _line: False  # whether a line is not said
    _stopping: bool = False
    _ready: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; return 0, or 2 after a misuse."""
        with _signals(self._told) as awake:
            self._ready.register(awake, selectors.EVENT_READ)
            try:
                while not self._stopping:
                    self._start()
                    self._listen(self._nap_s())
                    for program in self.programs:
                        if self._ended(program) and self._is_misuse(program):
                            return MISUSE
            finally:
                self._stop()
        return 0

    def _told(self, number: int) -> None:
        self._stopping = True
        self.say(f"stopping: {signal.Signals(number).name}")

    def _start(self) -> None:
        for program in self.programs:
            if program.again_s is None or program.again_s > time.monotonic():
                continue
            process = subprocess.Popen(
                [*dying_with_us(), *program.command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # a Ctrl-C reaches them through us alone
            )
            assert process.stdout is not None  # noqa: S101 (it is a pipe)
            os.set_blocking(process.stdout.fileno(), False)
            self._ready.register(process.stdout, selectors.EVENT_READ, program)
            program.process, program.again_s = process, None
            program.first_s = program.first_s or time.monotonic()
            self.say(f"{program.name} started, process {process.pid}")

    def _nap_s(self) -> float | None:
        """Return how long nothing needs to be started."""
        due = [program.again_s for program in self.programs if program.again_s is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _listen(self, within_s: float | None) -> None:
        for key, _ in self._ready.select(within_s):
            if isinstance(key.data, Program):
                self._hear(key.data)
            elif isinstance(key.fileobj, socket.socket):
                with contextlib.suppress(BlockingIOError):
                    key.fileobj.recv(4096)

    def _hear(self, program: Program) -> None:
        """Print the lines that came; a pipe's end is the end of all who had it."""
        process = program.process
        if process is None or process.stdout is None or process.stdout.closed:
            return
        with contextlib.suppress(BlockingIOError):
            data = os.read(process.stdout.fileno(), MOST_LINE)
            if not data:
                self._let_go(program)
                return
            *lines, program.rest = (program.rest + data).split(b"\n")
            if len(program.rest) > MOST_LINE:
                lines, program.rest = [*lines, program.rest], b""
            for line in lines:
                self._pass_on(program, line)

    def _ended(self, program: Program) -> bool:
        process = program.process
        if process is None or program.again_s is not None or process.poll() is None:
            return False
        self._hear(program)
        self._let_go(program)
        program.again_s = time.monotonic() + AGAIN_S
        code = process.returncode
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        more = "" if self._is_misuse(program) else "; starting it again"
        self.say(f"{program.name} ended {how}{more}")
        return True

    def _is_misuse(self, program: Program) -> bool:
        lived_s = time.monotonic() - (program.first_s or 0.0)
        code = program.process.returncode if program.process else None
        return code == MISUSE and lived_s < SETTLED_S

    def _let_go(self, program: Program) -> None:
        pipe = program.process.stdout if program.process else None
        if pipe is None or pipe.closed:
            return
        with contextlib.suppress(KeyError):
            self._ready.unregister(pipe)
        pipe.close()
        if program.rest:
            self._pass_on(program, program.rest)
            program.rest = b""

    def _pass_on(self, program: Program, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if not self.hear(program.name, text):
            self.say(f"{program.name} | {text}")

    def _stop(self) -> None:
        """End all programs, and print what they still say."""
        running = [p for p in self.programs if p.process and p.process.poll() is None]
        for program in running:
            _send(program, signal.SIGTERM)
        until_s = time.monotonic() + GRACE_S
        while any(p.process and p.process.poll() is None for p in running):
            if time.monotonic() > until_s:
                for program in running:
                    _send(program, signal.SIGKILL)
            self._listen(0.05)
        for program in self.programs:
            self._hear(program)
            self._let_go(program)
        self._ready.close()
        self.say("stopped")


def check_free(where: str) -> None:
    """Check that nobody listens on ``where`` (host:port) yet.

    Raises:
        PortInUseError: Somebody does.

    """
    host, port = addresses.split(where)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, _, _, address = found[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as e:
        raise PortInUseError(where) from e


def _send(program: Program, number: signal.Signals) -> None:
    if program.process is not None:
        with contextlib.suppress(ProcessLookupError):
            program.process.send_signal(number)


@contextlib.contextmanager
def _signals(told: Callable[[int], None]) -> Iterator[socket.socket]:
    """Give what becomes readable on a signal; ``told`` hears of those that end us."""
    awake, waker = socket.socketpair()
    awake.settimeout(0)
    waker.settimeout(0)
    ends = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda n, _: told(n)) for number in ends}
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
    fd = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    try:
        yield awake
    finally:
        signal.set_wakeup_fd(fd)
        for number, handler in before.items():
            signal.signal(number, handler)
        awake.close()
        waker.close()
