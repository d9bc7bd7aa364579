"""A repository as it lies in a folder: which metadata is newest, and what it names.

It signs nothing (littoral.trust.writer does), and looks at one thing at a time: whether all of it
holds is littoral.trust.survey's to say. The newest version of a role is the one that
counts: metadata is written last, so whatever it names was there before it.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from littoral.bundle import manifest
from littoral.bundle.manifest import Manifest
from littoral.errors import ForgottenError, MalformedError, MisuseError, MixError
from littoral.trust import rules
from littoral.trust.metadata import check_bytes, parse, verify

CHUNK_BYTES: Final = 1024 * 1024
_RELEASE = re.compile(r"[1-9][0-9]{0,15}")
_VERSIONED = re.compile(r"([1-9][0-9]{0,15})\.([a-z0-9-]{1,64})\.json")

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True)
class Repository:
    """Paths and newest metadata of the repository in ``folder``. Reads anew at each question."""

    folder: Path

    @property
    def metadata(self) -> Path:
        return self.folder / "metadata"

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"

    def path(self, role: str, version: int) -> Path:
        """Return the file of ``role``; a timestamp has one name for all versions."""
        return self.metadata / (
            "timestamp.json" if role == Timestamp.type else f"{version}.{role}.json"
        )

    def manifest_path(self, model: str, release: int, *, sha256: str) -> Path:
        target = Path(manifest.target_path(model, release))
        return self.folder / "targets" / target.parent / f"{sha256}.{target.name}"

    def versions(self) -> dict[str, list[int]]:
        """Return the versions that are here by role, ascending."""
        found: dict[str, list[int]] = {}
        for path in sorted(self.metadata.glob("*.json")):
            if match := _VERSIONED.fullmatch(path.name):
                found.setdefault(match[2], []).append(int(match[1]))
        return {role: sorted(versions) for role, versions in found.items()}

    def newest(self, cls: type[S], role: str) -> Metadata[S] | None:
        """Return the newest metadata of ``role``, signed by whomever; None if there is none."""
        version = max(self.versions().get(role, (0,)))
        path = self.path(role, version)
        return parse(cls, path.read_bytes(), role) if path.exists() else None

    def root(self) -> Root:
        """Return the newest root, reached from the first by its chain of signatures.

        Raises:
            MisuseError: There is no repository here.

        """
        versions = self.versions().get(Root.type, [])
        if not versions:
            raise MisuseError(f"{self.folder}: no repository; run: littoral repo init")
        root = rules.held_root(self.path(Root.type, versions[0]).read_bytes()).signed
        for version in versions[1:]:
            root = rules.next_root(self.path(Root.type, version).read_bytes(), held=root).signed
        return root

    def targets(self, root: Root) -> Metadata[Targets]:
        """Return the newest targets metadata, verified by ``root``."""
        return self._verified(Targets.type, root)

    def models(self, targets: Targets) -> dict[str, Metadata[Targets]]:
        """Return the newest metadata of each model, verified by ``targets``."""
        delegated = targets.delegations.roles if targets.delegations else None
        return {model: self._verified(model, targets) for model in delegated or {}}

    def read_manifest(self, model: str, target: TargetFile) -> Manifest:
        """Return the manifest that ``target`` names.

        Raises:
            ForgottenError: It is not here.
            HashError, MixError: It is another one.

        """
        release = release_of(target.path, model)
        try:
            sha256 = manifest.check_sha256(target.path, target.hashes.get("sha256", ""))
        except ValueError as e:
            raise MalformedError(str(e)) from e
        path = self.manifest_path(model, release, sha256=sha256)
        data = read(path)
        check_bytes(target.path, data, named=target)
        found = Manifest.from_json(data)
        if (found.model, found.release) != (model, release):
            raise MixError(f"{path}: calls itself {found.model}:{found.release}")
        return found

    def blob_path(self, sha256: str) -> Path:
        return self.blobs / manifest.check_sha256("blob", sha256)

    def _verified(self, role: str, delegator: Root | Targets) -> Metadata[Targets]:
        found = self.newest(Targets, role)
        if found is None:
            raise ForgottenError(f"{self.metadata}: no metadata of {role}")
        verify(delegator, role, found)
        return found


def release_of(path: str, model: str) -> int:
    """Return the release whose manifest ``path`` names, which is one of ``model``'s.

    Raises:
        MalformedError: It names something else.

    """
    release = path.removeprefix(f"bundles/{model}/").removesuffix(f"/{manifest.NAME}")
    if not _RELEASE.fullmatch(release) or path != manifest.target_path(model, int(release)):
        raise MalformedError(
            f"{path!r}: expected bundles/{model}/RELEASE/{manifest.NAME} in its metadata"
        )
    return int(release)


def releases(targets: Targets, model: str) -> dict[int, TargetFile]:
    """Return what the metadata of ``model`` names, by release. Raises MalformedError."""
    return {release_of(path, model): found for path, found in targets.targets.items()}


def snapshot_meta(repository: Repository, roles: dict[str, Targets]) -> dict[str, MetaFile]:
    """Return what a snapshot says of ``roles``: version, length and hash."""
    meta = {}
    for role, signed in roles.items():
        data = repository.path(role, signed.version).read_bytes()
        hashes = {"sha256": hashlib.sha256(data).hexdigest()}
        meta[f"{role}.json"] = MetaFile(signed.version, length=len(data), hashes=hashes)
    return meta


def read(path: Path) -> bytes:
    """Return what metadata names. Raises ForgottenError."""
    try:
        return path.read_bytes()
    except OSError as e:
        raise ForgottenError(f"{path}: named by the metadata, and not here") from e
