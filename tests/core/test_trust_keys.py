"""Keys in files, and the small signatures of the wire."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from littoral.errors import MisuseError, SignatureError
from littoral.trust.keyfiles import load_signer
from littoral.trust.keys import (
    check_session,
    check_time,
    load_private,
    new_device_key,
    new_key,
    p256_of,
    sign_session,
    sign_time,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("kind", "scheme"), [("ed25519", "ed25519"), ("p256", "ecdsa-sha2-nistp256")]
)
def test_a_key_signs_and_is_secret(tmp_path: Path, kind: str, scheme: str) -> None:
    path = tmp_path / "keys" / "one.pem"
    new_key(path, kind)  # type: ignore[arg-type]
    signer = load_signer(path)
    assert signer.public_key.scheme == scheme
    signer.public_key.verify_signature(signer.sign(b"words"), b"words")
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert [p.name for p in path.parent.iterdir()] == ["one.pem"]


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    new_key(tmp_path / "one.pem")
    before = (tmp_path / "one.pem").read_bytes()
    with pytest.raises(MisuseError, match="never overwritten"):
        new_key(tmp_path / "one.pem")
    assert (tmp_path / "one.pem").read_bytes() == before


def test_what_is_no_key_of_ours_is_named(tmp_path: Path) -> None:
    path = tmp_path / "one.pem"
    with pytest.raises(MisuseError, match="no such key"):
        load_signer(path)
    path.write_text("-----BEGIN PRIVATE KEY-----\n")
    with pytest.raises(MisuseError, match="expected a secret key"):
        load_signer(path)
    foreign = rsa.generate_private_key(65537, 2048)
    for other in (foreign, ec.generate_private_key(ec.SECP384R1())):
        pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(pem)
        with pytest.raises(MisuseError, match="Ed25519 or P-256"):
            load_private(path)


def test_a_device_asks_for_a_name_with_the_key_that_it_made(tmp_path: Path) -> None:
    first = x509.load_pem_x509_csr(new_device_key(tmp_path / "identity", "pi-1").encode())
    again = x509.load_pem_x509_csr(new_device_key(tmp_path / "identity", "pi-2").encode())
    assert first.is_signature_valid
    assert first.subject.rfc4514_string() == "CN=pi-1"
    assert first.public_key() == again.public_key()
    assert mode(tmp_path / "identity" / "device.key") == 0o600
    with pytest.raises(ValueError, match="device"):
        new_device_key(tmp_path / "identity", "../pi-1")


def test_a_session_is_proved_for_one_nonce_by_one_key(tmp_path: Path) -> None:
    new_device_key(tmp_path, "pi-1")
    new_key(tmp_path / "other.key", "p256")
    certificate = _certificate(p256_of(load_private(tmp_path / "device.key")))
    proof = sign_session(tmp_path / "device.key", "abc")
    check_session("abc", proof, certificate=certificate)
    for nonce, bad in (
        ("abd", proof),
        ("abc", sign_session(tmp_path / "other.key", "abc")),
        ("abc", "no base64!"),
        ("abc", ""),
    ):
        with pytest.raises(SignatureError):
            check_session(nonce, bad, certificate=certificate)


def test_an_ed25519_key_is_no_device_s(tmp_path: Path) -> None:
    new_key(tmp_path / "one.pem")
    with pytest.raises(MisuseError, match="P-256"):
        sign_session(tmp_path / "one.pem", "abc")


def test_a_signed_time_is_a_plain_record(tmp_path: Path) -> None:
    new_key(tmp_path / "time.pem")
    signer = load_signer(tmp_path / "time.pem")
    keys = {signer.public_key.keyid: signer.public_key}
    answer = sign_time(signer, "ab", utc_ms=1_800_000_000_000)
    assert check_time(answer, "ab", keys=keys).isoformat() == "2027-01-15T08:00:00+00:00"
    with pytest.raises(SignatureError):
        check_time(sign_time(signer, "ab", utc_ms=10**18), "ab", keys=keys)


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
