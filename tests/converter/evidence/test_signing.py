"""The signature of a bundle, judged by the verifier that OpenSSF publishes."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from converter.conftest import Converted, Littoral
from littoral import durable
from littoral.bundle.manifest import Manifest
from littoral.errors import HashError, MisuseError, StorageError
from littoral.trust import keyfiles
from littoral.trust.keys import load_private
from littoral_converter import bundle as writing
from littoral_converter.evidence import signing
from patience import patient


@pytest.fixture
def bundle(digits: Converted, tmp_path: Path) -> Path:
    return Path(shutil.copytree(digits.bundle, tmp_path / "digits-1"))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    made = keyfiles.new(tmp_path / "models.pem", "p256")
    (tmp_path / "models.pub").write_bytes(made.pem)
    return made.path


def verified(bundle: Path, way: str, *more: object) -> tuple[bool, str]:
    """What the public verifier says, with nothing told to it but whom to believe."""
    command = [sys.executable, "-m", "model_signing", "verify", way, bundle]
    command += ["--signature", bundle / "model.sig", *more]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=patient(120), check=False
    )
    return done.returncode == 0, done.stdout + done.stderr


def test_the_public_verifier_believes_it_until_a_file_changes(
    bundle: Path, key: Path, littoral: Littoral, tmp_path: Path
) -> None:
    said = littoral("sign", bundle, "--key", key, "--json").json
    public = ("--public_key", tmp_path / "models.pub")
    good, words = verified(bundle, "key", *public)
    assert good, words
    assert said["files"] == len(list(bundle.iterdir())) - 2
    with (bundle / "golden-outputs.bin").open("r+b") as file:
        file.write(b"\x01\x02\x03")
    good, words = verified(bundle, "key", *public)
    assert not good
    assert "golden-outputs.bin" in words


def test_a_strangers_key_is_not_believed(bundle: Path, key: Path, tmp_path: Path) -> None:
    signing.sign(bundle, key)
    other = keyfiles.new(tmp_path / "other.pem", "p256")
    (tmp_path / "other.pub").write_bytes(other.pem)
    good, _ = verified(bundle, "key", "--public_key", tmp_path / "other.pub")
    assert not good


def test_the_public_verifier_takes_it_by_a_certificate(
    bundle: Path, key: Path, tmp_path: Path
) -> None:
    authority = ec.generate_private_key(ec.SECP256R1())
    secret = load_private(key)
    now = datetime.now(UTC)

    def certificate(name: str, public: object, *, ca: bool) -> x509.Certificate:
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "encipher_only", "decipher_only"), False,
        )  # fmt: skip
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "models ca")]))
            .public_key(public)  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=True, key_cert_sign=ca, crl_sign=ca, **usage),
                critical=True,
            )
            .sign(authority, SHA256())
        )

    root = certificate("models ca", authority.public_key(), ca=True)
    own = certificate("models", secret.public_key(), ca=False)
    (tmp_path / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (tmp_path / "own.pem").write_bytes(own.public_bytes(Encoding.PEM))
    signing.sign(bundle, key, certificate=tmp_path / "own.pem")
    chain = ("--certificate_chain", tmp_path / "root.pem")
    good, words = verified(bundle, "certificate", *chain)
    assert good, words
    with pytest.raises(MisuseError, match="not that of the key"):
        signing.sign(bundle, key, certificate=tmp_path / "root.pem")


def test_the_manifest_names_the_signature_and_a_second_one_replaces_it(
    bundle: Path, key: Path
) -> None:
    for _ in range(2):
        signing.sign(bundle, key)
        found = Manifest.from_json((bundle / "manifest.json").read_bytes())
        assert found.signature == "model.sig"
        assert found.files["model.sig"].size == (bundle / "model.sig").stat().st_size
    payload = json.loads((bundle / "model.sig").read_text())
    assert payload["mediaType"] == signing.MEDIA_TYPE


def test_what_is_not_as_the_manifest_says_is_not_signed(bundle: Path, key: Path) -> None:
    extra = bundle / "notes.txt"
    extra.write_text("mine")
    with pytest.raises(MisuseError, match="not in the manifest"):
        signing.sign(bundle, key)
    extra.unlink()
    with (bundle / "model-int8.tflite").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(HashError, match="model-int8"):
        signing.sign(bundle, key)
    assert not (bundle / "model.sig").exists()


def test_what_was_exported_for_others_is_signed_with_the_rest(
    bundle: Path, key: Path, tmp_path: Path
) -> None:
    """Those who take it have no manifest that devices believe: it is for them that this is."""
    page = bundle / "browser" / "index.html"
    page.parent.mkdir()
    page.write_text("<p>a page</p>")
    report = json.loads((bundle / "report.json").read_text())
    digest = hashlib.sha256(page.read_bytes()).hexdigest()
    file = {"path": "browser/index.html", "bytes": 13, "sha256": digest}
    report["exports"] = [{"target": "browser", "use": "open it", "files": [file], "notes": []}]
    held = Manifest.from_json((bundle / "manifest.json").read_bytes())
    added = writing.add(bundle, {"report.json": json.dumps(report).encode()})
    writing.seal(bundle, dataclasses.replace(held, files=held.files | added))
    signing.sign(bundle, key)
    public = ("--public_key", tmp_path / "models.pub")
    assert verified(bundle, "key", *public)[0]
    page.write_text("<p>another</p>")
    good, words = verified(bundle, "key", *public)
    assert (good, "browser/index.html" in words) == (False, True)
    with pytest.raises(HashError, match=r"index\.html"):
        signing.sign(bundle, key)


def test_a_key_that_no_verifier_takes_is_refused_with_the_way_out(
    bundle: Path, tmp_path: Path
) -> None:
    key = keyfiles.new(tmp_path / "ed.pem").path
    with pytest.raises(MisuseError, match="--type p256"):
        signing.sign(bundle, key)


def test_power_may_be_cut_between_the_two_writes(
    bundle: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing.sign(bundle, key)
    plain, writes = durable.replace, []

    def cut(path: Path, data: bytes, **more: int) -> None:
        writes.append(path)
        if path.name == "manifest.json":
            raise StorageError("the power went")
        plain(path, data, **more)

    monkeypatch.setattr("littoral_converter.bundle.replace", cut)
    with pytest.raises(StorageError):
        signing.sign(bundle, key)
    monkeypatch.undo()
    assert [path.name for path in writes] == ["model.sig", "manifest.json"]
    signing.sign(bundle, key)
    found = Manifest.from_json((bundle / "manifest.json").read_bytes())
    assert found.files["model.sig"].size == (bundle / "model.sig").stat().st_size
