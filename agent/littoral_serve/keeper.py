"""Keeps one trial under a user of its own: what ``littoral-trial@.service`` runs.

    python -m littoral_serve.keeper        standard input is serve's connection

One message comes in: the order, and as descriptors the release's files and where the trial's
output goes. Two go out: that the trial has begun, and the status with which it ended. When the
connection ends, the trial does. Nothing here reads a model, or believes what a trial says.
"""

import os
import select
import signal
import socket
import subprocess
import sys
from typing import Final

from littoral import records
from littoral_serve import trial

BEGUN: Final = b"begun"
_ORDER_S: Final = 5.0  # within which serve says what to try


def main() -> int:
    with socket.socket(fileno=os.dup(0)) as peer:
        peer.settimeout(_ORDER_S)
        data, descriptors, _, _ = socket.recv_fds(peer, trial.MAX_BYTES, trial.FILES + 2)
        order = records.from_json(trial.Order, data, limit=trial.MAX_BYTES)
        *files, out, err = descriptors
        process = subprocess.Popen(
            trial.command(order, files),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            pass_fds=files,
            env=trial.environment(),
            start_new_session=True,
        )
        for descriptor in descriptors:
            os.close(descriptor)
        peer.send(BEGUN)
        _outlast(process, peer)
        peer.send(str(process.wait()).encode())
    return 0


def _outlast(process: subprocess.Popen[bytes], peer: socket.socket) -> None:
    """Return when ``process`` has ended, by itself or because nobody waits for it."""
    ended = os.pidfd_open(process.pid)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(peer, select.POLLIN | select.POLLRDHUP)
    poll.poll()
    os.close(ended)
    os.killpg(process.pid, signal.SIGKILL)  # also what it has started and left behind


if __name__ == "__main__":
    sys.exit(main())
