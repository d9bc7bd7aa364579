"""Publishes a release: its files into the repository, its manifest among what is signed.

It reads a bundle as a stranger's: every file is hashed on its way, and nothing is signed
that is not there, byte for byte as the manifest says.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tuf.api.metadata import Metadata, TargetFile, Targets

from littoral import durable
from littoral.bundle import manifest
from littoral.bundle.manifest import Manifest, check_id, target_path
from littoral.errors import HashError, MisuseError, RollbackError
from littoral.trust.repository import CHUNK_BYTES, Repository, releases
from littoral.trust.rotation import check_reached, set_floor
from littoral.trust.signing import PUBLIC, TARGETS_LIFE, find_signers, write

RESERVED: Final = frozenset({"root", "targets", "snapshot", "timestamp", "director", "time"})


def check_model(model: str) -> None:
    """Raise MisuseError unless metadata of its own may bear the name ``model``."""
    try:
        check_id("model", model)
    except ValueError as e:
        raise MisuseError(str(e)) from e
    if model in RESERVED:
        raise MisuseError(f"{model!r} is the name of a role; name the model otherwise")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a publish put into the repository."""

    model: str
    release: int
    manifest_sha256: str
    length: int  # of the manifest
    version: int  # of the model's metadata
    blobs: int  # that were not there before
    bytes: int  # of them


def publish(
    folder: Path,
    bundle: Path,
    *,
    offline: Path,
    floor: int | None = None,
    now: datetime | None = None,
) -> Published:
    """Copy the bundle's files into the repository and sign its manifest with the model's key.

    A file's encodings lie in ``bundle`` too, each under its own sha256. ``floor`` raises the
    lowest release of the model that may be newly activated.

    Raises:
        HashError: A file is not the one that the manifest names.
        RollbackError: This release, or a greater one, is published already.
        MisuseError: Nobody is trusted with this model, the key or a file is missing, or ``floor``
            is above this release.

    """
    repository, now = Repository(folder), now or datetime.now(UTC)
    release = _read(repository, bundle, floor=floor, hint=f"--offline {offline}")
    by = release.targets.get_delegated_role(release.model)
    signers = find_signers(by, offline, release.model)
    published = _add(repository, bundle, release, floor=floor, now=now)
    write(repository, release.model, release.metadata, signers=signers, now=now)
    return published


def propose(
    folder: Path, bundle: Path, *, floor: int | None = None, now: datetime
) -> tuple[Metadata[Targets], Published]:
    """Copy the bundle's files into the repository; return what its model's people may sign.

    Raises:
        RollbackError, MisuseError: As ``publish``, except for keys.

    """
    repository = Repository(folder)
    release = _read(repository, bundle, floor=floor, hint="…")
    published = _add(repository, bundle, release, floor=floor, now=now)
    return release.metadata, published


@dataclass(frozen=True, slots=True, kw_only=True)
class _Release:
    """A release that may be added to the metadata of its model."""

    manifest: Manifest
    data: bytes  # of the manifest
    targets: Targets  # who says whose keys the model's are
    metadata: Metadata[Targets]  # of the model, to be edited

    @property
    def model(self) -> str:
        return self.manifest.model


def _read(repository: Repository, bundle: Path, *, floor: int | None, hint: str) -> _Release:
    data = _manifest_bytes(bundle)
    found = Manifest.from_json(data)
    model = found.model
    targets = repository.targets(repository.root()).signed
    trusted = repository.models(targets)
    if model not in trusted:
        raise MisuseError(
            f"{model}: nobody is trusted with this model; "
            f"run: littoral repo delegate {repository.folder} {model} {hint}"
        )
    accepted = max(releases(trusted[model].signed, model), default=0)
    if found.release <= accepted:
        raise RollbackError(
            f"{model}: a release must be greater than all that are published",
            offered=found.release,
            accepted=accepted,
            counted="release",
        )
    if floor is not None:
        check_reached(floor, model, newest=found.release)
    return _Release(manifest=found, data=data, targets=targets, metadata=trusted[model])


def _add(
    repository: Repository, bundle: Path, release: _Release, *, floor: int | None, now: datetime
) -> Published:
    """Copy what is missing, and name the manifest in the model's metadata, its next version."""
    found, model, signed = release.manifest, release.model, release.metadata.signed
    copied = [
        size
        for source, sha256, size in _files(bundle, found)
        if copy_blob(source, repository.blob_path(sha256), sha256=sha256, size=size)
    ]
    sha256 = hashlib.sha256(release.data).hexdigest()
    path = repository.manifest_path(model, found.release, sha256=sha256)
    durable.make_folder(path.parent, mode=0o755)
    durable.replace(path, release.data, mode=PUBLIC)
    target = _target(found, length=len(release.data), sha256=sha256)
    signed.targets[target.path] = target
    if floor is not None:
        set_floor(signed, model, floor=floor)
    signed.version += 1
    signed.expires = now + TARGETS_LIFE
    return Published(
        model=model,
        release=found.release,
        manifest_sha256=sha256,
        length=len(release.data),
        version=signed.version,
        blobs=len(copied),
        bytes=sum(copied),
    )


def _manifest_bytes(bundle: Path) -> bytes:
    try:
        with (bundle / manifest.NAME).open("rb") as file:
            return file.read(manifest.MAX_BYTES + 1)
    except OSError as e:
        raise MisuseError(
            f"{bundle}: expected a bundle, a folder with {manifest.NAME}: {e.strerror}"
        ) from e


def _files(bundle: Path, found: Manifest) -> Iterator[tuple[Path, str, int]]:
    for name, file in found.files.items():
        yield bundle / name, file.sha256, file.size
        for encoding in file.encodings:
            yield bundle / encoding.sha256, encoding.sha256, encoding.size


def copy_blob(source: Path, into: Path, *, sha256: str, size: int) -> bool:
    """Copy ``source`` unless its bytes are there; return whether it was copied."""
    if into.exists() and _whole(into, sha256):
        return False
    durable.replace_from(into, _checked(source, sha256=sha256, size=size), mode=PUBLIC)
    return True


def _whole(path: Path, sha256: str) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _checked(source: Path, *, sha256: str, size: int) -> Iterator[bytes]:
    """Read ``source`` in chunks, and raise at its end, or as soon as it is too long."""
    hashed, length = hashlib.sha256(), 0
    try:
        with source.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                hashed.update(chunk)
                length += len(chunk)
                if length > size:
                    break
                yield chunk
    except OSError as e:
        raise MisuseError(f"{source}: named by the manifest, and cannot be read: {e}") from e
    if length != size:
        raise HashError(str(source), signed=str(size), found=str(length), kind="length")
    if hashed.hexdigest() != sha256:
        raise HashError(str(source), signed=sha256, found=hashed.hexdigest())


def _target(found: Manifest, *, length: int, sha256: str) -> TargetFile:
    hardware = sorted({name for v in found.variants for name in v.requires.hardware})
    custom = {"release": found.release, "hardware": hardware}
    path = target_path(found.model, found.release)
    return TargetFile(length, {"sha256": sha256}, path, {"custom": custom})
