"""What goes wrong and who does wrong, with the files and keys that a thief would have.

It knows TUF's formats and nothing of ours: ``tuf`` and ``cryptography``, as an attacker has them.
"""

import hashlib
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Snapshot, TargetFile, Targets, Timestamp


def flip_one_bit(path: Path) -> None:
    """Do to a file what a tired disk does. Doing it again undoes it."""
    spoilt = bytearray(path.read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(spoilt)


def forge(repository: Path, online: Path, *, model: str, release: int) -> None:
    """Make a stolen console vouch for a release that no release key has signed.

    The thief has the console's own keys, so snapshot and timestamp are genuine. He has not the
    model's key: he signs its metadata, with a manifest of his own in it, with another one.
    """
    metadata = repository / "metadata"
    number, model_file = _newest(metadata, model)
    forged: Metadata[Targets] = Metadata.from_file(str(model_file))
    _plant(repository, forged.signed, f"bundles/{model}/{release}/manifest.json")
    forged.signed.version = number + 1
    forged.sign(CryptoSigner(Ed25519PrivateKey.generate()))
    forged.to_file(str(metadata / f"{number + 1}.{model}.json"))

    number_of_snapshot, snapshot_file = _newest(metadata, "snapshot")
    snapshot: Metadata[Snapshot] = Metadata.from_file(str(snapshot_file))
    snapshot.signed.version = number_of_snapshot + 1
    snapshot.signed.meta[f"{model}.json"] = MetaFile(number + 1)
    signed = _sign(snapshot, online / "snapshot.pem")
    (metadata / f"{number_of_snapshot + 1}.snapshot.json").write_bytes(signed)

    timestamp: Metadata[Timestamp] = Metadata.from_file(str(metadata / "timestamp.json"))
    timestamp.signed.version += 1
    timestamp.signed.snapshot_meta = MetaFile(number_of_snapshot + 1)
    signed = _sign(timestamp, online / "timestamp.pem")
    (metadata / "timestamp.json").write_bytes(signed)


def copy_bundle(bundle: Path, into: Path, *, release: int, **changes: object) -> Path:
    """Return ``into``, which is ``bundle`` with another release number and other words.

    Keys of ``changes`` are fields of the manifest, with ``__`` between the levels.
    """
    shutil.copytree(bundle, into)
    manifest = json.loads((into / "manifest.json").read_bytes())
    manifest |= {"release": release, "label": f"copy of {manifest['label']}"}
    for path, value in changes.items():
        *levels, last = path.split("__")
        at: Any = manifest
        for level in levels:
            at = at[int(level) if level.isdigit() else level]
        at[last] = value
    write_manifest(into, manifest)
    return into


def swap_model(bundle: Path, other: Path) -> None:
    """Put the model of ``other`` into ``bundle``, and leave the golden vectors as they are."""
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    theirs = json.loads((other / "manifest.json").read_bytes())
    name, source = manifest["variants"][0]["files"][0], theirs["variants"][0]["files"][0]
    data = (other / source).read_bytes()
    (bundle / name).chmod(0o644)
    (bundle / name).write_bytes(data)
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    write_manifest(bundle, manifest)


def write_manifest(bundle: Path, manifest: object) -> None:
    path = bundle / "manifest.json"
    path.chmod(0o644)
    path.write_text(json.dumps(manifest, sort_keys=True, separators=(",", ":")))


def _plant(repository: Path, signed: Targets, path: str) -> None:
    """Name a manifest of the thief's own as the release, and lay it where devices look."""
    genuine = signed.targets[path]
    folder = (repository / "targets" / path).parent
    evil = (folder / f"{genuine.hashes['sha256']}.manifest.json").read_bytes() + b" "
    sha256 = hashlib.sha256(evil).hexdigest()
    (folder / f"{sha256}.manifest.json").write_bytes(evil)
    custom = {"custom": genuine.custom}
    signed.targets[path] = TargetFile(len(evil), {"sha256": sha256}, path, custom)


def _newest(metadata: Path, role: str) -> tuple[int, Path]:
    found = {int(p.name.partition(".")[0]): p for p in metadata.glob(f"[0-9]*.{role}.json")}
    return max(found.items())


def _sign(metadata: "Metadata[Any]", key: Path) -> bytes:
    private = load_pem_private_key(key.read_bytes(), password=None)
    metadata.signed.expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
    metadata.sign(CryptoSigner(private))
    return metadata.to_bytes()
