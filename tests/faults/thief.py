"""What who holds some of the keys can do to a repository, on its disk or on the way.

Each leaves the folder so that both a web server and a stick carry the lie.
"""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Timestamp

from littoral.trust import writer
from littoral.trust.keyfiles import load_signer
from littoral.trust.repository import Repository
from simulators.repository import RepositorySimulator

LONG_AGO: Final = timedelta(days=20)  # longer than a timestamp or a document lives
FAR: Final = 2**40
ENDLESS: Final = 2**30


def stranger() -> Signer:
    """Return a key that nobody trusts."""
    return CryptoSigner.generate_ed25519()


def newest(repo: RepositorySimulator, role: str) -> tuple[int, Path]:
    repository = Repository(repo.folder)
    version = repository.versions()[role][-1]
    return version, repository.path(role, version)


def vouch(repo: RepositorySimulator, role: str, version: int) -> None:
    """Sign, with the console's keys, a snapshot in which ``role`` is at ``version``."""
    repository = Repository(repo.folder)
    before, path = newest(repo, Snapshot.type)
    snapshot: Metadata[Snapshot] = Metadata.from_bytes(path.read_bytes())
    snapshot.signed.version = before + 1
    snapshot.signed.meta[f"{role}.json"] = MetaFile(version)
    snapshot.sign(load_signer(repo.online / "snapshot.pem"))
    repository.path(Snapshot.type, before + 1).write_bytes(snapshot.to_bytes())
    timestamp = read_timestamp(repo)
    timestamp.signed.version += 1
    timestamp.signed.snapshot_meta = MetaFile(before + 1)
    write_timestamp(repo, timestamp, load_signer(repo.online / "timestamp.pem"))


def roll_back(repo: RepositorySimulator, role: str) -> None:
    """Bring the version before of ``role`` back, vouched for as the newest."""
    version, _ = newest(repo, role)
    vouch(repo, role, version - 1)


def mix(repo: RepositorySimulator, role: str) -> None:
    """Vouch for a next version of ``role`` that never was, with the present one in its place."""
    version, path = newest(repo, role)
    path.with_name(f"{version + 1}.{role}.json").write_bytes(path.read_bytes())
    vouch(repo, role, version + 1)


def leap(repo: RepositorySimulator) -> None:
    """Sign a timestamp so far ahead that every honest one is older."""
    timestamp = read_timestamp(repo)
    timestamp.signed.version = FAR
    write_timestamp(repo, timestamp, load_signer(repo.online / "timestamp.pem"))


def land(repo: RepositorySimulator, version: int) -> None:
    """Put a timestamp of ``version`` in the place of one that leapt: as the honest console has."""
    timestamp = read_timestamp(repo)
    timestamp.signed.version = version
    write_timestamp(repo, timestamp, load_signer(repo.online / "timestamp.pem"))


def freeze(repo: RepositorySimulator) -> None:
    """Keep what was signed long ago, and show that."""
    repo.now -= LONG_AGO
    repo.renew()
    repo.now += LONG_AGO


def sign_timestamp_by(repo: RepositorySimulator, signer: Signer) -> None:
    timestamp = read_timestamp(repo)
    timestamp.signed.version += 1
    write_timestamp(repo, timestamp, signer)


def sign_root_by_one(repo: RepositorySimulator) -> None:
    """Sign a next root by one of the two who must."""
    repository = Repository(repo.folder)
    version, path = newest(repo, Root.type)
    root: Metadata[Root] = Metadata.from_bytes(path.read_bytes())
    root.signed.version = version + 1
    root.sign(load_signer(repo.offline / "root-1.pem"))
    repository.path(Root.type, version + 1).write_bytes(root.to_bytes())


def spoil(path: Path) -> None:
    """Put as many other bytes in the place of a file's."""
    path.write_bytes(bytes(byte ^ 0xFF for byte in path.read_bytes()))


def manifest(repo: RepositorySimulator, model: str, release: int) -> Path:
    found = repo.assignment(model, release)
    return Repository(repo.folder).manifest_path(model, release, sha256=found.manifest_sha256)


def blob(repo: RepositorySimulator, model: str, release: int) -> Path:
    files: dict[str, Any] = json.loads(manifest(repo, model, release).read_bytes())["files"]
    sha256: str = files["model.tflite"]["sha256"]
    return repo.folder / "blobs" / sha256


def lay_endless(path: Path) -> None:
    """Put a file there that is longer than anything is allowed to be, and takes no room."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    os.truncate(path, ENDLESS)


def rotate(repo: RepositorySimulator, role: str) -> None:
    """Take the stolen key of ``role`` from everybody, as its owner can."""
    writer.rotate(repo.folder, role, offline=repo.offline, online=repo.online, now=repo.now)
    repo.renew()


def read_timestamp(repo: RepositorySimulator) -> Metadata[Timestamp]:
    path = Repository(repo.folder).path(Timestamp.type, 0)
    return Metadata.from_bytes(path.read_bytes())


def write_timestamp(
    repo: RepositorySimulator, timestamp: Metadata[Timestamp], signer: Signer
) -> None:
    timestamp.sign(signer)
    Repository(repo.folder).path(Timestamp.type, 0).write_bytes(timestamp.to_bytes())
