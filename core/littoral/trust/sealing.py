"""A secret key under a passphrase, as any program with PKCS 8 reads it (RFC 8018, RFC 7914).

The library writes such files with 2,048 rounds of PBKDF2, a quarter of a millisecond a guess. So
the envelope is written here, with scrypt: a tenth of a second and 16 MiB a guess. The library
and openssl read it.
"""

import base64
import os
import textwrap
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7

_N: Final = 2**14  # 16 MiB: openssl reads no more than 32
_R: Final = 8
_P: Final = 5
_PBES2: Final = bytes.fromhex("06092a864886f70d01050d")
_SCRYPT: Final = bytes.fromhex("06092b06010401da47040b")
_AES_256_CBC: Final = bytes.fromhex("060960864801650304012a")
_SEQUENCE: Final = 0x30
_OCTETS: Final = 0x04
_INTEGER: Final = 0x02


def seal(der: bytes, passphrase: str) -> bytes:
    """Return the key ``der`` (PKCS 8, DER) as PEM that only ``passphrase`` opens."""
    salt, iv = os.urandom(16), os.urandom(16)
    secret = Scrypt(salt=salt, length=32, n=_N, r=_R, p=_P).derive(passphrase.encode())
    padder = PKCS7(128).padder()
    padded = padder.update(der) + padder.finalize()
    encryptor = Cipher(algorithms.AES256(secret), modes.CBC(iv)).encryptor()
    sealed = encryptor.update(padded) + encryptor.finalize()
    derivation = _sequence(_SCRYPT, _sequence(_octets(salt), *map(_integer, (_N, _R, _P))))
    encryption = _sequence(_AES_256_CBC, _octets(iv))
    algorithm = _sequence(_PBES2, _sequence(derivation, encryption))
    text = base64.b64encode(_sequence(algorithm, _octets(sealed))).decode()
    name = "ENCRYPTED PRIVATE KEY"
    lines = (f"-----BEGIN {name}-----", *textwrap.wrap(text, 64), f"-----END {name}-----", "")
    return "\n".join(lines).encode()


def _sequence(*parts: bytes) -> bytes:
    return _tagged(_SEQUENCE, b"".join(parts))


def _octets(value: bytes) -> bytes:
    return _tagged(_OCTETS, value)


def _integer(value: int) -> bytes:
    return _tagged(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _tagged(tag: int, value: bytes) -> bytes:
    short = 0x80
    size = len(value).to_bytes((len(value).bit_length() + 7) // 8 or 1, "big")
    length = size if len(value) < short else bytes((short | len(size),)) + size
    return bytes((tag,)) + length + value
