"""Bytes into metadata of the TUF format, and the signatures on it. No disk, network or clock.

Strict where the format's library is not: a size cap before anything is parsed, no key twice
in an object, versions that are plain integers, and a threshold that counts keys by what
they are and not by the ids that they were given.
"""

import hashlib
from typing import Any, Final, TypeVar, cast

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from littoral import records
from littoral.errors import EndlessError, HashError, MalformedError, SignatureError

CAPS: Final = {"root": 512_000, "timestamp": 16_384, "snapshot": 2_000_000, "targets": 5_000_000}
_HASHES: Final = frozenset({"sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_512"})
_MALFORMED: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError)

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


def parse(cls: type[S], data: bytes, what: str, *, limit: int | None = None) -> Metadata[S]:
    """Return ``data`` as metadata of the kind ``cls``, believed by nobody yet.

    Raises:
        EndlessError: It is longer than any metadata of its kind may be.
        MalformedError: It is something else.

    """
    cap = CAPS[cls.type] if limit is None else limit
    if len(data) > cap:
        raise EndlessError(what, limit=cap)
    try:
        value: Any = records.parse_json(data, limit=cap)
        metadata: Metadata[Any] = Metadata.from_dict(value)
    except _MALFORMED as e:
        raise MalformedError(f"{what}: {type(e).__name__}: {e}") from e
    signed = metadata.signed
    if not isinstance(signed, cls):
        raise MalformedError(f"{what}: expected {cls.type} metadata, found {signed.type}")
    if type(signed.version) is not int:
        raise MalformedError(f"{what}: expected a whole number as version")
    return cast("Metadata[S]", metadata)


def verify(delegator: Root | Targets, role: str, metadata: Metadata[Any]) -> frozenset[str]:
    """Return the ids of the keys that signed, if they are as many as ``delegator`` asks for.

    Raises:
        SignatureError: They did not; the message counts.
        MalformedError: There is no canonical form of it that could have been signed.

    """
    payload = canonical(metadata, role)
    try:
        result = delegator.get_verification_result(role, payload, metadata.signatures)
    except ValueError as e:
        raise SignatureError(f"{role}: nobody may sign it: {e}") from e
    good = {records.to_json(key.to_dict()["keyval"]) for key in result.signed.values()}
    if len(good) < result.threshold:
        raise SignatureError(
            f"{role}: expected signatures by {result.threshold} of the keys that are trusted "
            f"with it, found {len(good)}"
        )
    return frozenset(result.signed)


def canonical(metadata: Metadata[Any], what: str) -> bytes:
    """Return the bytes that are signed.

    Raises:
        MalformedError: The metadata says what canonical JSON cannot, as a fraction.

    """
    try:
        return metadata.signed_bytes
    except RepositoryError as e:
        raise MalformedError(f"{what}: no canonical form: {e.__cause__ or e}") from e


def check_bytes(what: str, data: bytes, *, named: MetaFile | TargetFile) -> None:
    """Check that ``data`` has the length and every hash that signed metadata states.

    Raises:
        HashError: It has not.
        MalformedError: A hash is of a kind that is not used here.

    """
    if named.length is not None and len(data) != named.length:
        raise HashError(what, signed=str(named.length), found=str(len(data)), kind="length")
    for kind, signed in (named.hashes or {}).items():
        if kind not in _HASHES:
            raise MalformedError(f"{what}: {kind!r} is no hash that is used here")
        found = hashlib.new(kind, data).hexdigest()
        if found != signed:
            raise HashError(what, signed=signed, found=found, kind=kind)
