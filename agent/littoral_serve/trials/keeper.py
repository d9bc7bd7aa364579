"""Keeps one trial under a user of its own: what ``littoral-trial@.service`` runs.

    python -m littoral_serve.trials.keeper        standard input is serve's connection

One message comes in: the order, and as descriptors the release's files and where the trial's
output goes. Two go out: that the trial has begun, and the status with which it ended. When the
connection ends, the trial does. Nothing here reads a model, or believes what a trial says.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from typing import Final

from littoral import records
from littoral.errors import MalformedError
from littoral_serve.confining import environment
from littoral_serve.trials import trial

BEGUN: Final = b"begun"
_ORDER_S: Final = 5.0  # within which serve says what to try


def main() -> int:
    with socket.socket(fileno=os.dup(0)) as peer:
        peer.settimeout(_ORDER_S)
        try:
            data, descriptors, _, _ = socket.recv_fds(peer, trial.MAX_BYTES, trial.FILES + 3)
            order = records.from_json(trial.Order, data, limit=trial.MAX_BYTES)
            *files, out, err = descriptors
        except (OSError, ValueError) as e:  # it says nothing, something else, or brings no files
            sys.stderr.write(f"{MalformedError(f'expected an order and its files: {e}').line}\n")
            return 1
        ended = _told_of_children()
        process = subprocess.Popen(
            trial.command(order, files),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            pass_fds=files,
            env=environment(),
            start_new_session=True,
        )
        for descriptor in descriptors:
            os.close(descriptor)
        peer.send(BEGUN)
        _outlast(process, ended, peer)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also what it has started and left behind
        peer.send(str(process.wait()).encode())
    return 0


def _told_of_children() -> int:
    """Return what becomes readable when a child stops or ends: older kernels have no pidfd."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return read


def _outlast(process: subprocess.Popen[bytes], ended: int, peer: socket.socket) -> None:
    """Return when ``process`` has ended, or nobody waits for it any longer."""
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(peer, select.POLLIN | select.POLLRDHUP)
    while process.poll() is None and peer.fileno() not in dict(poll.poll()):
        os.read(ended, 64)  # it may have stopped, and not ended


if __name__ == "__main__":
    sys.exit(main())
