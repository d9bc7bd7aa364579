"""What a process gives up before it loads a model: a model file is a program.

It ends with its parent, gains no privileges, leaves no core file, writes no file, and is the first
to go when the machine is out of memory. Nothing of this needs a privilege.
"""

import contextlib
import ctypes
import os
import resource
import sys
from pathlib import Path
from typing import Final

from littoral.children import die_with_parent

_MOST_FILES: Final = 64
_MOST_FILES_WITH_GPU: Final = 1024
_MOST_WRITTEN_WITH_GPU: Final = 4 * 2**30
_PR_SET_NO_NEW_PRIVS: Final = 38
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR")


def environment() -> dict[str, str]:
    """Return what such a process needs of ours, and no more."""
    held = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return held | {"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def confine(
    *,
    parent: int,
    address_space_bytes: int,
    cpu_s: int | None = None,
    nice: int = 0,
    gpu: bool = False,
) -> None:
    """Give it up, in this process; it ends at once where ``parent`` is gone already.

    A GPU's driver takes more addresses than there is memory, a file for each of its devices, and
    what it builds is written: with a ``gpu``, only the memory of the whole unit is bounded.
    """
    die_with_parent()
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(os.EX_UNAVAILABLE)
    os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
    # When the machine is out of memory, this process goes first and serve goes on; where /proc
    # cannot be written to, which one goes is the kernel's choice, and no fault of the model.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    if not gpu:
        _limit(resource.RLIMIT_AS, address_space_bytes)
    if cpu_s is not None:
        # At the second limit the signal is the one of a machine that is out of memory.
        _limit(resource.RLIMIT_CPU, cpu_s, beyond=5)
    _limit(resource.RLIMIT_NOFILE, _MOST_FILES_WITH_GPU if gpu else _MOST_FILES)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, _MOST_WRITTEN_WITH_GPU if gpu else 0)


def _limit(what: int, most: int, *, beyond: int = 0) -> None:
    _, hard = resource.getrlimit(what)
    bound = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(what, (min(most, bound), min(most + beyond, bound)))
