"""Publishes a release: its files into the repository, its manifest among what is signed.

It reads a bundle as a stranger's: every file is hashed on its way, and nothing is signed
that is not there, byte for byte as the manifest says. Which encodings are worth offering is for
whoever is handed in as ``encode`` to know; the bundle itself is never touched.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tuf.api.metadata import Metadata, TargetFile, Targets

from littoral import durable
from littoral.bundle import costs, manifest
from littoral.bundle.manifest import Encoding, Manifest, check_id, target_path
from littoral.errors import BundleError, MisuseError, RollbackError, TrustError
from littoral.trust import rules
from littoral.trust.blobs import copy_blob, is_there
from littoral.trust.repository import Repository, releases
from littoral.trust.rotation import check_reached, set_floor
from littoral.trust.signing import PUBLIC, TARGETS_LIFE, find_signers, write

RESERVED: Final = frozenset({"root", "targets", "snapshot", "timestamp", "director", "time"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """The encodings of a release's files as they are made: a file's name, what is said, bytes."""

    made: Iterable[tuple[str, Encoding, bytes]] = ()
    left_out: tuple[str, ...] = ()  # what was not tried, and why, for people


# Of a manifest, the older ones that count, newest first, and where the repository keeps a blob.
Encode = Callable[[Manifest, Sequence[Manifest], Callable[[str], Path]], Encoded]


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
    files: tuple[costs.FileCost, ...]  # that devices need, in each way that they may travel
    left_out: tuple[str, ...]  # of the encodings


def publish(
    folder: Path,
    bundle: Path,
    *,
    offline: Path,
    floor: int | None = None,
    encode: Encode | None = None,
    now: datetime | None = None,
) -> Published:
    """Copy the bundle's files into the repository and sign its manifest with the model's key.

    Encodings that the bundle names itself lie in it, each under its own sha256; ``encode`` makes
    others. ``floor`` raises the lowest release of the model that may be newly activated.

    Raises:
        HashError: A file is not the one that the manifest names.
        RollbackError: This release, or a greater one, is published already.
        MisuseError: Nobody is trusted with this model, the key or a file is missing, or ``floor``
            is above this release.

    """
    repository, now = Repository(folder), now or datetime.now(UTC)
    release = _read(
        repository,
        bundle,
        floor=floor,
        trust=lambda model: f"littoral repo delegate {folder} {model} --offline {offline}",
    )
    by = release.targets.get_delegated_role(release.model)
    signers = find_signers(by, offline, release.model)
    published = _add(repository, bundle, release, floor=floor, encode=encode, now=now)
    write(repository, release.model, release.metadata, signers=signers, now=now)
    return published


def propose(
    folder: Path,
    bundle: Path,
    *,
    floor: int | None = None,
    encode: Encode | None = None,
    now: datetime,
) -> tuple[Metadata[Targets], Published]:
    """Copy the bundle's files into the repository; return what its model's people may sign.

    Raises:
        RollbackError, MisuseError: As ``publish``, except for keys.

    """
    repository = Repository(folder)
    release = _read(
        repository,
        bundle,
        floor=floor,
        trust=lambda model: f"littoral repo draft {folder} targets --trust {model}=PUB --to DRAFTS",
    )
    published = _add(repository, bundle, release, floor=floor, encode=encode, now=now)
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


def _read(
    repository: Repository, bundle: Path, *, floor: int | None, trust: Callable[[str], str]
) -> _Release:
    """Return what may be published; ``trust`` says by which command somebody is trusted with it."""
    data = _manifest_bytes(bundle)
    found = Manifest.from_json(data)
    model = found.model
    targets = repository.targets(repository.root()).signed
    trusted = repository.models(targets)
    if model not in trusted:
        raise MisuseError(f"{model}: nobody is trusted with this model; run: {trust(model)}")
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
    repository: Repository,
    bundle: Path,
    release: _Release,
    *,
    floor: int | None,
    encode: Encode | None,
    now: datetime,
) -> Published:
    """Copy what is missing, and name the manifest in the model's metadata, its next version."""
    model, signed = release.model, release.metadata.signed
    copied = [
        size
        for source, sha256, size in _files(bundle, release.manifest)
        if copy_blob(source, repository.blob_path(sha256), sha256=sha256, size=size)
    ]
    older = tuple(_older(repository, model, signed, floor=floor or 0))
    encoded = encode(release.manifest, older, repository.blob_path) if encode else Encoded()
    release, added = _encoded(repository, release, encoded)
    found, copied = release.manifest, copied + added
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
        files=costs.by_file(found, older),
        left_out=encoded.left_out,
    )


def _older(
    repository: Repository, model: str, signed: Targets, *, floor: int
) -> Iterator[Manifest]:
    """Walk the published manifests of what a device may have, newest first, as far as here."""
    floor = max(floor, rules.floor(signed, model))
    for release, target in sorted(releases(signed, model).items(), reverse=True):
        if release >= floor:
            try:
                yield repository.read_manifest(model, target)
            except (TrustError, BundleError):
                continue  # who signs need not hold all that was ever signed, nor hold it whole


def _encoded(
    repository: Repository, release: _Release, encoded: Encoded
) -> tuple[_Release, list[int]]:
    """Put what was made into the repository, and into the manifest; return also its sizes."""
    files, added = dict(release.manifest.files), []
    for name, encoding, data in encoded.made:
        path = repository.blob_path(encoding.sha256)
        if not is_there(path, encoding.sha256):
            durable.replace(path, data, mode=PUBLIC)
            added.append(encoding.size)
        files[name] = replace(files[name], encodings=(*files[name].encodings, encoding))
    if files == release.manifest.files:
        return release, added
    data = replace(release.manifest, files=files).to_json()
    # As a device will read it, so that none is signed which is too long for it.
    return replace(release, manifest=Manifest.from_json(data), data=data), added


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


def _target(found: Manifest, *, length: int, sha256: str) -> TargetFile:
    hardware = sorted({name for v in found.variants for name in v.requires.hardware})
    custom = {"release": found.release, "hardware": hardware}
    path = target_path(found.model, found.release)
    return TargetFile(length, {"sha256": sha256}, path, {"custom": custom})
