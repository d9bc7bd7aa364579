"""What a line has to know of the IPv4 packets that it carries: whose they are, and which bytes.

Values in, values out; what is no TCP or UDP in IPv4 is carried like any other packet.
"""

import struct
from dataclasses import dataclass
from typing import Final

TCP: Final = 6
UDP: Final = 17
FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
ACK: Final = 0x10
_IP_BYTES: Final = 20
_TCP_BYTES: Final = 20
_WRAP: Final = 2**32


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet, and what its heads say."""

    raw: bytes
    protocol: int = 0
    source: int = 0  # port; 0 where there is none
    target: int = 0
    sequence: int = 0
    acknowledged: int = 0
    flags: int = 0
    payload: bytes = b""

    @property
    def end(self) -> int:
        """The number of the byte that follows: a SYN and a FIN count as one."""
        extra = bool(self.flags & SYN) + bool(self.flags & FIN)
        return (self.sequence + len(self.payload) + extra) % _WRAP


def read(raw: bytes) -> Packet:
    """Read the heads of ``raw``."""
    if len(raw) < _IP_BYTES or raw[0] >> 4 != 4:
        return Packet(raw)
    at, protocol = (raw[0] & 15) * 4, raw[9]
    if protocol == UDP:
        source, target = struct.unpack_from("!HH", raw, at)
        return Packet(raw, protocol, source, target)
    if protocol != TCP:
        return Packet(raw, protocol)
    source, target, sequence, acknowledged, offset, flags = struct.unpack_from("!HHIIBB", raw, at)
    payload = raw[at + (offset >> 4) * 4 : struct.unpack_from("!H", raw, 2)[0]]
    return Packet(raw, protocol, source, target, sequence, acknowledged, flags, payload)


def after(one: int, other: int) -> int:
    """Return by how much ``one`` lies after ``other``, in numbers that begin anew at 2^32."""
    return (one - other + _WRAP // 2) % _WRAP - _WRAP // 2


def segment(like: Packet, *, sequence: int, flags: int, payload: bytes = b"") -> bytes:
    """Return a TCP packet from and to whom ``like`` is, with other contents and no options."""
    total = _IP_BYTES + _TCP_BYTES + len(payload)
    addresses = like.raw[12:20]
    head = struct.pack("!BBHHHBBH8s", 0x45, 0, total, 0, 0x4000, 64, TCP, 0, addresses)
    head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
    window = like.raw[(like.raw[0] & 15) * 4 + 14 :][:2]  # what the sender offers stays as it is
    ports = struct.pack("!HHII", like.source, like.target, sequence % _WRAP, like.acknowledged)
    body = ports + struct.pack("!BB", _TCP_BYTES // 4 << 4, flags) + window + b"\0\0\0\0" + payload
    pseudo = addresses + struct.pack("!BBH", 0, TCP, len(body))
    return head + body[:16] + struct.pack("!H", _checksum(pseudo + body)) + body[18:]


def _checksum(data: bytes) -> int:
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
