"""Secret keys in files, and the small signatures of the wire: time, session, receipt.

A secret is PEM (PKCS 8), 0600, in a folder of 0700, and is never overwritten; it may be under a
passphrase. Ed25519 signs metadata and time; P-256 is for TLS, devices and hardware tokens. It
knows nothing of certificates (littoral.trust.certificates), and none of the metadata that keys
sign (littoral.trust.keyfiles).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature, Signer

from littoral import durable
from littoral.bundle.manifest import check_id
from littoral.errors import MisuseError, SignatureError
from littoral.trust import passphrases
from littoral.wire.enrolment import SignedTime

Kind = Literal["ed25519", "p256"]
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

DEVICE_KEY: Final = "device.key"
SEALED: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_MAX_PEM_BYTES: Final = 64 * 1024
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")


def new_key(path: Path, kind: Kind = "ed25519") -> None:
    """Make a secret key in ``path``, whose folder is made if there is none.

    Raises:
        MisuseError: ``path`` is there: a key is never overwritten.

    """
    if path.exists():
        raise MisuseError(f"{path}: a key is there, and is never overwritten; name another file")
    durable.make_folder(path.parent, mode=0o700)
    durable.replace(path, private_pem(generate(kind)), mode=0o600)


def generate(kind: Kind) -> PrivateKey:
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else p256()


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_private(path: Path) -> PrivateKey:
    """Return the secret key in ``path``.

    Raises:
        MisuseError: There is none, it is of another kind than ``new_key`` makes, or it is under a
            passphrase that nobody says.

    """
    try:
        data = path.read_bytes()[:_MAX_PEM_BYTES]
    except FileNotFoundError as e:
        raise MisuseError(f"{path}: no such key; is this the right folder?") from e
    except OSError as e:
        raise MisuseError(f"{path}: expected a secret key: {e.strerror}") from e
    try:
        key = _unlocked(path, data) if SEALED in data else load_pem_private_key(data, None)
    except (ValueError, UnsupportedAlgorithm) as e:
        raise MisuseError(
            f"{path}: expected a secret key in PEM, found {_is(data)}; "
            "littoral keys new FILE makes one"
        ) from e
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise MisuseError(f"{path}: expected an Ed25519 or P-256 key")


def _unlocked(path: Path, data: bytes) -> object:
    """Return the key in ``data``, which is under a passphrase."""
    for passphrase in passphrases.candidates(
        f"passphrase of {path}", setting=passphrases.PASSPHRASE_FILE
    ):
        try:
            key = load_pem_private_key(data, passphrase.encode())
        except ValueError:
            continue
        passphrases.opened(passphrase, setting=passphrases.PASSPHRASE_FILE)
        return key
    raise MisuseError(f"{path}: the passphrase does not open it")


def kind(key: PrivateKey) -> Kind:
    """Return what ``new_key`` calls it."""
    return "ed25519" if isinstance(key, ed25519.Ed25519PrivateKey) else "p256"


def p256_of(key: PrivateKey) -> ec.EllipticCurvePrivateKey:
    """Return ``key`` if it is of the kind that certificates need. Raises MisuseError."""
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise MisuseError("expected a P-256 key, found an Ed25519 one")
    return key


def sign_time(signer: Signer, nonce: str, *, utc_ms: int) -> SignedTime:
    """Return the console's answer to ``nonce``."""
    signature = signer.sign(_time_payload(nonce, utc_ms))
    return SignedTime(
        nonce=nonce, utc_ms=utc_ms, keyid=signature.keyid, signature=signature.signature
    )


def check_time(answer: SignedTime, nonce: str, *, keys: Mapping[str, Key]) -> datetime:
    """Return the time that one of ``keys`` signed for ``nonce``.

    Raises:
        SignatureError: It is for another nonce, or none of them signed it.

    """
    if answer.nonce != nonce:
        raise SignatureError("time: the answer is for another nonce")
    key = keys.get(answer.keyid)
    if key is None:
        raise SignatureError("time: signed by a key that root does not name")
    signature = Signature(answer.keyid, answer.signature)
    try:
        key.verify_signature(signature, _time_payload(nonce, answer.utc_ms))
        return datetime.fromtimestamp(answer.utc_ms / 1000, UTC)
    except (UnverifiedSignatureError, ValueError, OverflowError) as e:
        raise SignatureError("time: the signature is not of the key that it names") from e


def new_device_key(folder: Path, device: str) -> str:
    """Return the certificate request (PEM) of the device's own key, made here if there is none.

    Can be done twice: the key that is there is kept.
    """
    path = folder / DEVICE_KEY
    if not path.exists():
        new_key(path, "p256")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, check_id("device", device))])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return request.sign(p256_of(load_private(path)), SHA256()).public_bytes(Encoding.PEM).decode()


def sign_session(key: Path, nonce: str) -> str:
    """Return the device's proof (base64) that it holds ``key``, for this ``nonce`` alone."""
    return _sign(key, _session_payload(nonce))


def check_session(nonce: str, signature: str, *, certificate: x509.Certificate) -> None:
    """Check the proof of who holds the key of ``certificate``.

    Raises:
        SignatureError: It is none.

    """
    _check("session", _session_payload(nonce), signature, certificate=certificate)


def sign_receipt(key: Path, payload: bytes) -> str:
    """Return the signature (base64) of what a device leaves on a medium for its console."""
    return _sign(key, _receipt_payload(payload))


def check_receipt(payload: bytes, signature: str, *, certificate: x509.Certificate) -> None:
    """Check that whoever holds the key of ``certificate`` signed these very bytes.

    Raises:
        SignatureError: Somebody else did, or nobody.

    """
    _check("receipt", _receipt_payload(payload), signature, certificate=certificate)


def _sign(key: Path, data: bytes) -> str:
    signature = p256_of(load_private(key)).sign(data, ec.ECDSA(SHA256()))
    return base64.b64encode(signature).decode()


def _check(what: str, data: bytes, signature: str, *, certificate: x509.Certificate) -> None:
    public = certificate.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise SignatureError(f"{what}: expected a certificate of a P-256 key")
    try:
        proof = base64.b64decode(signature, validate=True)
        public.verify(proof, data, ec.ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError) as e:
        raise SignatureError(f"{what}: not signed by the key of the certificate") from e


def _time_payload(nonce: str, utc_ms: int) -> bytes:
    return b"littoral-time\0" + nonce.encode() + b"\0" + str(utc_ms).encode()


def _session_payload(nonce: str) -> bytes:
    return b"littoral-session\0" + nonce.encode()


def _receipt_payload(payload: bytes) -> bytes:
    return b"littoral-receipt\0" + payload


def _is(data: bytes) -> str:
    """Return what a file that holds no secret key holds."""
    found = _PEM.search(data)
    if found is None:
        return "something else" if data else "an empty file"
    name = found[1].decode().lower()
    return f"a damaged {name}" if "private" in name else f"a {name}"
