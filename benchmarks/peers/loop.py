"""The least that an answer costs in Python: an asyncio protocol; no queue, no checks, no figures.

loop.py serve.sock    one frame after the other
loop.py PORT          one HTTP request after the other, tensors in binary both ways
"""

import asyncio
import struct
import sys
from typing import cast

import orjson

from peers.engine import Engine

engine = Engine()
OUTPUT = {"name": "y", "datatype": "INT8", "parameters": {"binary_data_size": 0}}
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n"
    b"Inference-Header-Content-Length: %d\r\n\r\n"
)


class Least(asyncio.BufferedProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.view, self.have = memoryview(bytearray(1 << 17)), 0

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.view[self.have :]


class Frame(Least):
    def buffer_updated(self, nbytes: int) -> None:
        self.have += nbytes
        if self.have >= 16:
            head, body = struct.unpack_from("<II", self.view, 4)
            if self.have >= 16 + head + body:
                made = engine.of_bytes(self.view[16 + head : 16 + head + body])
                self.have = 0
                self.transport.write(struct.pack("<HBBIII", 0, 0, 129, 0, len(made), 0) + made)


class Http(Least):
    def buffer_updated(self, nbytes: int) -> None:
        self.have += nbytes
        head, end, _ = bytes(self.view[: min(self.have, 2048)]).partition(b"\r\n\r\n")
        begins = len(head + end)
        if end and self.have >= begins + _number(head, b"\r\nContent-Length: "):
            at = begins + _number(head, b"\r\nInference-Header-Content-Length: ")
            orjson.loads(self.view[begins:at])
            made = engine.of_bytes(self.view[at : self.have])
            self.have = 0
            told = orjson.dumps({"model_name": "m", "model_version": "1", "outputs": [OUTPUT]})
            self.transport.write(HEAD % (len(told) + len(made), len(told)) + told + made)


def _number(head: bytes, name: bytes) -> int:
    at = head.index(name) + len(name)
    end = head.find(b"\r\n", at)
    return int(head[at : end if end > 0 else len(head)])


async def main() -> None:
    loop, address = asyncio.get_running_loop(), sys.argv[1]
    if address.isdigit():
        server = await loop.create_server(Http, "127.0.0.1", int(address))
    else:
        server = await loop.create_unix_server(Frame, address)
    await server.serve_forever()


asyncio.run(main())
