"""Whether to adopt what a publisher sent. It reads and decides, and changes nothing.

The same rules that a device follows, asked of the repository as it would be: what was sent
laid over what is held. A release that was adopted once keeps its bytes for ever.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from littoral import records
from littoral.bundle.manifest import Blob, Manifest, check_id, check_sha256, target_path
from littoral.errors import ForgottenError, HashError, MalformedError, MixError
from littoral.trust import rules
from littoral.trust.beliefs import Anchors
from littoral.trust.director import Offered
from littoral.trust.repository import Repository
from littoral_console.keys import OnlineKeys

_PATH: Final = re.compile(r"bundles/[a-z0-9-]{1,64}/[1-9][0-9]{0,15}/manifest\.json")


@dataclass(frozen=True, slots=True)
class Overlay(Repository):
    """What was sent, and where that says nothing, what is held."""

    held: Repository

    def path(self, role: str, version: int) -> Path:
        sent = Repository.path(self, role, version)
        return sent if sent.exists() else self.held.path(role, version)

    def versions(self) -> dict[str, list[int]]:
        """Return the versions of both."""
        sent, held = Repository.versions(self), self.held.versions()
        return {role: sorted({*sent.get(role, ()), *held.get(role, ())}) for role in {*sent, *held}}

    def manifest_path(self, model: str, release: int, *, sha256: str) -> Path:
        sent = Repository.manifest_path(self, model, release, sha256=sha256)
        held = self.held.manifest_path(model, release, sha256=sha256)
        return sent if sent.exists() else held

    def blob_size(self, sha256: str) -> int | None:
        """Return how long a blob is that was sent, None if it was not."""
        sent = self.blob_path(sha256)
        return sent.stat().st_size if sent.exists() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release that both its publisher's metadata and its own manifest name."""

    manifest: Manifest
    sha256: str
    document: bytes
    missing: int = 0  # encodings that are named and not here


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What a repository holds once it is believed."""

    root: Root
    anchors: Anchors
    floors: Mapping[str, int]
    releases: tuple[Release, ...]
    aside: Mapping[str, str] = field(default_factory=dict)  # forged metadata, and its sha256


def admit(
    repository: Repository,
    *,
    keys: OnlineKeys,
    known: Mapping[tuple[str, int], str],
    now: datetime,
    blob: Callable[[str], int | None],
) -> Admitted:
    """Return what ``repository`` holds.

    ``known`` is what was adopted before: by model and release, the manifest's sha256. Blobs were
    hashed when they came in; here they are looked for, and their sizes compared: ``blob`` says how
    long one is, None if it is not here.

    Raises:
        TrustError, MalformedError: The first thing that does not hold.

    """
    # (1) Roots follow each other, and the last one names this console.
    root = repository.root()
    rules.fresh(root, Root.type, now=now)
    anchors = keys.named_by(root)
    # (2) Targets are signed by those whom root names, models by those whom targets name.
    targets = repository.targets(root)
    rules.fresh(targets.signed, Targets.type, now=now)
    if targets.signed.targets:
        raise MalformedError("targets: names releases itself; they stand in each model's metadata")
    floors: dict[str, int] = {}
    releases: list[Release] = []
    for model, metadata in repository.models(targets.signed).items():
        rules.fresh(metadata.signed, model, now=now)
        floors[_model(model)] = rules.floor(metadata.signed, model)
        releases += _releases(repository, model, metadata, known=known, blob=blob)
    return Admitted(root=root, anchors=anchors, floors=floors, releases=tuple(releases))


def _model(role: str) -> str:
    try:
        return check_id("model", role)
    except ValueError as e:
        raise MalformedError(f"targets: delegates to {role!r}: {e}") from e


def _releases(
    repository: Repository,
    model: str,
    metadata: Metadata[Targets],
    *,
    known: Mapping[tuple[str, int], str],
    blob: Callable[[str], int | None],
) -> Iterator[Release]:
    for path, target in sorted(metadata.signed.targets.items()):
        # (3) A model's metadata names releases of this model alone, and as they are.
        offered = _offered(path, target)
        if path != target_path(model, offered.release):
            raise MixError(f"{model}: its metadata names {path}")
        sha256 = _sha256(path, target)
        # (4) A release keeps its bytes for ever.
        if known.get((model, offered.release), sha256) != sha256:
            raise MixError(f"{path}: is here with other bytes; publish a new release instead")
        # (5) Its manifest is here and says the same.
        manifest = repository.read_manifest(model, target)
        hardware = {name for v in manifest.variants for name in v.requires.hardware}
        if set(offered.hardware) != hardware:
            raise MixError(f"{path}: signed for other hardware than its manifest names")
        # (6) So is every file. An encoding may be missing: devices take another one.
        for file in manifest.files.values():
            if not _present(file, blob):
                raise ForgottenError(f"blobs/{file.sha256}: named by a manifest, and not here")
        missing = sum(not _present(e, blob) for f in manifest.files.values() for e in f.encodings)
        document = repository.manifest_path(model, offered.release, sha256=sha256).read_bytes()
        yield Release(manifest=manifest, sha256=sha256, document=document, missing=missing)


def _offered(path: str, target: TargetFile) -> Offered:
    if not _PATH.fullmatch(path):
        raise MalformedError(f"{path!r}: expected bundles/MODEL/RELEASE/manifest.json")
    try:
        return records.fill(Offered, target.custom, path)
    except records.RecordError as e:
        raise MalformedError(str(e)) from e


def _sha256(path: str, target: TargetFile) -> str:
    try:
        return check_sha256(path, target.hashes.get("sha256", ""))
    except ValueError as e:
        raise MalformedError(str(e)) from e


def _present(named: Blob, blob: Callable[[str], int | None]) -> bool:
    found = blob(named.sha256)
    if found not in (None, named.size):
        raise HashError(
            f"blobs/{named.sha256}", signed=str(named.size), found=str(found), kind="length"
        )
    return found is not None
