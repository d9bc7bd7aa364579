"""Puts metadata into a repository: what every deed of a writer ends with."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata

from littoral import durable
from littoral.trust.repository import Repository

PUBLIC: Final = 0o644  # what any web server may read
TARGETS_LIFE: Final = timedelta(days=365)
ISSUED: Final = "x-issued"


def write(
    repository: Repository,
    role: str,
    metadata: Metadata[Any],
    *,
    signers: Iterable[Signer],
    now: datetime,
) -> bytes:
    """Sign ``metadata`` by all ``signers``, say when, and put it where its version belongs."""
    metadata.signed.unrecognized_fields["x-issued"] = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    data = metadata.to_bytes()
    durable.replace(repository.path(role, metadata.signed.version), data, mode=PUBLIC)
    return data
