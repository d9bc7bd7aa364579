"""Whether to believe the director, and to do what it wants. Rules only.

The director says what this device shall run, and is online; the publisher says what may be
run at all, and is not. A device activates only what both name: so who steals the console
can choose only among genuine releases, and who steals a release key ships nothing.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tuf.api.metadata import Role, Root, TargetFile, Targets

from littoral import records
from littoral.bundle.manifest import NAME, Manifest
from littoral.errors import (
    EndlessError,
    ExpiredError,
    FloorError,
    HashError,
    MalformedError,
    MixError,
    RollbackError,
    SignatureError,
    WrongDeviceError,
    WrongHardwareError,
)
from littoral.trust.beliefs import Anchors, Assignment, Desired
from littoral.trust.metadata import parse, verify

MAX_BYTES: Final = 64 * 1024
MOST_VERSION: Final = 2**53  # JSON numbers end there
FIELD: Final = "x-littoral"  # ours: in root the anchors, in a director document the addressee


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """For whom a director document is."""

    fleet: str
    device: str
    incarnation: int

    def __str__(self) -> str:
        return f"{self.fleet}/{self.device}/{self.incarnation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a director document says of a manifest, beside its length and hash."""

    release: int
    hardware: str
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What the publisher's metadata says of a manifest, beside its length and hash."""

    release: int
    hardware: tuple[str, ...]


def accept_director(
    data: bytes, *, anchors: Anchors, device: str, incarnation: int, accepted: int, now: datetime
) -> Desired:
    """Return what the director wants of this device.

    ``accepted`` is the version that was believed last, 0 for none; the same one may come again.

    Raises:
        EndlessError, MalformedError: It cannot be read.
        SignatureError: No director key that root names signed it.
        WrongDeviceError: It is for another fleet, device or incarnation.
        RollbackError: It is older than ``accepted``.
        ExpiredError: Its time is over.

    """
    metadata = parse(Targets, data, "director", limit=MAX_BYTES)
    # (D1) One of the keys that root anchors signed it.
    verify(_delegator(anchors), Targets.type, metadata)
    signed = metadata.signed
    # (D2) It is for this device, in this life of it.
    here = Addressee(fleet=anchors.fleet, device=device, incarnation=incarnation)
    named = _fill(Addressee, signed.unrecognized_fields.get(FIELD), FIELD)
    if named != here:
        raise WrongDeviceError(named=str(named), here=str(here))
    # (D3) Its version never goes backwards.
    if signed.version >= MOST_VERSION:
        raise MalformedError(f"director: no version is {signed.version}")
    if signed.version < accepted:
        raise RollbackError("director", offered=signed.version, accepted=accepted)
    # (D4) Its time is not over.
    if signed.is_expired(now):
        raise ExpiredError("director", expires=signed.expires, now=now)
    # (D5) It delegates to nobody, and names each model once.
    if signed.delegations is not None:
        raise MalformedError("director: it may not delegate")
    wanted = tuple(_assignment(path, target) for path, target in sorted(signed.targets.items()))
    if len({one.model for one in wanted}) != len(wanted):
        raise MalformedError("director: it names a model twice")
    return Desired(version=signed.version, expires=signed.expires, assignments=wanted)


def vouched(data: bytes, *, anchors: Anchors) -> bool:
    """Return whether a director that root names still stands behind the document ``data``.

    What a key said that root names no more is forgotten, as rule 3 has it for timestamps: else a
    thief who signed version 2^52 would have locked the device out for ever.
    """
    try:
        verify(_delegator(anchors), Targets.type, parse(Targets, data, "director", limit=MAX_BYTES))
    except SignatureError:
        return False
    return True


def agree(
    assignment: Assignment, *, target: TargetFile | None, floor: int, hardware: tuple[str, ...]
) -> None:
    """Check all that can be checked of the both-named rule before the manifest is here.

    ``target`` is what the image repository says, None if nothing; ``hardware`` what this device
    has; ``floor`` what the image repository states for the model.

    Raises:
        MixError: The image repository does not name it, or otherwise.
        WrongHardwareError: It is for hardware that this device has not.
        FloorError: It may not be newly activated.

    """
    # (B1) Both name it, with the same length, hash and release, and hardware that both allow.
    if target is None or target.path != assignment.path:
        raise MixError(f"{assignment.path}: named by the director, not by the publisher")
    offered = _fill(Offered, target.custom, assignment.path)
    pairs = {
        "length": (assignment.length, target.length),
        "sha256": (assignment.manifest_sha256, target.hashes.get("sha256")),
        "release": (assignment.release, offered.release),
    }
    for what, (wanted, signed) in pairs.items():
        if wanted != signed:
            raise MixError(
                f"{assignment.path}: the director names {what} {wanted}, the publisher {signed}"
            )
    # (B2) It is for hardware that this device has.
    if assignment.hardware not in hardware:
        raise WrongHardwareError(
            f"{assignment.path}: for {assignment.hardware}; this device has {', '.join(hardware)}"
        )
    if assignment.hardware not in offered.hardware:
        raise MixError(
            f"{assignment.path}: the director names {assignment.hardware}, "
            f"the publisher {', '.join(offered.hardware)}"
        )
    # (B3) It is not below the floor.
    if assignment.release < floor:
        raise FloorError(assignment.model, release=assignment.release, floor=floor)


def accept_manifest(
    data: bytes,
    *,
    assignment: Assignment,
    target: TargetFile | None,
    floor: int,
    hardware: tuple[str, ...],
) -> Manifest:
    """Return the manifest that both the director and the publisher name.

    Raises:
        MixError, WrongHardwareError, FloorError: As ``agree`` says.
        EndlessError, HashError: These are not the bytes that were signed.
        MalformedError, UnsupportedFormatError: It was signed, and cannot be read.

    """
    agree(assignment, target=target, floor=floor, hardware=hardware)
    # (B4) These are the bytes.
    if len(data) > assignment.length:
        raise EndlessError(assignment.path, limit=assignment.length)
    found = hashlib.sha256(data).hexdigest()
    if found != assignment.manifest_sha256:
        raise HashError(assignment.path, signed=assignment.manifest_sha256, found=found)
    # (B5) And they say of themselves what was said of them.
    manifest = Manifest.from_json(data)
    if (manifest.model, manifest.release) != (assignment.model, assignment.release):
        raise MixError(
            f"{assignment.path}: the manifest calls itself {manifest.model}:{manifest.release}"
        )
    if manifest.variant_for(assignment.hardware) is None:
        raise MixError(f"{assignment.path}: no variant of it is for {assignment.hardware}")
    return manifest


def _delegator(anchors: Anchors) -> Root:
    """Return a root whose targets role is the director: any one of the anchored keys."""
    keys = dict(anchors.director)
    roles = {name: Role([], 1) for name in ("root", "timestamp", "snapshot")}
    return Root(keys=keys, roles={**roles, Targets.type: Role(list(keys), 1)})


def _assignment(path: str, target: TargetFile) -> Assignment:
    custom = _fill(Wanted, target.custom, path)
    parts = path.split("/")
    try:
        found = Assignment(
            model=parts[1] if len(parts) > 1 else "",
            release=custom.release,
            manifest_sha256=target.hashes.get("sha256", ""),
            length=target.length,
            hardware=custom.hardware,
            attempt=custom.attempt,
        )
    except ValueError as e:
        raise MalformedError(f"director: {path}: {e}") from e
    if found.path != path:
        raise MalformedError(f"director: expected bundles/MODEL/RELEASE/{NAME}, found {path!r}")
    return found


def _fill(cls: type[Any], value: object, where: str) -> Any:  # noqa: ANN401
    try:
        return records.fill(cls, value, where)
    except records.RecordError as e:
        raise MalformedError(str(e)) from e
