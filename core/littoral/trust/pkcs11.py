"""Keys that never leave a token: a smart card, a YubiKey, a network HSM, by PKCS 11.

A key is named as in RFC 7512, by its token and its label or id there:
``pkcs11:token=anna;object=root?module-path=/usr/lib/softhsm/libsofthsm2.so``. Without a module path
the environment's LITTORAL_PKCS11_MODULE says which library speaks to the token; the PIN is in the
file of ``pin-source=file:…`` or of LITTORAL_PIN_FILE, or a person is asked, once: tokens lock
themselves. Signatures are ECDSA on P-256 over SHA-256, the one kind that all tokens have.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from securesystemslib.signer import Key, SecretsHandler, Signature, Signer, SSlibKey

from littoral.errors import MissingExtraError, MisuseError
from littoral.trust import passphrases

MODULE: Final = "LITTORAL_PKCS11_MODULE"
_SCHEME: Final = "pkcs11:"
_FILE: Final = "file:"
_PATH: Final = frozenset({"token", "serial", "object", "id", "type"})
_QUERY: Final = frozenset({"module-path", "pin-source"})
_HALF: Final = 32  # bytes of one of a signature's two numbers
_POINT: Final = 65  # bytes of a point that is not compressed


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Which key on which token."""

    token: str | None
    serial: bytes | None
    label: str | None
    id: bytes | None
    module: str
    pin_source: Path | None

    def __str__(self) -> str:
        return f"key {self.label or (self.id or b'').hex()} on token {self.token or self.serial!r}"


def parse(text: str) -> Address:
    """Return what the address ``text`` names.

    Raises:
        MisuseError: It is none, it carries the PIN itself, or no module is known.

    """
    if not text.startswith(_SCHEME):
        raise MisuseError(f"expected {_SCHEME}token=…;object=…, found {text!r}")
    path, _, query = text.removeprefix(_SCHEME).partition("?")
    found = {**_attributes(path, ";", _PATH), **_attributes(query, "&", _QUERY)}
    if not found.keys() & {"token", "serial"} or not found.keys() & {"object", "id"}:
        raise MisuseError(f"{text}: expected a token (or serial) and an object (or id)")
    module = unquote(found.get("module-path", "")) or os.environ.get(MODULE)
    if not module:
        raise MisuseError(
            f"{text}: which library speaks to the token? add ?module-path=/…/lib….so, "
            f"or set {MODULE}"
        )
    source = unquote(found.get("pin-source", ""))
    if source and not source.startswith((_FILE, "/")):
        raise MisuseError(f"{text}: expected pin-source=file:/…, found {source!r}")
    return Address(
        token=unquote(found["token"]) if "token" in found else None,
        serial=unquote_to_bytes(found["serial"]) if "serial" in found else None,
        label=unquote(found["object"]) if "object" in found else None,
        id=unquote_to_bytes(found["id"]) if "id" in found else None,
        module=module,
        pin_source=Path(source.removeprefix(_FILE)) if source else None,
    )


class TokenSigner(Signer):
    """Signs with a key on a token. The token is asked for each signature."""

    def __init__(self, address: Address, public: SSlibKey) -> None:
        self._address, self._public = address, public

    @classmethod
    def open(cls, text: str, public: SSlibKey) -> "TokenSigner":
        """Return what signs with the key that ``text`` names, if it is there and may be used.

        Raises:
            MisuseError: It is not there, it is another one, or the PIN is wrong.
            MissingExtraError: The library that speaks PKCS 11 is not installed.

        """
        address = parse(text)
        with _session(address) as session:
            _one(session, address, "PRIVATE_KEY")
            here = SSlibKey.from_crypto(_public(session, address))
        if here.keyid != public.keyid:
            raise MisuseError(f"{address}: not the key whose public half stands beside its address")
        return cls(address, public)

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> "TokenSigner":
        """Return the signer of ``priv_key_uri``, as securesystemslib asks for one."""
        del secrets_handler
        if not isinstance(public_key, SSlibKey):
            raise MisuseError(f"{priv_key_uri}: expected a P-256 key")
        return cls.open(priv_key_uri, public_key)

    @property
    def public_key(self) -> SSlibKey:
        return self._public

    def sign(self, payload: bytes) -> Signature:
        """Sign ``payload``. Raises MisuseError when the token does not."""
        with _session(self._address) as session:
            key = _one(session, self._address, "PRIVATE_KEY")
            raw = key.sign(sha256(payload).digest(), mechanism=_library().Mechanism.ECDSA)
        r, s = (int.from_bytes(half, "big") for half in (raw[:_HALF], raw[_HALF:]))
        return Signature(self._public.keyid, encode_dss_signature(r, s).hex())


def find_public(text: str) -> ec.EllipticCurvePublicKey:
    """Return the public half of the key that ``text`` names. Raises MisuseError."""
    address = parse(text)
    with _session(address) as session:
        return _public(session, address)


def make(text: str) -> ec.EllipticCurvePublicKey:
    """Make the key that ``text`` names on its token, which it never leaves.

    Raises:
        MisuseError: There is one of that name, or the token refuses.

    """
    address, pkcs11 = parse(text), _library()
    with _session(address, writing=True) as session:
        if list(session.get_objects(_attributes_of(address, "PUBLIC_KEY"))):
            raise MisuseError(f"{address}: a key is there, and is never overwritten; name another")
        curve = pkcs11.util.ec.encode_named_curve_parameters("secp256r1")
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: curve}, local=True
        )
        parameters.generate_keypair(store=True, label=address.label, id=address.id)
        return _public(session, address)


def _library() -> Any:  # noqa: ANN401
    try:
        import pkcs11
        import pkcs11.util.ec
    except ImportError as e:
        raise MissingExtraError("a key on a token", extra="pkcs11", missing="python-pkcs11") from e
    return pkcs11


@contextmanager
def _session(address: Address, *, writing: bool = False) -> Iterator[Any]:
    """Open the token; what its library has to say becomes one line of ours."""
    pkcs11 = _library()
    try:
        token = pkcs11.lib(address.module).get_token(
            token_label=address.token, token_serial=address.serial
        )
        pin = _pin(address)
        with token.open(user_pin=pin, rw=writing) as session:
            passphrases.opened(pin, setting=passphrases.PIN_FILE, of=str(address.token))
            yield session
    except (pkcs11.PKCS11Error, RuntimeError) as e:
        said = str(e) or type(e).__name__
        raise MisuseError(f"{address}: the token says: {said}") from e


def _pin(address: Address) -> str:
    if address.pin_source is not None:
        return passphrases.from_file(address.pin_source)
    what = f"PIN of token {address.token}"
    of = str(address.token)
    return next(passphrases.candidates(what, setting=passphrases.PIN_FILE, of=of, tries=1))


def _attributes_of(address: Address, kind: str) -> dict[Any, Any]:
    pkcs11 = _library()
    found: dict[Any, Any] = {
        pkcs11.Attribute.CLASS: pkcs11.ObjectClass[kind],
        pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.EC,
    }
    if address.label is not None:
        found[pkcs11.Attribute.LABEL] = address.label
    if address.id is not None:
        found[pkcs11.Attribute.ID] = address.id
    return found


def _one(session: Any, address: Address, kind: str) -> Any:  # noqa: ANN401
    found = list(session.get_objects(_attributes_of(address, kind)))
    if len(found) != 1:
        raise MisuseError(f"{address}: expected one, found {len(found)}; name its label and its id")
    return found[0]


def _public(session: Any, address: Address) -> ec.EllipticCurvePublicKey:  # noqa: ANN401
    key = _one(session, address, "PUBLIC_KEY")
    point = bytes(key[_library().Attribute.EC_POINT])[-_POINT:]  # some wrap it in an octet string
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as e:
        raise MisuseError(f"{address}: expected a P-256 key") from e


def _attributes(text: str, separator: str, known: frozenset[str]) -> dict[str, str]:
    found = dict(part.partition("=")[::2] for part in text.split(separator) if part)
    if "pin-value" in found:
        raise MisuseError("pkcs11: a PIN in an address is read by many; use pin-source=file:/…")
    if strange := found.keys() - known:
        raise MisuseError(f"pkcs11: expected {', '.join(sorted(known))}, found {sorted(strange)}")
    return found
