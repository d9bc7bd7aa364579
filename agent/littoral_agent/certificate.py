"""What this device's own certificate says: its name in messages, and from when to when it counts.

Read by hand, some thirty bytes of DER: a library that reads all of X.509 would stay in the
agent for ever. Nothing is believed here; it is a file that this device wrote itself.
"""

import hashlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from littoral.errors import StorageError
from littoral.wire.identity import short

OLD: Final = 0.2  # of its life left: the agent asks for another one
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_END: Final = "-----END CERTIFICATE-----"
_FORMATS: Final = {_UTC_TIME: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}


@dataclass(frozen=True, slots=True)
class Certificate:
    short: str  # how messages name it
    begins: datetime
    ends: datetime

    def old(self, now: datetime) -> bool:
        """Whether less than the share OLD of its life is left."""
        return self.ends - now < OLD * (self.ends - self.begins)


def read(path: Path) -> Certificate:
    """Return what the first certificate in ``path`` says. Raises StorageError."""
    try:
        leaf, end, _ = path.read_text().partition(_END)
        der = ssl.PEM_cert_to_DER_cert((leaf + end).strip())
        begins, ends = validity(der)
    except (OSError, ValueError) as e:
        raise StorageError(f"{path}: expected a certificate in PEM ({e})") from e
    return Certificate(short(hashlib.sha256(der).hexdigest()), begins, ends)


def validity(der: bytes) -> tuple[datetime, datetime]:
    """Return from when to when a certificate counts. Raises ValueError."""
    (_, certificate), *_ = _fields(der)
    (_, signed), *_ = _fields(certificate)
    fields = [field for field in _fields(signed) if field[0] != _VERSION]
    # serial number, algorithm, issuer, validity, subject, …
    kind, dates = fields[3] if len(fields) > 3 else (0, b"")  # noqa: PLR2004
    if kind != _SEQUENCE:
        raise ValueError("no dates where a certificate has them")
    begins, ends = (_time(*field) for field in _fields(dates))
    return begins, ends


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk the values that lie side by side in ``data``, each with its kind."""
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise ValueError("cut short")
        kind, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            many = length & 0x7F
            length = int.from_bytes(data[at : at + many], "big")
            at += many
        if at + length > len(data):
            raise ValueError("cut short")
        yield kind, data[at : at + length]
        at += length


def _time(kind: int, text: bytes) -> datetime:
    if kind not in _FORMATS:
        raise ValueError("expected a time")
    return datetime.strptime(text.decode("ascii"), _FORMATS[kind]).replace(tzinfo=UTC)
