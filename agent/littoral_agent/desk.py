"""A socket at which somebody at the board hands the agent something: a medium, or a measurement.

``littoral install`` hands over the opened folder itself, so it need not lie where the agent may
look; which medium is believed is decided as for any other. ``littoral bench --publish`` hands over
a file. Only root and the agent's own user are heard.
"""

import contextlib
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from littoral import records
from littoral.errors import LittoralError
from littoral.wire.control import Failure
from littoral.wire.messages import BENCH, Benched
from littoral.wire.receipt import SignedReceipt
from littoral_agent.folder import Folder
from littoral_agent.receipt import Told
from littoral_agent.streams import CHUNK_BYTES
from littoral_agent.taking import Taken

_MOST_TAKEN: Final = 1024 * 1024  # a document of 64 KiB names hundreds of models
_MOST_ANSWER: Final = _MOST_TAKEN + SignedReceipt.MOST_BYTES
MOST_WAIT_S: Final = 3600.0
_MOST_PEERS: Final = 16  # that wait to be heard, or are sent away at a time
_ASK_S: Final = 5.0  # for the request, which is one line

log = logging.getLogger(__name__)


class Desk:
    """Listens on ``path``, and hands on what it is given to ``take``: folder and seconds.

    The answer is what came of it, a line, and the receipt that is to be left on the medium. What
    was measured goes to ``benched``.
    No thread waits for what hardly ever comes: ``tick`` sees who is there.
    """

    def __init__(
        self,
        path: Path,
        take: Callable[[Folder, float], Taken],
        receipt: Callable[[], tuple[Told | None, bytes]],
        benched: Callable[[Benched], None],
    ) -> None:
        self._path, self._take, self._receipt, self._benched = path, take, receipt, benched
        self._one = threading.Lock()  # medium at a time
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Listen, if the socket can be made: a device does without."""
        try:
            self._path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            listener.settimeout(0)
            listener.bind(str(self._path))
            self._path.chmod(0o660)
            listener.listen(_MOST_PEERS)
        except OSError as e:
            log.warning("%s: no medium can be handed over: %s", self._path, e)
            return
        self._listener = listener

    def stop(self) -> None:
        """Listen no more; whom somebody is answering just now is left to that."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self._path.unlink(missing_ok=True)

    def tick(self) -> None:
        """Answer who came since the last time, in a thread."""
        if self._listener is None:
            return
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MOST_PEERS):
                peer = self._listener.accept()[0]
                if not _known(peer):  # before it can keep anybody waiting
                    peer.close()
                    continue
                threading.Thread(
                    target=self._answer, args=(peer,), name="desk", daemon=True
                ).start()
                return

    def _answer(self, peer: socket.socket) -> None:
        with peer, self._one:
            try:
                self._serve(peer)
            except (OSError, ValueError) as e:
                log.warning("a medium was not taken: %s", e)

    def _serve(self, peer: socket.socket) -> None:
        peer.settimeout(_ASK_S)
        line, fds, _, _ = socket.recv_fds(peer, 64, 1)
        try:
            if len(fds) != 1:
                return
            if line.strip() == BENCH:
                peer.sendall(self._measured(fds[0]))
                return
            wait_s = min(float(line), MOST_WAIT_S)
            folder = Folder(Path(f"/proc/self/fd/{fds[0]}"), called="the medium")
            log.info("somebody at the board hands over a medium")
            try:
                taken = self._take(folder, wait_s)
            except LittoralError as e:
                taken = Taken(code=e.code, detail=str(e))
            told, data = self._receipt()
            peer.sendall(records.to_json(replace(taken, receipt=told)) + b"\n" + data)
        finally:
            for fd in fds:
                os.close(fd)

    def _measured(self, fd: int) -> bytes:
        """Return the answer to a measurement in the file ``fd``."""
        try:
            self._benched(Benched.from_json(os.pread(fd, Benched.MOST_BYTES + 1, 0)))
        except LittoralError as e:
            return records.to_json(Failure(code=e.code, error=str(e)))
        return b"{}"


def answer(desk: socket.socket) -> tuple[Taken, bytes]:
    """Return what the agent answers at its ``desk``. Raises OSError and RecordError."""
    data = bytearray()
    while len(data) <= _MOST_ANSWER and (chunk := desk.recv(CHUNK_BYTES)):
        data += chunk
    taken, _, receipt = bytes(data).partition(b"\n")
    return records.from_json(Taken, taken, limit=_MOST_TAKEN), receipt


def _known(peer: socket.socket) -> bool:
    """Whether it is root, or this process' own user, who asks."""
    data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", data)
    return uid in (0, os.geteuid())
