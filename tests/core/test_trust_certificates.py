"""What the two authorities issue, checked by our own rules and by OpenSSL in real handshakes."""

import contextlib
import socket
import ssl
import stat
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from littoral.errors import ExpiredError, MalformedError, MisuseError, SignatureError
from littoral.trust.certificates import (
    Authority,
    issue_client,
    issue_device,
    issue_server,
    new_ca,
    new_intermediate,
)
from littoral.trust.identity import check_device, digest
from littoral.trust.keys import load_private, new_device_key, p256_of

NOW = datetime.now(UTC)


class Authorities:
    """A device CA with its intermediate, a console CA, and a device that has asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.offline = new_ca(
            folder / "r.pem", folder / "r.crt", name="device CA", now=NOW, for_devices=True
        )
        self.online = new_intermediate(
            folder / "i.pem", folder / "i.crt", ca=self.offline, name="online", now=NOW
        )
        self.console = new_ca(folder / "c.pem", folder / "c.crt", name="console CA", now=NOW)
        self.csr = new_device_key(folder / "identity", "pi-1")

    def device(self, *, name: str = "pi-1", incarnation: int = 1) -> str:
        return issue_device(
            self.csr,
            fleet="shore",
            device=name,
            incarnation=incarnation,
            ca=self.online,
            now=NOW,
        )


@pytest.fixture
def authorities(tmp_path: Path) -> Authorities:
    return Authorities(tmp_path)


def test_a_device_is_who_its_certificate_says(authorities: Authorities) -> None:
    found = check_device(authorities.device(incarnation=4), root=authorities.offline.root, now=NOW)
    assert (found.device, found.fleet, found.incarnation) == ("pi-1", "shore", 4)
    assert found.certificate.not_valid_after_utc - NOW > timedelta(days=3649)


def test_what_a_request_says_of_itself_is_not_copied(authorities: Authorities) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "console.a")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    request = request.add_extension(x509.BasicConstraints(ca=True, path_length=9), critical=True)
    authorities.csr = request.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()
    found = check_device(authorities.device(), root=authorities.offline.root, now=NOW)
    assert found.device == "pi-1"


@pytest.mark.parametrize("name", ["", "console.a", "a/b", "+", "#", "A", "a" * 65, "a\n"])
def test_a_name_that_is_no_device_s_is_never_issued(authorities: Authorities, name: str) -> None:
    with pytest.raises(ValueError, match="device"):
        authorities.device(name=name)


def test_a_request_is_for_a_p256_key_and_signed_by_it(authorities: Authorities) -> None:
    other = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    ed = other.sign(ed25519.Ed25519PrivateKey.generate(), None).public_bytes(Encoding.PEM)
    p384 = other.sign(ec.generate_private_key(ec.SECP384R1()), SHA256()).public_bytes(Encoding.PEM)
    broken = x509.load_pem_x509_csr(authorities.csr.encode()).public_bytes(Encoding.DER)
    broken = broken[:-1] + bytes([broken[-1] ^ 1])
    forged = ssl.DER_cert_to_PEM_cert(broken).replace("CERTIFICATE", "CERTIFICATE REQUEST")
    for csr in (ed.decode(), p384.decode(), "", "x" * 40_000, forged):
        authorities.csr = csr
        with pytest.raises(MalformedError):
            authorities.device()


def test_a_chain_from_elsewhere_is_refused(authorities: Authorities, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authorities(tmp_path / "other")
    with pytest.raises(SignatureError):
        check_device(other.device(), root=authorities.offline.root, now=NOW)
    leaf_only = authorities.device().split("-----END CERTIFICATE-----\n")[0]
    with pytest.raises(SignatureError):
        check_device(
            f"{leaf_only}-----END CERTIFICATE-----\n", root=authorities.offline.root, now=NOW
        )


@pytest.mark.parametrize("issuer", ["online", "offline"])
def test_a_device_may_not_issue(authorities: Authorities, issuer: str) -> None:
    """A leaf's key signs a certificate of another name, and sends its own as intermediate."""
    authorities.online = getattr(authorities, issuer)
    stolen = p256_of(load_private(authorities.folder / "identity" / "device.key"))
    chain = tuple(x509.load_pem_x509_certificates(authorities.device().encode()))
    forged = issue_device(
        authorities.csr,
        fleet="shore",
        device="pi-2",
        incarnation=1,
        ca=Authority(stolen, (*chain, authorities.offline.root)),
        now=NOW,
    )
    with pytest.raises(SignatureError, match="may not issue"):
        check_device(forged, root=authorities.offline.root, now=NOW)


@pytest.mark.parametrize(
    ("usage", "ca"),
    [
        ([ExtendedKeyUsageOID.SERVER_AUTH], False),
        ([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH], False),
        ([ExtendedKeyUsageOID.CLIENT_AUTH], True),
    ],
)
def test_a_certificate_for_more_than_a_client_is_no_device_s(
    authorities: Authorities, usage: list[x509.ObjectIdentifier], *, ca: bool
) -> None:
    leaf = x509.load_pem_x509_certificates(authorities.device().encode())[0]
    constraints = x509.BasicConstraints(ca=ca, path_length=None)
    other = (
        x509.CertificateBuilder()
        .subject_name(leaf.subject)
        .issuer_name(leaf.issuer)
        .public_key(leaf.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(constraints, critical=True)
        .sign(authorities.online.key, SHA256())
    )
    chain = (other, authorities.online.certificate)
    pem = "".join(each.public_bytes(Encoding.PEM).decode() for each in chain)
    with pytest.raises(SignatureError, match="client alone"):
        check_device(pem, root=authorities.offline.root, now=NOW)


def test_an_intermediate_may_not_make_another(authorities: Authorities, tmp_path: Path) -> None:
    below = new_intermediate(
        tmp_path / "b.pem", tmp_path / "b.crt", ca=authorities.online, name="below", now=NOW
    )
    chain = issue_device(
        authorities.csr, fleet="shore", device="pi-1", incarnation=1, ca=below, now=NOW
    )
    with pytest.raises(SignatureError, match="may not issue"):
        check_device(chain, root=authorities.offline.root, now=NOW)


def test_a_console_is_no_device(authorities: Authorities, tmp_path: Path) -> None:
    issue_client(
        "console.a",
        ca=authorities.online,
        key=tmp_path / "a.key",
        certificate=tmp_path / "a.crt",
        now=NOW,
    )
    with pytest.raises(SignatureError, match="not a device's"):
        check_device((tmp_path / "a.crt").read_text(), root=authorities.offline.root, now=NOW)
    with pytest.raises(ValueError, match="console"):
        issue_client("pi-1", ca=authorities.console, key=tmp_path, certificate=tmp_path, now=NOW)


def test_a_certificate_expires_by_the_time_that_is_given(authorities: Authorities) -> None:
    chain, root = authorities.device(), authorities.offline.root
    with pytest.raises(ExpiredError):
        check_device(chain, root=root, now=NOW + timedelta(days=3651))
    check_device(chain, root=root, now=datetime(1970, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("pem", ["", "nonsense", "x" * 40_000])
def test_what_is_no_certificate_is_malformed(authorities: Authorities, pem: str) -> None:
    with pytest.raises(MalformedError):
        check_device(pem, root=authorities.offline.root, now=NOW)


def test_making_an_authority_twice_makes_one(authorities: Authorities) -> None:
    again = Authorities(authorities.folder)
    assert digest(again.offline.root) == digest(authorities.offline.root)
    assert again.online.chain == authorities.online.chain
    assert len(again.online.chain) == 2
    assert stat.S_IMODE((authorities.folder / "r.pem").stat().st_mode) == 0o600


def test_a_key_and_a_certificate_that_do_not_belong_together_are_named(
    authorities: Authorities,
) -> None:
    folder = authorities.folder
    with pytest.raises(MisuseError, match="not the key"):
        Authority.load(folder / "r.pem", folder / "c.crt")
    with pytest.raises(MisuseError, match="certificates"):
        Authority.load(folder / "r.pem", folder / "none.crt")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_device_and_a_console_meet_over_tls(authorities: Authorities, name: str) -> None:
    """OpenSSL believes both chains; the device sends its intermediate, the server its own."""
    folder = authorities.folder
    issue_server(
        ["localhost", "127.0.0.1", "::1"],
        ca=authorities.console,
        key=folder / "server.key",
        certificate=folder / "server.crt",
        now=NOW,
    )
    (folder / "identity" / "device.crt").write_text(authorities.device())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.crt", folder / "server.key")
    server.load_verify_locations(folder / "r.crt")
    server.verify_mode = ssl.CERT_REQUIRED
    server.verify_flags |= ssl.VERIFY_X509_STRICT
    device = ssl.create_default_context(cafile=folder / "c.crt")
    device.verify_flags |= ssl.VERIFY_X509_STRICT
    device.load_cert_chain(folder / "identity" / "device.crt", folder / "identity" / "device.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard: list[Mapping[str, object]] = []

        def serve() -> None:
            plain, _ = listener.accept()
            with server.wrap_socket(plain, server_side=True) as tls:
                heard.append(tls.getpeercert() or {})
                tls.sendall(b"hello")

        thread = threading.Thread(target=serve)
        thread.start()
        with (
            socket.create_connection(listener.getsockname(), timeout=5) as plain,
            device.wrap_socket(plain, server_hostname=name) as tls,
        ):
            assert tls.recv(5) == b"hello"
        thread.join()
    assert (("commonName", "pi-1"),) in heard[0]["subject"]  # type: ignore[operator]


def test_a_device_s_certificate_serves_nobody(authorities: Authorities) -> None:
    leaf = x509.load_pem_x509_certificates(authorities.device().encode())[0]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_who_steals_the_devices_authority_is_believed_to_be_no_console(
    authorities: Authorities,
) -> None:
    """A broker trusts both authorities: only the certificates can tell it who may name whom."""
    folder = authorities.folder
    for ca, name in ((authorities.online, "stolen"), (authorities.console, "true")):
        issue_client(
            "console.a",
            ca=ca,
            key=folder / f"{name}.key",
            certificate=folder / f"{name}.crt",
            now=NOW,
        )
    issue_server(
        ["localhost"],
        ca=authorities.console,
        key=folder / "server.key",
        certificate=folder / "server.crt",
        now=NOW,
    )
    _meet(folder, "true")
    with pytest.raises(ssl.SSLError, match="excluded subtree"):
        _meet(folder, "stolen")


def _meet(folder: Path, client: str) -> None:
    """Let a server that believes both authorities meet a client, in memory."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "server.crt", folder / "server.key")
    for ca in ("r.crt", "c.crt"):
        serving.load_verify_locations(folder / ca)
    serving.verify_mode = ssl.CERT_REQUIRED
    asking = ssl.create_default_context(cafile=folder / "c.crt")
    asking.load_cert_chain(folder / f"{client}.crt", folder / f"{client}.key")
    to, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        asking.wrap_bio(back, to, server_hostname="localhost"),
        serving.wrap_bio(to, back, server_side=True),
    )
    for _ in range(3):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
