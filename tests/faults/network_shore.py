"""What a device meets beside its console: a server of names, and a captive portal."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from faults.network_places import CONSOLE, NAME, Places
from littoral.trust import certificates

PAGE: Final = b"<html><body>Welcome! Please accept our terms.</body></html>"
_ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%s" % (len(PAGE), PAGE)
)
_DNS: Final = 53


@contextmanager
def shores(here: Places, folder: Path, *, secured: int, plain: int) -> Iterator[None]:
    """Answer for names on both shores; on the portal's also at ``secured``, ``plain`` and 80."""
    with ExitStack() as undo:
        for place in (here.console, here.portal):
            with place.inside():
                asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                asked.bind((CONSOLE, _DNS))
            _serve(undo, asked, _name)
        with here.portal.inside():
            doors = [socket.create_server((CONSOLE, port)) for port in (secured, plain, 80)]
        context = _other_certificate(folder)
        _serve(undo, doors[0], lambda door: _welcome(door, context))
        for door in doors[1:]:
            _serve(undo, door, _welcome)
        yield


def _serve(
    undo: ExitStack, socket_: socket.socket, answer: Callable[[socket.socket], None]
) -> None:
    """Answer whatever comes to the socket, in a thread, until it is shut."""

    def go() -> None:
        while True:
            with contextlib.suppress(OSError):  # whoever asked is gone
                answer(socket_)
            if ended.is_set():
                return

    ended = threading.Event()
    thread = threading.Thread(target=go, daemon=True)
    thread.start()

    def end() -> None:
        ended.set()
        with contextlib.suppress(OSError):
            socket_.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        socket_.close()

    undo.callback(end)


def _name(asked: socket.socket) -> None:
    """Answer one question: the console's name has an address, no other one has."""
    question, who = asked.recvfrom(512)
    if not who:  # it was shut
        return
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode())
        at += 1 + length
    kind = struct.unpack_from("!H", question, at + 1)[0]
    known = ".".join(labels).lower() == NAME
    found = known and kind == 1
    head = question[:2] + struct.pack("!HHHHH", 0x8180 | (0 if known else 3), 1, found, 0, 0)
    answer = head + question[12 : at + 5]
    if found:
        answer += struct.pack("!HHHIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(CONSOLE)
    asked.sendto(answer, who)


def _welcome(door: socket.socket, context: ssl.SSLContext | None = None) -> None:
    """Show one caller the page, whatever was asked for."""
    caller, _ = door.accept()
    caller.settimeout(5)
    with ExitStack() as undo:
        undo.callback(caller.close)
        if context is not None:
            caller = context.wrap_socket(caller, server_side=True)
            undo.callback(caller.close)
        caller.recv(65536)
        caller.sendall(_ANSWER)


def _other_certificate(folder: Path) -> ssl.SSLContext:
    """Return how a portal speaks TLS: under the console's name, by an authority of its own."""
    folder.mkdir()
    now = datetime.now(UTC)
    ca = certificates.new_ca(folder / "ca.pem", folder / "ca.crt", name="hotel", now=now)
    key, certificate = folder / "portal.pem", folder / "portal.crt"
    certificates.issue_server([NAME, CONSOLE], ca=ca, key=key, certificate=certificate, now=now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
