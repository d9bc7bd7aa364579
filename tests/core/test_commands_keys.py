"""``littoral keys``."""

import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from littoral.door import main


@pytest.mark.parametrize(
    ("kind", "scheme"), [("ed25519", "ed25519"), ("p256", "ecdsa-sha2-nistp256")]
)
def test_a_key_is_made_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, scheme: str
) -> None:
    path = tmp_path / "keys" / "one.pem"
    assert main(["keys", "new", str(path), "--type", kind, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert main(["keys", "show", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["keyid"] == made["keyid"]
    assert shown["public"]["scheme"] == scheme
    assert main(["keys", "show", str(path)]) == 0
    said = capsys.readouterr().out
    assert said.split() == [made["keyid"], kind] == [shown["keyid"], shown["type"]]


def test_a_key_that_is_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "one.pem"
    assert main(["keys", "new", str(path)]) == 0
    before = path.read_bytes()
    assert main(["keys", "new", str(path)]) == 2
    assert capsys.readouterr().err.endswith("name another file [usage]\n")
    assert path.read_bytes() == before


def test_what_is_no_key_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.pem").write_text("no key")
    assert main(["keys", "show", str(tmp_path / "one.pem")]) == 2
    assert "expected a secret key in PEM" in capsys.readouterr().err
    assert main(["keys", "new", str(tmp_path / "two.pem"), "--type", "rsa"]) == 2


@pytest.mark.parametrize(
    ("held", "found"),
    [
        (b"", "found an empty file;"),
        (b"no key", "found something else;"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "found a certificate;"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n", "found a damaged private key;"),
    ],
)
def test_it_is_said_in_our_own_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], held: bytes, found: str
) -> None:
    """Nobody who mistook a file is sent to the questions of a library."""
    (tmp_path / "one.pem").write_bytes(held)
    assert main(["keys", "show", str(tmp_path / "one.pem")]) == 2
    said = capsys.readouterr().err
    assert found in said
    assert "littoral keys new" in said
    assert "cryptography" not in said


def test_a_key_under_a_password_is_none_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    secret = BestAvailableEncryption(b"secret")
    (tmp_path / "one.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    assert main(["keys", "show", str(tmp_path / "one.pem")]) == 2
    assert "under a password" in capsys.readouterr().err
