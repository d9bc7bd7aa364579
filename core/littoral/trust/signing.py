"""Puts metadata into a repository: what every deed of a writer ends with."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata, Role, Root, Snapshot, Timestamp

from littoral import durable
from littoral.errors import MisuseError
from littoral.trust.keyfiles import SUFFIXES, KeyFile, load_signer, read
from littoral.trust.repository import Repository
from littoral.trust.rules import ISO, ISSUED

PUBLIC: Final = 0o644  # what any web server may read
ROOT_LIFE: Final = timedelta(days=3 * 365)
TARGETS_LIFE: Final = timedelta(days=365)
_APART: Final = "where they lie apart: littoral repo draft"
_ONLINE: Final = "they are the console's: its DATA/keys"


def write(
    repository: Repository,
    role: str,
    metadata: Metadata[Any],
    *,
    signers: Iterable[Signer],
    now: datetime,
) -> bytes:
    """Sign ``metadata`` by all ``signers``, say when, and put it where its version belongs."""
    stamp(metadata, now=now)
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    return put(repository, role, metadata)


def stamp(metadata: Metadata[Any], *, now: datetime) -> None:
    """Say in ``metadata`` when it was signed."""
    metadata.signed.unrecognized_fields[ISSUED] = now.astimezone(UTC).strftime(ISO)


def put(repository: Repository, role: str, metadata: Metadata[Any]) -> bytes:
    """Put signed ``metadata`` where its version belongs; return its bytes."""
    data = metadata.to_bytes()
    durable.replace(repository.path(role, metadata.signed.version), data, mode=PUBLIC)
    if role == Root.type:  # for those who have no root yet; the one above is for all others
        durable.replace(repository.metadata / "root.json", data, mode=PUBLIC)
    return data


def find_signers(role: Role, folder: Path, what: str) -> list[Signer]:
    """Return the keys in ``folder`` that are trusted with ``role``, whatever their files' names.

    Raises:
        MisuseError: They are fewer than must sign.

    """
    here = {found.public.keyid: found.path for found in _keys(folder)}
    paths = [here[keyid] for keyid in role.keyids if keyid in here]
    if len(paths) < role.threshold:
        hint = _ONLINE if what in (Snapshot.type, Timestamp.type) else _APART
        raise MisuseError(
            f"{folder}: expected {role.threshold} of the {len(role.keyids)} keys that sign "
            f"{what}, found {len(paths)}; {hint}"
        )
    return [load_signer(path) for path in paths]


def _keys(folder: Path) -> Iterator[KeyFile]:
    for path in sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES):
        try:
            found = read(path)
        except MisuseError:
            continue  # a public certificate, or a key for something else
        if found.how != "public":
            yield found
