"""What signs metadata: a key in a file, in one of three ways. Whoever signs need not know which.

A plain PEM, which nobody but its owner may read; a PEM under a passphrase; or the address of a
key on a token (PKCS 11), which never leaves it. In the latter two the public half stands beside,
so that whose key it is can be told without asking for anything.
"""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, Signer, SSlibKey

from littoral import durable
from littoral.errors import MisuseError
from littoral.trust import sealing
from littoral.trust.keys import (
    SEALED,
    Kind,
    PrivateKey,
    generate,
    load_private,
    new_key,
    private_pem,
)

How = Literal["plain", "passphrase", "token", "public"]
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

SUFFIXES: Final = (".pem", ".pkcs11")
_MAX_BYTES: Final = 64 * 1024
_ADDRESS: Final = b"pkcs11:"
_PUBLIC: Final = b"-----BEGIN PUBLIC KEY-----"
_PUBLIC_END: Final = b"-----END PUBLIC KEY-----"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """A key in a file, as far as it can be known without a secret."""

    path: Path
    how: How
    public: SSlibKey
    pem: bytes  # of the public half

    @property
    def kind(self) -> Kind:
        return "ed25519" if self.public.keytype == "ed25519" else "p256"


def read(path: Path) -> KeyFile:
    """Return whose key lies in ``path``: a secret one, an address, or a public one.

    Raises:
        MisuseError: It is none; or it is under a passphrase that is not said, and nothing stands
            beside it.

    """
    data = _bytes(path)
    how: How = (
        "token"
        if data.startswith(_ADDRESS)
        else "passphrase"
        if SEALED in data
        else "public"
        if data.lstrip().startswith(_PUBLIC)
        else "plain"
    )
    beside = None if how == "plain" else _beside(path, data)
    if beside is None and how == "token":
        raise MisuseError(
            f"{path}: expected its public key beside the address; "
            "littoral keys link FILE ADDRESS writes both"
        )
    found = load_private(path).public_key() if beside is None else beside
    pem = found.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return KeyFile(path=path, how=how, public=SSlibKey.from_crypto(found), pem=pem)


def held(folder: Path, name: str) -> Path | None:
    """Return the file of the key ``name`` in ``folder``, of whatever way, None if there is none."""
    paths = (folder / f"{name}{suffix}" for suffix in SUFFIXES)
    return next((path for path in paths if path.exists()), None)


def load_signer(path: Path) -> Signer:
    """Return what signs metadata with the key in ``path``.

    Raises:
        MisuseError: There is none, it is not what stands beside it, its passphrase or PIN is not
            said, or it is plain and others may read it.

    """
    found = read(path)
    if found.how == "public":
        raise MisuseError(f"{path}: expected a secret key, found a public one")
    if found.how == "token":
        from littoral.trust.pkcs11 import TokenSigner

        return TokenSigner.open(_address(_bytes(path)), found.public)
    if found.how == "plain" and stat.S_IMODE(path.stat().st_mode) & _OTHERS:
        raise MisuseError(
            f"{path}: others may read this key; run: chmod 600 {path}, or put it under a "
            f"passphrase: littoral keys protect {path}"
        )
    signer = CryptoSigner(load_private(path))
    if signer.public_key.keyid != found.public.keyid:
        raise MisuseError(f"{path}: the public key beside the secret one is not its own")
    return signer


def new(path: Path, kind: Kind = "ed25519", *, passphrase: str | None = None) -> KeyFile:
    """Make a secret key in ``path``, under ``passphrase`` if there is one. Raises MisuseError."""
    if passphrase is None:
        new_key(path, kind)
        return read(path)
    _free(path)
    durable.make_folder(path.parent, mode=0o700)
    durable.replace(path, _sealed(generate(kind), passphrase))
    return read(path)


def protect(path: Path, passphrase: str | None) -> KeyFile:
    """Put the key in ``path`` under another ``passphrase``, or under none. Raises MisuseError."""
    check_secret(path)
    key = load_private(path)
    durable.replace(path, private_pem(key) if passphrase is None else _sealed(key, passphrase))
    return read(path)


def check_secret(path: Path) -> None:
    """Raise MisuseError if there is no secret in ``path``, or what opens it is not said."""
    if read(path).how in {"token", "public"}:
        raise MisuseError(f"{path}: there is no secret in it that a passphrase could protect")
    load_private(path)


def link(path: Path, address: str) -> KeyFile:
    """Write into ``path`` where on a token a key is, and its public half. Raises MisuseError."""
    from littoral.trust.pkcs11 import find_public

    return _link(path, address, find_public(address))


def new_on_token(path: Path, address: str) -> KeyFile:
    """Make a key (P-256) on a token, which it never leaves, and link it. Raises MisuseError."""
    from littoral.trust.pkcs11 import make

    _free(path)
    return _link(path, address, make(address))


def _link(path: Path, address: str, public: ec.EllipticCurvePublicKey) -> KeyFile:
    _free(path)
    durable.make_folder(path.parent, mode=0o700)
    beside = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    durable.replace(path, address.encode() + b"\n" + beside)
    return read(path)


def _free(path: Path) -> None:
    if path.exists():
        raise MisuseError(f"{path}: a key is there, and is never overwritten; name another file")


def _sealed(key: PrivateKey, passphrase: str) -> bytes:
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    beside = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return sealing.seal(der, passphrase) + beside


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES)
    except FileNotFoundError as e:
        raise MisuseError(f"{path}: no such key; is this the right folder?") from e
    except OSError as e:
        raise MisuseError(f"{path}: expected a key: {e.strerror}") from e


def _address(data: bytes) -> str:
    return data.partition(b"\n")[0].decode(errors="replace").strip()


def _beside(path: Path, data: bytes) -> PublicKey | None:
    """Return the public key that stands in ``data``, None if there is none."""
    _, begin, rest = data.partition(_PUBLIC)
    if not begin:
        return None
    body = rest.partition(_PUBLIC_END)[0]
    try:
        key = load_pem_public_key(_PUBLIC + body + _PUBLIC_END + b"\n")
    except ValueError as e:
        raise MisuseError(f"{path}: expected a public key in PEM: {e}") from e
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise MisuseError(f"{path}: expected an Ed25519 or P-256 key")
