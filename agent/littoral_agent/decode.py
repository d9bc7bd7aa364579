"""``python -m littoral_agent.decode PARENT KIND SIZE CPU_S [BASE]``: an encoding becomes a file.

The encoding is its standard input, what the file will be its standard output, and BASE the
descriptor of the file that a patch starts from. Nothing else is open, and before a byte is read
nothing can be opened any more: no key, no socket, no process. Its bytes were checked against a
digest that somebody signed; this is for the day on which whoever signs is not honest, or wrong.

How it ends is read by littoral_agent.decoding, which compares what came out: nothing here is
believed. It loads what it needs and no more, for it begins once for every file.
"""

import contextlib
import ctypes
import errno
import os
import resource
import struct
import sys
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from littoral.bundle import adding, encodings
from littoral.children import die_with_parent
from littoral.errors import LittoralError
from littoral_agent.decode_status import BROKEN, DAMAGED, LEFT, REFUSED, STARVED

if TYPE_CHECKING:
    from littoral.bundle.manifest import EncodingKind

ROOM_BYTES: Final = 24 * 2**20  # of address space, beyond what is loaded: memory is a fifth of it
_PR_SET_NO_NEW_PRIVS: Final = 38
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # the same on every processor
_LANDLOCK_ALL: Final = (
    (1, (1 << 13) - 1),  # since which version of it: files, …
    (4, 0b11),  # … TCP, …
    (6, 0b11),  # … signals to others, and sockets that are no files
)


def main() -> int:
    """Write what comes out; return how that ended."""
    parent, kind, size, cpu_s, *base = sys.argv[1:]
    adding.ready()
    confine(parent=int(parent), cpu_s=int(cpu_s))
    read = partial(os.read, 0)
    at = partial(_at, int(base[0])) if base else None
    try:
        for chunk in encodings.plain(cast("EncodingKind", kind), read, size=int(size), base=at):
            _write(chunk)
    except LittoralError as e:
        return _say(REFUSED, f"{e} [{e.code}]")
    except MemoryError:
        return STARVED
    except BrokenPipeError:
        return LEFT
    except OSError as e:
        return STARVED if e.errno == errno.ENOMEM else _say(DAMAGED, str(e))
    except Exception as e:  # noqa: BLE001 (whatever it is, it is these bytes that led there)
        return _say(BROKEN, f"{type(e).__name__}: {e}")
    return 0


def confine(*, parent: int, cpu_s: int) -> None:
    """Give up all that decoding does not need, and do not outlive ``parent``."""
    die_with_parent()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(LEFT)
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 (pathlib is not loaded here)
        loaded = int(file.read().split()[0]) * resource.getpagesize()
    _wall_in(libc)
    for what, soft, hard in (
        (resource.RLIMIT_AS, loaded + ROOM_BYTES, loaded + ROOM_BYTES),
        # At the second limit the signal is the one of a machine that is out of memory.
        (resource.RLIMIT_CPU, cpu_s, cpu_s + 5),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_NPROC, 0, 0),
        (resource.RLIMIT_NOFILE, 0, 0),
    ):
        most = resource.getrlimit(what)[1]
        bound = sys.maxsize if most == resource.RLIM_INFINITY else most
        resource.setrlimit(what, (min(soft, bound), min(hard, bound)))


def _wall_in(libc: ctypes.CDLL) -> None:
    """Give up, by Landlock, files and network, and other processes: to signal or look into them.

    Where the kernel has none, or whoever started the agent forbids to ask, the limits stand.
    """
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, 1)
    all_of = [bits for since, bits in _LANDLOCK_ALL if version >= since]
    if not all_of:
        return
    rules = struct.pack(f"={len(all_of)}Q", *all_of)
    ruleset = libc.syscall(_LANDLOCK_CREATE, rules, len(rules), 0)
    if ruleset >= 0:
        libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0)
        os.close(ruleset)


def _at(base: int, at: int, size: int) -> bytes:
    return os.pread(base, size, at)


def _write(chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(1, view) :]


def _say(status: int, words: str) -> int:
    with contextlib.suppress(OSError):
        os.write(2, words.encode(errors="replace")[:1000])
    return status


if __name__ == "__main__":
    os._exit(main())
