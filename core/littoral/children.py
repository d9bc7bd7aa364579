"""Processes that end with whoever started them, even when that one is killed.

The kernel sends the signal when the parent is gone (Linux alone); elsewhere a child that
outlives a killed parent has to be ended by hand.
"""

import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
# Who was gone before the kernel was asked to tell of it is seen by another parent's number.
_EXEC: Final = f"""\
import ctypes, os, sys
ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, {int(signal.SIGTERM)})
os.getppid() == int(sys.argv[1]) and os.execv(sys.argv[2], sys.argv[2:])
"""


def dying_with_us() -> list[str]:
    """Return the words before a command, whose program is named in full, that let it end with us.

    It gets SIGTERM; who calls this must not be a thread that ends earlier.
    """
    if sys.platform != "linux":
        return []
    # setpriv does it too, but not where a service may not set its capabilities, if only to none.
    return [sys.executable, "-I", "-S", "-c", _EXEC, str(os.getpid())]


def die_with_parent() -> None:
    """Let this process be killed when its parent ends. One that has ended is not noticed."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
