"""Starts trials as littoral_serve.trials.keeper does, by forks of what has imported everything.

    python -m faults.hostile_keeper SOCKET [RULE]      # listens there, as littoral-trial.socket

What runs is littoral_serve.trials.trial.main, with the same arguments and descriptors; all
that is spared is half a second of imports a trial. RULE is one of faults.hostile_teeth, which
the trials break.
"""

import contextlib
import importlib
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Final, NoReturn

from faults import hostile_teeth
from littoral import records
from littoral.children import die_with_parent
from littoral_serve.trials import trial
from littoral_serve.trials.keeper import BEGUN

# What a trial imports once it is confined.
_LAZY: Final = (
    "ai_edge_litert.interpreter",
    "littoral.model.backends.litert",
    "littoral.model.selftest",
    "littoral_serve.trials.golden",
    "littoral_serve.running.live",
    "littoral.bundle.verified",
)
_AT: Final = 64  # the first descriptor that no trial is given


def main(path: Path, rule: str | None) -> None:
    die_with_parent()
    for name in _LAZY:
        importlib.import_module(name)
    if rule is not None:
        hostile_teeth.IN_TRIAL[rule]()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        os.write(1, b"ready\n")
        while True:
            peer, _ = listener.accept()
            with peer:
                _keep(peer)


def _keep(peer: socket.socket) -> None:
    """Have one trial done; it ends with the connection."""
    data, descriptors, _, _ = socket.recv_fds(peer, trial.MAX_BYTES, trial.FILES + 2)
    if not data:
        return
    order = records.from_json(trial.Order, data, limit=trial.MAX_BYTES)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _try(order, descriptors, parent=parent)
    for descriptor in descriptors:
        os.close(descriptor)
    with contextlib.suppress(BrokenPipeError):
        peer.send(BEGUN)
    ended = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(peer, select.POLLIN | select.POLLRDHUP)
    poll.poll()
    os.close(ended)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):
        peer.send(str(os.waitstatus_to_exitcode(status)).encode())


def _try(order: trial.Order, descriptors: list[int], *, parent: int) -> NoReturn:
    """Be what the command of a trial starts: same descriptors, same arguments, same ends."""
    os.setsid()
    for at, descriptor in enumerate(descriptors):
        os.dup2(descriptor, _AT + at)
    *files, out, err = range(_AT, _AT + len(descriptors))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, _AT)
    given = range(3, 3 + len(files))
    for at, descriptor in zip(given, files, strict=True):
        os.dup2(descriptor, at)
    os.closerange(_AT, _AT + len(descriptors))
    words = [records.to_json(order).decode(), str(parent), *map(str, given)]
    try:
        trial.main(["trial", *words])
    except SystemExit as e:
        os._exit(int(e.code or 0))
    except BaseException:  # noqa: BLE001 (as an interpreter ends)
        traceback.print_exc()
        os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if sys.argv[2:] else None)
