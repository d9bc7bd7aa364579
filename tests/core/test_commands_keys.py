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
from littoral.trust import passphrases
from simulators.token import token, tokens

__all__ = ["token", "tokens"]


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> None:
    passphrases.forget()


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
    assert said == f"{made['keyid']}  {kind}, in the file\n"
    assert (made["keyid"], kind) == (shown["keyid"], shown["type"])


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


def test_a_key_under_a_passphrase_of_another_program_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    secret = BestAvailableEncryption(b"secret")
    path = tmp_path / "one.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    assert main(["keys", "show", str(path)]) == 2
    assert "LITTORAL_PASSPHRASE_FILE" in capsys.readouterr().err
    (tmp_path / "words").write_text("wrong\n")
    monkeypatch.setenv("LITTORAL_PASSPHRASE_FILE", str(tmp_path / "words"))
    assert main(["keys", "show", str(path)]) == 2
    assert "does not open it" in capsys.readouterr().err
    (tmp_path / "words").write_text("secret\n")
    assert main(["keys", "show", str(path)]) == 0
    assert "under a passphrase" in capsys.readouterr().out


def test_a_key_is_put_under_a_passphrase_and_out_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.pem"
    (tmp_path / "words").write_text("correct horse battery\n")
    monkeypatch.setenv("LITTORAL_PASSPHRASE_FILE", str(tmp_path / "words"))
    assert main(["keys", "new", str(path), "--passphrase", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["how"] == "passphrase"
    assert b"ENCRYPTED" in path.read_bytes()
    assert main(["keys", "protect", str(path), "--none", "--json"]) == 0
    (plain,) = json.loads(capsys.readouterr().out)["keys"]
    assert (plain["how"], plain["keyid"]) == ("plain", made["keyid"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert main(["keys", "protect", str(path)]) == 0
    assert "under a passphrase" in capsys.readouterr().out


def test_a_short_passphrase_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.pem"
    main(["keys", "new", str(path)])
    before = path.read_bytes()
    (tmp_path / "words").write_text("hunter2\n")
    monkeypatch.setenv("LITTORAL_PASSPHRASE_FILE", str(tmp_path / "words"))
    assert main(["keys", "protect", str(path)]) == 2
    assert "12 letters or more" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_the_public_half_is_handed_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, handed = tmp_path / "one.pem", tmp_path / "one.pub"
    main(["keys", "new", str(path), "--json"])
    keyid = json.loads(capsys.readouterr().out)["keyid"]
    assert main(["keys", "public", str(path)]) == 0
    pem = capsys.readouterr().out
    assert main(["keys", "public", str(path), "--to", str(handed)]) == 0
    capsys.readouterr()
    assert handed.read_text() == pem
    assert b"PRIVATE" not in handed.read_bytes()
    assert main(["keys", "show", str(handed), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["keyid"], shown["how"]) == (keyid, "public")


def test_a_key_on_a_token_is_made_linked_and_shown(
    token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, linked = tmp_path / "anna.pkcs11", tmp_path / "again.pkcs11"
    assert main(["keys", "new", str(made), "--token", token]) == 0
    assert main(["keys", "link", str(linked), token]) == 0
    assert linked.read_bytes() == made.read_bytes()
    capsys.readouterr()
    assert main(["keys", "show", str(linked)]) == 0
    assert "p256, on a token" in capsys.readouterr().out
