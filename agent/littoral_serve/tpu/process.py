"""A TPU's child as serve has it: started, spoken to, ended, waited for. Decides nothing.

All of it happens on the loop, and none of it waits: a process that hangs in the kernel with a
device that was pulled may take its time to go.
"""

import asyncio
import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final

from littoral import records
from littoral.errors import MalformedError
from littoral_serve.confining import environment
from littoral_serve.tpu import messages
from littoral_serve.tpu.child import MODULE

_LOOK_S: Final = 0.01  # at whether it is gone: older kernels have no pidfd
_LOOK_MOST_S: Final = 1.0
_TAIL_BYTES: Final = 4096


class Process:
    """``heard`` is told what the child says, ``lost`` that it says nothing any more. Once each."""

    def __init__(
        self,
        seating: messages.Seating,
        *,
        heard: Callable[[messages.Message], None],
        lost: Callable[[], None],
    ) -> None:
        """Start it. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self._heard, self._lost = heard, lost
        self._peer, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.ExitStack() as ours, theirs:
            ours.enter_context(self._peer)
            err, their_err = os.pipe()
            self._err = ours.enter_context(io.FileIO(err))
            with io.FileIO(their_err, "w") as errors:
                self._process = _started(seating, theirs, errors)
            ours.pop_all()  # they are closed with it, or where it did not start
        self._peer.settimeout(0)
        os.set_blocking(err, False)
        self._tail = b""
        self._waiting: list[Callable[[], None]] = []
        self._loop.add_reader(self._peer, self._read)
        self._loop.add_reader(self._err, self._read_words)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, order: messages.Message, descriptors: Sequence[int] = ()) -> bool:
        """Say ``order``; return whether anybody was there to hear it."""
        try:
            socket.send_fds(self._peer, [messages.pack(order)], descriptors)
        except OSError:
            return False
        return True

    def end(self) -> None:
        """Kill it, and hear no more of it. Can be done to one that is gone, and twice."""
        if self._peer.fileno() < 0:
            return
        self._loop.remove_reader(self._peer)
        self._peer.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reap(_LOOK_S)

    def after(self, then: Callable[[], None]) -> None:
        """Call ``then`` when it is gone, which ``end`` sees to: its TPU is free then."""
        if self._process.returncode is not None:
            then()
        else:
            self._waiting.append(then)

    def _reap(self, look_s: float) -> None:
        if self._process.poll() is None:
            self._loop.call_later(look_s, self._reap, min(2 * look_s, _LOOK_MOST_S))
            return
        self._read_words()
        self._close_words()
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then()

    def words(self) -> str:
        """Return how it ended, as far as it is gone, and its last line."""
        status = self._process.returncode
        last = self._tail.decode(errors="replace").strip().rpartition("\n")[2][-200:]
        if status is None:
            how = "it went on"
        elif status >= 0:
            how = f"it ended with {status}"
        else:
            how = f"it was ended by {_signal(-status)}"
        return f"{how}: {last}" if last else how

    def _read(self) -> None:
        try:
            data = self._peer.recv(messages.MAX_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._peer)
            self._lost()
            return
        try:
            found = messages.unpack(data)
        except MalformedError:
            self._loop.remove_reader(self._peer)
            self._lost()
            return
        self._heard(found)

    def _read_words(self) -> None:
        if self._err.closed:
            return
        data = self._err.read(_TAIL_BYTES)  # None: nothing yet
        if data == b"":
            self._close_words()
        self._tail = (self._tail + (data or b""))[-_TAIL_BYTES:]

    def _close_words(self) -> None:
        if not self._err.closed:
            self._loop.remove_reader(self._err)
            self._err.close()


def _started(
    seating: messages.Seating, theirs: socket.socket, errors: io.FileIO
) -> "subprocess.Popen[bytes]":
    words = [records.to_json(seating).decode(), str(os.getpid()), str(theirs.fileno())]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", MODULE, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        pass_fds=[theirs.fileno()],
        env=environment(),
        start_new_session=True,
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
