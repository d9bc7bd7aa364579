"""Puts metadata into a repository: what every deed of a writer ends with."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import Metadata, Role, Root

from littoral import durable
from littoral.errors import MisuseError
from littoral.trust.keys import load_signer
from littoral.trust.repository import Repository
from littoral.trust.rules import ISO, ISSUED

PUBLIC: Final = 0o644  # what any web server may read
ROOT_LIFE: Final = timedelta(days=3 * 365)
TARGETS_LIFE: Final = timedelta(days=365)


def write(
    repository: Repository,
    role: str,
    metadata: Metadata[Any],
    *,
    signers: Iterable[Signer],
    now: datetime,
) -> bytes:
    """Sign ``metadata`` by all ``signers``, say when, and put it where its version belongs."""
    metadata.signed.unrecognized_fields[ISSUED] = now.astimezone(UTC).strftime(ISO)
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    data = metadata.to_bytes()
    durable.replace(repository.path(role, metadata.signed.version), data, mode=PUBLIC)
    if role == Root.type:  # for those who have no root yet; the one above is for all others
        durable.replace(repository.metadata / "root.json", data, mode=PUBLIC)
    return data


def find_signers(role: Role, folder: Path, what: str) -> list[CryptoSigner]:
    """Return the keys in ``folder`` that are trusted with ``role``, whatever their files' names.

    Raises:
        MisuseError: They are fewer than must sign.

    """
    here = {signer.public_key.keyid: signer for signer in _signers(folder)}
    found = [here[keyid] for keyid in role.keyids if keyid in here]
    if len(found) < role.threshold:
        raise MisuseError(
            f"{folder}: expected {role.threshold} of the {len(role.keyids)} keys that sign "
            f"{what}, found {len(found)}"
        )
    return found


def _signers(folder: Path) -> Iterable[CryptoSigner]:
    for path in sorted(folder.glob("*.pem")):
        try:
            yield load_signer(path)
        except MisuseError:
            continue  # a public certificate, or a key for something else
