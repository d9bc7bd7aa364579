"""Processes that end with whoever started them, even when that one is killed.

The kernel sends the signal when the parent is gone (Linux alone); elsewhere a child that
outlives a killed parent has to be ended by hand.
"""

import shutil
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_EXEC: Final = f"""\
import ctypes, os, sys
ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, {int(signal.SIGTERM)})
os.execv(sys.argv[1], sys.argv[1:])
"""


def dying_with_us() -> list[str]:
    """Return the words before a command, whose program is named in full, that let it end with us.

    It gets SIGTERM; who calls this must not be a thread that ends earlier.
    """
    if sys.platform != "linux":
        return []
    if (setpriv := shutil.which("setpriv")) is not None:
        return [setpriv, "--pdeathsig", "TERM", "--"]
    return [sys.executable, "-c", _EXEC]


def die_with_parent() -> None:
    """Let this process be killed when its parent ends. One that has ended is not noticed."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
