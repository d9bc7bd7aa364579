"""The least that a frame costs in Python: one asyncio protocol, no queue, no checks, no figures."""

import asyncio
import struct
import sys
from typing import cast

from peers.engine import Engine

engine = Engine()


class Least(asyncio.BufferedProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.view, self.have = memoryview(bytearray(1 << 17)), 0

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.view[self.have :]

    def buffer_updated(self, nbytes: int) -> None:
        self.have += nbytes
        if self.have >= 16:
            head, body = struct.unpack_from("<II", self.view, 4)
            if self.have >= 16 + head + body:
                made = engine.of_bytes(self.view[16 + head : 16 + head + body])
                self.have = 0
                self.transport.write(struct.pack("<HBBIII", 0, 0, 129, 0, len(made), 0) + made)


async def main() -> None:
    server = await asyncio.get_running_loop().create_unix_server(Least, sys.argv[1])
    await server.serve_forever()


asyncio.run(main())
