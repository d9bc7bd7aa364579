"""Says to each device, signed, what it shall run.

A document's version is max(last + 1, milliseconds since 1970, what the device reported + 1),
allocated in the transaction that stores the document. So neither a restored backup nor a
second console makes it go backwards.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from securesystemslib.signer import Signer
from sqlalchemy import Connection, select, update

from littoral.trust import writer
from littoral.trust.beliefs import FARTHEST, Assignment
from littoral_console import queries
from littoral_console import tables as t
from littoral_console.database import put

MOST: Final = 2**53  # a version above it is no version: JSON numbers end there
RENEW_BELOW: Final = writer.DIRECTOR_LIFE / 2


@dataclass(frozen=True, slots=True)
class Document:
    version: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Director:
    """Signs documents with the fleet's director key."""

    signer: Signer

    def issue(
        self,
        connection: Connection,
        device: str,
        *,
        now_ms: int,
        life: timedelta = writer.DIRECTOR_LIFE,
    ) -> int:
        """Sign and store a document of all that ``device`` shall run; return its version."""
        held = connection.execute(
            select(t.devices.c.incarnation, t.devices.c.director)
            .where(t.devices.c.id == device)
            .with_for_update()
        ).one()
        last = connection.scalar(select(t.director.c.version).where(t.director.c.device == device))
        version = max(int(last or 0) + 1, now_ms, int(held.director) + 1)
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        data = writer.director(
            _assignments(connection, device),
            signer=self.signer,
            fleet=queries.fleet_name(connection),
            device=device,
            incarnation=held.incarnation,
            version=version,
            now=now,
            life=life,
        )
        expires_ms = now_ms + int(life.total_seconds() * 1000)
        row = {
            "device": device,
            "version": version,
            "expires_ms": expires_ms,
            "document": data,
        }
        put(connection, t.director, row)
        return version

    def reported(self, connection: Connection, device: str, version: int, *, now_ms: int) -> bool:
        """Remember which version ``device`` believes; return whether a newer one was issued.

        One is when the device believes more than was ever issued here: from before a backup.
        """
        if not 0 <= version < FARTHEST:
            return False  # nonsense, or a thief's: it is forgotten with the key that signed it
        connection.execute(
            update(t.devices).where(t.devices.c.id == device).values(director=version)
        )
        mine = document(connection, device)
        if mine is None or version <= mine.version:
            return False
        self.issue(connection, device, now_ms=now_ms)
        return True

    def renew(self, connection: Connection, *, now_ms: int) -> tuple[str, ...]:
        """Sign anew what is in the second half of its life; return whose documents those were."""
        left_ms = int(RENEW_BELOW.total_seconds() * 1000)
        old = connection.scalars(
            select(t.director.c.device)
            .join(t.devices, t.devices.c.id == t.director.c.device)
            .where(t.director.c.expires_ms < now_ms + left_ms, t.devices.c.revoked_ms.is_(None))
        ).all()
        for device in old:
            self.issue(connection, device, now_ms=now_ms)
        return tuple(old)


def document(connection: Connection, device: str) -> Document | None:
    """Return the newest document of ``device``, None when nothing was ever wanted of it."""
    row = connection.execute(
        select(t.director.c.version, t.director.c.document).where(t.director.c.device == device)
    ).one_or_none()
    return None if row is None else Document(row.version, row.document)


def documents(connection: Connection) -> Iterable[tuple[str, Document]]:
    """Walk the newest documents of all devices that are not revoked."""
    rows = connection.execute(
        select(t.director)
        .join(t.devices, t.devices.c.id == t.director.c.device)
        .where(t.devices.c.revoked_ms.is_(None))
    )
    for row in rows:
        yield row.device, Document(row.version, row.document)


def _assignments(connection: Connection, device: str) -> list[Assignment]:
    rows = connection.execute(
        select(t.desired).where(t.desired.c.device == device).order_by(t.desired.c.model)
    )
    return [
        Assignment(
            model=row.model,
            release=row.release,
            manifest_sha256=row.manifest,
            length=row.length,
            hardware=row.hardware,
            attempt=row.attempt,
        )
        for row in rows
    ]
