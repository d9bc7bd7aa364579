"""Keys in files: plain, under a passphrase, on a token; and what keeps them from being used."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from littoral.errors import MisuseError
from littoral.trust import keyfiles, passphrases, writer
from littoral.trust.certificates import Authority
from littoral.trust.keyfiles import load_signer, read
from littoral.trust.keys import Kind
from simulators.token import token, tokens

__all__ = ["token", "tokens"]

WORDS = "correct horse battery"


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that holds the passphrase, as a service would have it."""
    passphrases.forget()
    path = tmp_path / "words"
    path.write_text(f"{WORDS}\n")
    monkeypatch.setenv(passphrases.PASSPHRASE_FILE, str(path))
    return path


def signs(path: Path) -> bool:
    signer = load_signer(path)
    read(path).public.verify_signature(signer.sign(b"payload"), b"payload")
    return True


@pytest.mark.parametrize("kind", ["ed25519", "p256"])
@pytest.mark.usefixtures("words")
def test_a_key_under_a_passphrase_signs_as_a_plain_one(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / "one.pem"
    made = keyfiles.new(path, kind, passphrase=WORDS)
    assert (made.how, made.kind) == ("passphrase", kind)
    assert signs(path)
    plain = keyfiles.protect(path, None)
    assert (plain.how, plain.public.keyid) == ("plain", made.public.keyid)
    assert signs(path)


def test_whose_key_it_is_can_be_told_without_its_passphrase(tmp_path: Path) -> None:
    made = keyfiles.new(tmp_path / "one.pem", passphrase=WORDS)
    passphrases.forget()
    assert read(tmp_path / "one.pem") == made
    with pytest.raises(MisuseError, match=passphrases.PASSPHRASE_FILE):
        load_signer(tmp_path / "one.pem")


def test_the_wrong_passphrase_opens_nothing(tmp_path: Path, words: Path) -> None:
    keyfiles.new(tmp_path / "one.pem", passphrase=WORDS)
    words.write_text("another horse")
    with pytest.raises(MisuseError, match="does not open it"):
        load_signer(tmp_path / "one.pem")


def test_other_programs_open_it_too(tmp_path: Path, words: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    keyfiles.new(tmp_path / "one.pem", passphrase=WORDS)
    command = ["openssl", "pkey", "-in", str(tmp_path / "one.pem"), "-passin", f"file:{words}"]
    done = subprocess.run([*command, "-pubout"], check=True, capture_output=True)
    assert done.stdout == read(tmp_path / "one.pem").pem


@pytest.mark.usefixtures("words")
def test_a_public_half_that_is_not_its_own_is_found_before_it_signs(tmp_path: Path) -> None:
    keyfiles.new(tmp_path / "one.pem", passphrase=WORDS)
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = (tmp_path / "one.pem").read_bytes().partition(b"-----BEGIN PUBLIC")[0]
    (tmp_path / "one.pem").write_bytes(secret + pem)
    with pytest.raises(MisuseError, match="not its own"):
        load_signer(tmp_path / "one.pem")


def test_a_plain_key_that_others_may_read_signs_nothing(tmp_path: Path) -> None:
    keyfiles.new(tmp_path / "one.pem")
    (tmp_path / "one.pem").chmod(0o640)
    with pytest.raises(MisuseError, match="chmod 600"):
        load_signer(tmp_path / "one.pem")


@pytest.mark.usefixtures("words")
def test_a_passphrase_makes_up_for_a_medium_without_permissions(tmp_path: Path) -> None:
    """A USB stick with FAT shows every file to everybody."""
    keyfiles.new(tmp_path / "one.pem", passphrase=WORDS)
    (tmp_path / "one.pem").chmod(0o755)
    assert signs(tmp_path / "one.pem")


def test_nothing_is_ever_overwritten(tmp_path: Path, token: str) -> None:
    keyfiles.new(tmp_path / "one.pem")
    before = (tmp_path / "one.pem").read_bytes()
    for deed in (
        keyfiles.new,
        lambda path: keyfiles.new(path, passphrase=WORDS),
        lambda path: keyfiles.new_on_token(path, token),
    ):
        with pytest.raises(MisuseError, match="never overwritten"):
            deed(tmp_path / "one.pem")
    keyfiles.new_on_token(tmp_path / "two.pkcs11", token)
    with pytest.raises(MisuseError, match="never overwritten"):
        keyfiles.link(tmp_path / "one.pem", token)
    assert (tmp_path / "one.pem").read_bytes() == before


def test_where_there_is_no_secret_nothing_is_protected(tmp_path: Path, token: str) -> None:
    keyfiles.new_on_token(tmp_path / "one.pkcs11", token)
    (tmp_path / "one.pub").write_bytes(read(tmp_path / "one.pkcs11").pem)
    for name in ("one.pkcs11", "one.pub"):
        with pytest.raises(MisuseError, match="no secret"):
            keyfiles.protect(tmp_path / name, WORDS)
    with pytest.raises(MisuseError, match="found a public one"):
        load_signer(tmp_path / "one.pub")


def test_an_address_without_its_public_half_is_no_key_file(tmp_path: Path, token: str) -> None:
    (tmp_path / "one.pkcs11").write_text(token)
    with pytest.raises(MisuseError, match="keys link"):
        read(tmp_path / "one.pkcs11")


def test_a_repository_is_kept_with_protected_keys(tmp_path: Path, words: Path) -> None:
    """All that is done offline, with every offline key under a passphrase."""
    offline, online, repo = tmp_path / "offline", tmp_path / "online", tmp_path / "repo"
    writer.init(repo, offline=offline, online=online, fleet="shore")
    for path in offline.glob("*.pem"):
        keyfiles.protect(path, WORDS)
    writer.delegate(repo, "digits", offline=offline)
    writer.extend(repo, offline=offline)
    writer.rotate(repo, "time", offline=offline, online=online)
    ca = Authority.load(offline / "device-ca.pem", offline / "device-ca.crt")
    assert ca.root == ca.certificate
    words.write_text("another horse")
    passphrases.forget()
    with pytest.raises(MisuseError, match="does not open it"):
        writer.extend(repo, offline=offline)


def test_a_model_is_released_with_a_key_on_a_token(tmp_path: Path, token: str) -> None:
    """A key file of a token stands in the offline folder as any other."""
    offline, online, repo = tmp_path / "offline", tmp_path / "online", tmp_path / "repo"
    writer.init(repo, offline=offline, online=online, fleet="shore")
    keyfiles.new_on_token(offline / "digits-1.pkcs11", token)
    writer.delegate(repo, "digits", offline=offline)
    writer.raise_floor(repo, "digits", floor=3, offline=offline, force=True)
    writer.renew(repo, online=online)
    rows = {row.role: row for row in writer.verify(repo, now=datetime.now(UTC))}
    assert rows["digits"].keyids == (read(offline / "digits-1.pkcs11").public.keyid,)
    assert not (offline / "digits-1.pem").exists()
