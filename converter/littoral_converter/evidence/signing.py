"""Signs a bundle as OpenSSF's model signing has it: ``model.sig``, which its public verifier reads.

It covers every file that the manifest names, and not the manifest, which names it: that one is
signed when the release is published. So a bundle that leaves the fleet (a hub, a customer) can
still be told from a changed one, by people who have nothing of ours. Whose the key is, is for them
to know; ``littoral keys`` makes it.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from littoral import records
from littoral.bundle import manifest
from littoral.bundle.manifest import Manifest
from littoral.durable import storage_errors
from littoral.errors import HashError, MisuseError
from littoral.trust import keyfiles
from littoral.trust.keyfiles import KeyFile
from littoral_converter import bundle, bundled

SIGNATURE: Final = "model.sig"
MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE: Final = "https://model_signing/signature/v1.0"
_STATEMENT: Final = "https://in-toto.io/Statement/v1"
_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_LEFT_OUT: Final = (manifest.NAME, SIGNATURE)
_MAX_CHAIN: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What was signed, and by whose key."""

    bundle: Path
    model: str
    release: int
    files: int
    keyid: str
    signature: str  # the file's name


def sign(folder: Path, key: Path, *, certificate: Path | None = None) -> Signed:
    """Put a signature by ``key`` into the bundle ``folder``, and its name into the manifest.

    ``certificate`` is a PEM file: the key's own certificate, then those that lead to a root. A
    signature that is there is replaced. When the power goes between the two writes, the same
    command does it anew; until then the bundle is refused, never believed.

    Raises:
        BundleError: It is no bundle.
        HashError: A file is not the one that the manifest names.
        MisuseError: The key or the certificate will not do, or a file is nobody's.

    """
    found = keyfiles.read(key)
    if found.kind != "p256":
        raise MisuseError(
            f"{key}: expected a P-256 key, found {found.kind}, which no verifier of model "
            "signatures takes; make one: littoral keys new FILE --type p256"
        )
    chain = () if certificate is None else _chain(certificate, found)
    held = bundled.told(folder)
    digests = dict(_digests(folder, held))
    payload = _statement(held.model, digests)
    signature = keyfiles.load_signer(key).sign(_authenticated(payload)).signature
    data = _sigstore(payload, bytes.fromhex(signature), found, chain)
    files = dict(held.files) | bundle.add(folder, {SIGNATURE: data})
    bundle.seal(folder, replace(held, files=files, signature=SIGNATURE))
    return Signed(
        bundle=folder,
        model=held.model,
        release=held.release,
        files=len(digests),
        keyid=found.public.keyid,
        signature=SIGNATURE,
    )


def _digests(folder: Path, held: Manifest) -> Iterator[tuple[str, str]]:
    """Walk the names and digests of what is signed, in order, after reading every file."""
    named = {name: file.sha256 for name, file in held.files.items() if name not in _LEFT_OUT}
    named |= {e.sha256: e.sha256 for file in held.files.values() for e in file.encodings}
    named |= _exported(folder, held)
    with storage_errors(folder):
        there = {
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.is_symlink() or not path.is_dir()
        } - {*_LEFT_OUT}
        for name in sorted(there - named.keys()):
            raise MisuseError(
                f"{folder / name} is not in the manifest, and verifiers count every file; take it "
                "out of the bundle"
            )
        for name, sha256 in sorted(named.items()):
            if name not in there or (folder / name).is_symlink():
                raise MisuseError(f"{folder / name} is missing; convert the model again")
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha256:
                raise HashError(str(folder / name), signed=sha256, found=found)
            yield name, sha256


def _exported(folder: Path, held: Manifest) -> dict[str, str]:
    """Return what lies beside the manifest's files by the report's word, and its digests."""
    if held.report_data is None:
        return {}
    data = bundled.file(folder, held, held.report_data)
    exports = json.loads(data).get("exports", [])
    return {one["path"]: one["sha256"] for export in exports for one in export["files"]}


def _statement(model: str, digests: Mapping[str, str]) -> bytes:
    whole = hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in digests.values()))
    return records.to_json(
        {
            "_type": _STATEMENT,
            "subject": [{"name": model, "digest": {"sha256": whole.hexdigest()}}],
            "predicateType": PREDICATE,
            "predicate": {
                "serialization": {
                    "method": "files",
                    "hash_type": "sha256",
                    "allow_symlinks": False,
                    "ignore_paths": _LEFT_OUT,
                },
                "resources": [
                    {"name": name, "algorithm": "sha256", "digest": digest}
                    for name, digest in digests.items()
                ],
            },
        }
    )


def _authenticated(payload: bytes) -> bytes:
    """Return what DSSE signs."""
    return f"DSSEv1 {len(_PAYLOAD_TYPE)} {_PAYLOAD_TYPE} {len(payload)} ".encode() + payload


def _sigstore(
    payload: bytes, signature: bytes, key: KeyFile, chain: tuple[x509.Certificate, ...]
) -> bytes:
    material: dict[str, Any] = {
        "publicKey": {"hint": hashlib.sha256(key.pem).hexdigest()},
        "tlogEntries": [],
    }
    if chain:
        del material["publicKey"]
        material["x509CertificateChain"] = {
            "certificates": [{"rawBytes": _text(c.public_bytes(Encoding.DER))} for c in chain]
        }
    return json.dumps(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": material,
            "dsseEnvelope": {
                "payload": _text(payload),
                "payloadType": _PAYLOAD_TYPE,
                "signatures": [{"sig": _text(signature), "keyid": ""}],
            },
        },
        sort_keys=True,
    ).encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _chain(path: Path, key: KeyFile) -> tuple[x509.Certificate, ...]:
    with storage_errors(path), path.open("rb") as file:
        data = file.read(_MAX_CHAIN)
    try:
        found = tuple(x509.load_pem_x509_certificates(data))
    except ValueError as e:
        raise MisuseError(f"{path}: expected certificates in PEM: {e}") from e
    own = found[0].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if own != key.pem:
        raise MisuseError(f"{path}: the first certificate is not that of the key {key.path}")
    return found
