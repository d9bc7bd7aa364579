"""HTTP as it goes over a socket, well and badly: what a client says, and what comes back.

The model that is asked is ``tiny``, of tiny_int8.tflite.
"""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from patience import patient
from simulators.served import FIXTURES, Serve, serving

ONE: Final = json.dumps({"instances": [[[[0.5]] * 8] * 8]}).encode()
PATH: Final = "/v1/models/tiny:predict"
CHUNKED: Final = (
    f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
)


TINY: Final = f"--model=tiny={FIXTURES}/tiny_int8.tflite"
_NARROW: Final = """
max_body_bytes = 100_000
receive_timeout_s = 1.0
keep_alive_s = 2.5
max_connections = 40
hosts = ["board.example"]
"""


@contextmanager
def narrow(folder: Path) -> Iterator[Serve]:
    """Yield a serve of narrow limits, whose settings are in ``folder``."""
    settings = folder / "serve.toml"
    settings.write_text(_NARROW)
    with serving(TINY, f"--settings={settings}") as running:
        yield running


def request(body: bytes = ONE, *, head: str = "", path: str = PATH, version: str = "1.1") -> bytes:
    return (
        f"POST {path} HTTP/{version}\r\nHost: localhost\r\n{head}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def connect(serve: Serve) -> socket.socket:
    return socket.create_connection(serve.address, timeout=patient(20))


def everything(connection: socket.socket) -> bytes:
    data = b""
    while part := connection.recv(1 << 16):
        data += part
    return data


def said(serve: Serve, data: bytes) -> bytes:
    """Send ``data``, then nothing more; return all that comes back."""
    with connect(serve) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return everything(connection)


def status(data: bytes) -> int:
    return int(data.split(b" ", 2)[1])


def replies(stream: socket.socket, count: int) -> list[bytes]:
    """Read ``count`` responses, one after the other."""
    file = stream.makefile("rb")
    found = []
    for _ in range(count):
        line = file.readline()
        assert line.startswith(b"HTTP/1.1 200"), line
        size = 0
        while (head := file.readline()) != b"\r\n":
            if head.lower().startswith(b"content-length:"):
                size = int(head.split(b":")[1])
        found.append(file.read(size))
    return found
