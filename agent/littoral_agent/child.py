"""The one way in which the agent asks another program something.

It may do worse than answer: hang, crash, say too much. It is given no more of the environment
than it takes to begin, ends at its deadline with all that it started, and ends with the agent,
even when that one is killed. How it ended is told; whoever asked says what that means.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from littoral.children import dying_with_us
from littoral.errors import ChildError

_MAX_OUT: Final = 256 * 1024
_TAIL: Final = 2048
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "PYTHONSAFEPATH", "PYTHONNOUSERSITE", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How it ended: ``status`` as subprocess has it, None where the deadline ended it."""

    status: int | None
    out: bytes
    err: str

    @property
    def answer(self) -> bytes:
        """Return what it said, if it ended well. Raises ChildError."""
        if self.status != 0:
            raise ChildError(f"{self.how}: {self.last}" if self.last else self.how)
        return self.out

    @property
    def how(self) -> str:
        if self.status is None:
            return "it did not end in time"
        if self.status >= 0:
            return f"it ended with {self.status}"
        try:
            return f"it was ended by {signal.Signals(-self.status).name}"
        except ValueError:
            return f"it was ended by signal {-self.status}"

    @property
    def last(self) -> str:
        """Return the last line of what it complained about."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        return lines[-1][:300] if lines else ""


class Child:
    """One program at a time, which another thread may end; after that none begins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def python(self, module: str, *words: str, within_s: float, data: bytes = b"") -> End:
        """Run a module of Python, as ``run`` does."""
        return self.run((sys.executable, "-P", "-m", module, *words), within_s=within_s, data=data)

    def run(self, command: Sequence[str], *, within_s: float, data: bytes = b"") -> End:
        """Run ``command``, whose program is named in full, and whatever it starts, for so long.

        ``data`` is its standard input. Raises ChildError if it cannot be started.
        """
        try:
            process = self._begin(command)
        except OSError as e:
            raise ChildError(f"{command[0]} cannot be started: {e}") from e
        with process:
            with contextlib.suppress(OSError):  # an abort is an answer, not a file on the disk
                resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
            try:
                out, err = process.communicate(data, timeout=within_s)
                status: int | None = process.returncode
            except subprocess.TimeoutExpired:
                _kill(process)
                (out, err), status = process.communicate(), None  # what it said so far
        return End(status=status, out=out[:_MAX_OUT], err=err[-_TAIL:].decode(errors="replace"))

    def stop(self) -> None:
        """End the one that runs, and let none begin any more."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.poll() is None:
                _kill(self._process)

    def _begin(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise ChildError("whoever would have asked has ended")
            self._process = subprocess.Popen(
                [*dying_with_us(), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment(),
                start_new_session=True,
            )
            return self._process


def environment() -> dict[str, str]:
    """Return what a child is told of the world."""
    known = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return known | {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


def python(module: str, *words: str, within_s: float, data: bytes = b"") -> End:
    """Run a module of Python in a child that nobody ends early. Raises ChildError."""
    return Child().python(module, *words, within_s=within_s, data=data)


def run(command: Sequence[str], *, within_s: float) -> End:
    """Run ``command`` in a child that nobody ends early. Raises ChildError."""
    return Child().run(command, within_s=within_s)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
