"""What a publisher is sending: names, digests and sizes first, then what is missing, then all.

Files are kept in a folder of their own until the whole is believed. A file is taken under no
name that a repository does not have, and with no other bytes than were offered.
"""

import asyncio
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from littoral import durable
from littoral.bundle.manifest import MAX_BYTES as MANIFEST_BYTES
from littoral.bundle.manifest import MAX_FILE_BYTES
from littoral.durable import storage_errors
from littoral.errors import (
    DiskFullError,
    EndlessError,
    HashError,
    MalformedError,
    MisuseError,
    MixError,
    RollbackError,
)
from littoral.trust.metadata import CAPS
from littoral.trust.repository import CHUNK_BYTES
from littoral_console.forgeries import Genuine

MOST_FILES: Final = 100_000
LIFE_MS: Final = 24 * 3600 * 1000
_RESERVE: Final = 64 * 2**20  # of free disk space that no upload touches
_METADATA: Final = re.compile(r"metadata/([1-9][0-9]{0,15})\.([a-z0-9-]{1,64})\.json")
_MANIFEST: Final = re.compile(
    r"targets/bundles/[a-z0-9-]{1,64}/[1-9][0-9]{0,15}/[0-9a-f]{64}\.manifest\.json"
)
_BLOB: Final = re.compile(r"blobs/[0-9a-f]{64}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_OURS: Final = frozenset({"snapshot", "timestamp"})  # the console signs those itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A file that a publisher has, by its name in the repository."""

    name: str
    sha256: str
    size: int


@dataclass(slots=True, kw_only=True)
class Upload:
    """One sending. Its files lie in ``folder`` as they would in a repository."""

    id: str
    folder: Path
    who: str
    started_ms: int
    wanted: Mapping[str, Offer]
    arrived: set[str] = field(default_factory=set)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(name for name in self.wanted if name not in self.arrived)

    def settle(self) -> None:
        """Make the names of all that arrived survive a power cut; the bytes do already."""
        with storage_errors(self.folder):
            for folder, _, _ in os.walk(self.folder, topdown=False):
                durable.sync_folder(Path(folder))
            durable.sync_folder(self.folder.parent)

    def discard(self) -> None:
        """Forget it. Can be done twice."""
        shutil.rmtree(self.folder, ignore_errors=True)


def is_name(name: str) -> bool:
    """Return whether a repository could have a file of this name that publishers make."""
    found = _METADATA.fullmatch(name)
    return (found is not None and found[2] not in _OURS) or bool(
        _MANIFEST.fullmatch(name) or _BLOB.fullmatch(name)
    )


def begin(
    offers: Sequence[Offer],
    *,
    held: Genuine,
    blob: Callable[[str], int | None],
    folder: Path,
    who: str,
    now_ms: int,
) -> Upload:
    """Return an upload that wants what of ``offers`` is not held; ``blob`` says which blobs are.

    Raises:
        MisuseError, MalformedError: An offer has a name or size that nothing here has.
        RollbackError: Its metadata is older than what is held.
        MixError: It is of a version that is held, and says something else.

    """
    if len(offers) > MOST_FILES:
        raise MisuseError(f"expected at most {MOST_FILES} files at once, found {len(offers)}")
    for offer in offers:
        _check(offer)
    wanted = {offer.name: offer for offer in _news(offers, held, blob)}
    durable.make_folder(folder, mode=0o700)
    room = shutil.disk_usage(folder).free - _RESERVE
    needed = sum(offer.size for offer in wanted.values())
    if needed > room:
        raise DiskFullError(f"{folder}: the upload needs {needed} bytes, {max(room, 0)} are free")
    number = secrets.token_hex(8)
    upload = Upload(id=number, folder=folder / number, who=who, started_ms=now_ms, wanted=wanted)
    upload.folder.mkdir(mode=0o700)
    return upload


async def receive(upload: Upload, name: str, chunks: AsyncIterator[bytes]) -> None:
    """Take the file ``name`` of ``upload``.

    Raises:
        MisuseError: Nobody asked for it.
        EndlessError, HashError: These are not the bytes that were offered.
        StorageError: The disk refuses.

    """
    offer = upload.wanted.get(name)
    if offer is None:
        raise MisuseError(f"{name[:200]!r} is not missing here")
    path = upload.folder / name
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    with storage_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with part.open("xb") as file:
                found = await _write(file, chunks, offer=offer)
            if found != offer.sha256:
                raise HashError(name, signed=offer.sha256, found=found)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    upload.arrived.add(name)


async def _write(file: BinaryIO, chunks: AsyncIterator[bytes], *, offer: Offer) -> str:
    """Write ``chunks`` durably, in another thread; return their sha256."""
    digest, size, held = hashlib.sha256(), 0, bytearray()

    def flush() -> None:
        digest.update(held)
        file.write(held)
        held.clear()

    async for chunk in chunks:
        size += len(chunk)
        if size > offer.size:
            raise EndlessError(offer.name, limit=offer.size)
        held += chunk
        if len(held) >= CHUNK_BYTES:
            await asyncio.to_thread(flush)
    await asyncio.to_thread(flush)
    file.flush()
    await asyncio.to_thread(os.fsync, file.fileno())
    return digest.hexdigest()


def _check(offer: Offer) -> None:
    if not is_name(offer.name) or not _SHA256.fullmatch(offer.sha256):
        raise MalformedError(f"{offer.name[:200]!r}: a repository has no file of that name")
    if offer.name.startswith("blobs/"):
        cap = MAX_FILE_BYTES
        if offer.name != f"blobs/{offer.sha256}":
            raise HashError(offer.name, signed=offer.name[6:], found=offer.sha256)
    elif offer.name.startswith("targets/"):
        cap = MANIFEST_BYTES
    else:
        cap = CAPS["root" if offer.name.endswith(".root.json") else "targets"]
    if not 0 <= offer.size <= cap:
        raise EndlessError(offer.name, limit=cap)


def _news(offers: Sequence[Offer], held: Genuine, blob: Callable[[str], int | None]) -> list[Offer]:
    newest: dict[str, tuple[int, Offer]] = {}
    news: list[Offer] = []
    for offer in offers:
        found = _METADATA.fullmatch(offer.name)
        if found is not None and found[2] != "root":
            version = int(found[1])
            if version > newest.get(found[2], (0, offer))[0]:
                newest[found[2]] = (version, offer)
        elif offer.name.startswith("blobs/"):
            if blob(offer.sha256) is None:
                news.append(offer)
        elif not _held(offer, held):
            news.append(offer)
    versions = held.versions()
    for role, (version, offer) in newest.items():
        accepted = max(versions.get(role, (0,)))
        if version < accepted:
            raise RollbackError(role, offered=version, accepted=accepted)
        if not _held(offer, held):
            news.append(offer)
    return news


def _held(offer: Offer, held: Genuine) -> bool:
    path = held.folder / offer.name
    if not path.exists() or offer.name in held.forged:
        return False
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != offer.sha256:
        raise MixError(
            f"{offer.name}: is here with other bytes; what is signed is never changed, "
            "only followed by a greater version"
        )
    return True
