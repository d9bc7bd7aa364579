"""Programs that are asked something and may do worse than answer: hang, crash, say too much."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from littoral.children import dying_with_us

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


def python(module: str, *words: str, within_s: float) -> End:
    """Run a module of Python in a child."""
    return run((sys.executable, "-P", "-m", module, *words), within_s=within_s)


def run(command: Sequence[str], *, within_s: float) -> End:
    """Run ``command``, whose program is named in full, and whatever it starts, for so long."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        [*dying_with_us(), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    ) as child:
        with contextlib.suppress(OSError):  # an abort is an answer here, not a file on the disk
            resource.prlimit(child.pid, resource.RLIMIT_CORE, (0, 0))
        try:
            out, err = child.communicate(timeout=within_s)
            status: int | None = child.returncode
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            (out, err), status = child.communicate(), None  # what it said so far
    return End(status=status, out=out[:_MAX_OUT], err=err[-_TAIL:].decode(errors="replace"))
