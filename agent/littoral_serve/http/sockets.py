"""The sockets that serve listens on: its own, or those that systemd holds for it."""

import errno
import os
import socket
import stat
import struct
from asyncio import BaseTransport
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from littoral import addresses, durable
from littoral.errors import MisuseError, PortInUseError, StorageError
from littoral.tree import Tree
from littoral_serve.http.messages import Response, failure

_BACKLOG: Final = 512
_FIRST_INHERITED: Final = 3
_LONGEST_PATH: Final = 107  # what sockaddr_un holds


def tcp(host: str, port: int) -> socket.socket:
    """Return a socket that listens on ``host:port``.

    Raises:
        PortInUseError: Another program does.
        MisuseError: This machine has no such address.

    """
    where = addresses.join(host, port)
    try:
        # Of bytes nobody asks whether they are a name of other letters: the tables for that are
        # 2 ms of a start.
        family, kind, proto, _, address = socket.getaddrinfo(
            host.encode() if host.isascii() else host,
            *(port, socket.AF_UNSPEC, socket.SOCK_STREAM, 0, socket.AI_PASSIVE),
        )[0]
        listener = socket.socket(family, kind, proto)
    except OSError as e:
        raise MisuseError(f"cannot listen on {where}: {e.strerror or e}") from e
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as e:
        listener.close()
        if e.errno == errno.EADDRINUSE:
            raise PortInUseError(where) from e
        raise MisuseError(f"cannot listen on {where}: {e.strerror or e}") from e
    return listener


def unix(path: Path) -> socket.socket:
    """Return a socket that listens on ``path``, 0660; a file that nobody listens on is replaced.

    Raises:
        PortInUseError: Another program listens there.
        StorageError: It cannot be made.

    """
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise StorageError(f"{path}: a socket's path has at most {_LONGEST_PATH} bytes")
    _remove_stale(path)
    with durable.storage_errors(path):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o117)
    try:
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except OSError as e:
        listener.close()
        raise StorageError(f"{path}: {e.strerror or e}") from e
    finally:
        os.umask(mask)
    return listener


@dataclass(frozen=True, slots=True)
class Sockets:
    """What is listened on, by who may come."""

    control: tuple[socket.socket, ...] = ()  # the agent
    serve: tuple[socket.socket, ...] = ()  # local programs
    http: tuple[socket.socket, ...] = ()  # all others

    @property
    def address(self) -> tuple[str, int]:
        """Return the host and port at which all others come."""
        host, port = self.http[0].getsockname()[:2]
        return host, port


def opened(http: str, tree: Tree | None) -> Sockets:
    """Return what systemd listens on for this process, and open the rest here.

    Without a ``tree`` only http is listened on, at the address in ``http``.

    Raises:
        PortInUseError: Another program listens there.
        MisuseError: This machine has no such address.
        StorageError: A socket cannot be made in ``tree``.

    """
    given = inherited()
    tcp_ = given.http or (tcp(*addresses.split(http)),)
    if tree is None:
        return Sockets(http=tcp_)
    with durable.storage_errors(tree.sockets):
        tree.sockets.mkdir(mode=0o750, parents=True, exist_ok=True)
    control = given.control or (unix(tree.control),)
    return Sockets(control=control, serve=given.serve or (unix(tree.serve),), http=tcp_)


def inherited() -> Sockets:
    """Return what systemd listens on for this process; its units name the agent's ``control``.

    What this process starts does not have them.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return Sockets()
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    count = int(os.environ.get("LISTEN_FDS", "0"))
    held = [socket.socket(fileno=_FIRST_INHERITED + at) for at in range(count)]
    for listener in held:
        listener.set_inheritable(False)
    named = list(zip(names, held, strict=True))
    clients = [one for name, one in named if name != "control"]
    return Sockets(
        control=tuple(one for name, one in named if name == "control"),
        serve=tuple(one for one in clients if one.family == socket.AF_UNIX),
        http=tuple(one for one in clients if one.family != socket.AF_UNIX),
    )


def known_peer(transport: BaseTransport) -> Response | None:
    """Refuse who is neither root nor of this process' user or group: for ``control.sock``."""
    peer: socket.socket = transport.get_extra_info("socket")
    data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, gid = struct.unpack("3i", data)
    if uid in (0, os.geteuid()) or gid == os.getegid():
        return None
    return failure(HTTPStatus.FORBIDDEN, "this socket is for the agent")


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise StorageError(f"{path}: expected a socket, found another file")
    except FileNotFoundError:
        return
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror or e}") from e
    if _listened_on(path):
        raise PortInUseError(str(path))
    with durable.storage_errors(path):
        path.unlink(missing_ok=True)


def _listened_on(path: Path) -> bool:
    """Tell whether some process listens on the socket ``path``.

    Raises:
        StorageError: It may be: this process may not ask.

    """
    with durable.storage_errors(path), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)  # who is stopped, with a full queue, is waited for without end
        try:
            probe.connect(str(path))
        except BlockingIOError:
            return True
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        return True
