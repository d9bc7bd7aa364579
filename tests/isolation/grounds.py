"""A broker to attack, and certificates for everybody: honest, outdated, stolen and forged.

The console's own code makes the authorities, the certificates, the revocation lists and the
broker's configuration; only what no console would issue is signed here by hand. For a broker
that runs elsewhere, with a server certificate for its name:

    PYTHONPATH=tests .venv/bin/python -m isolation.grounds FOLDER --host broker.example
    # … give it what is in FOLDER/broker, then
    export LITTORAL_BROKER=mqtts://broker.example:8883 LITTORAL_BROKER_GROUNDS=FOLDER
    .venv/bin/python -m pytest tests/isolation/test_isolation.py
"""

import argparse
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from littoral.trust import certificates, writer
from littoral.trust.certificates import Authority
from littoral.trust.identity import load_pem
from littoral.trust.keys import new_device_key
from littoral_console import broker as brokers
from littoral_console import tls as console_tls
from littoral_console.broker import Broker
from littoral_console.revocation import Ended
from littoral_console.tls import Tls

FLEET: Final = "shore"
NOW: Final = datetime.now(UTC)
CONSOLES: Final = ("console.a", "console.b")
GIVERS: Final = ("console.a-blocks", "console.b-blocks")  # their other names: files go over these
# Names that are the beginning of others, of topics, of wildcards' neighbours and of consoles.
DEVICES: Final = (
    *("pi", "pi-1", "pi-10", "pi-100", "p", "-", "0", "a", "a-a", "x" * 64),
    *("console", "consolea", "console-a", "up", "down", "status", "littoral", "devices"),
    *("sys", "share"),
)
SUPERSEDED: Final = "pi-1.before"  # pi-1's certificate of its first incarnation
REVOKED: Final = "revoked"
DENIED: Final = "denied"  # revoked, and its certificate forgotten on the list
IMPOSTORS: Final = (
    *(SUPERSEDED, REVOKED, "server", "foreign", "foreign-console", "self-made", "by-a-device"),
    *("expired", "stolen.console.a", "stolen.console.b", "stolen.with-names", "stolen.two-names"),
)


@dataclass(frozen=True)
class Grounds:
    """The files, below ``folder``."""

    folder: Path
    host: str = "127.0.0.1"

    @property
    def clients(self) -> Path:
        return self.folder / "clients"

    @cached_property
    def tls(self) -> Tls:
        return console_tls.prepare(self.folder / "tls", names=(self.host,), now=NOW)

    @cached_property
    def device_ca(self) -> Authority:
        online = self.folder / "online"
        return Authority.load(online / "device-ca.pem", online / "device-ca.crt")

    def make(self) -> None:
        """Make all of it, once."""
        self.clients.mkdir(parents=True)
        writer.init(
            self.folder / "repo",
            offline=self.folder / "offline",
            online=self.folder / "online",
            fleet=FLEET,
        )
        for name in DEVICES:
            self.enrol(name, incarnation=2)
        for name, device in ((SUPERSEDED, "pi-1"), (REVOKED, REVOKED), (DENIED, DENIED)):
            self.enrol(device, incarnation=1, into=name)
        for name in (*CONSOLES, *GIVERS):
            key, certificate = self.clients / f"{name}.key", self.clients / f"{name}.crt"
            certificates.issue_client(
                name, ca=self.tls.authority(), key=key, certificate=certificate, now=NOW
            )
        _forge_all(self)

    def enrol(self, device: str, *, incarnation: int, into: str = "") -> None:
        """Issue a device's certificate as the console does."""
        folder = self.folder / "devices" / (into or device)
        folder.mkdir(parents=True)
        csr = new_device_key(folder, device)
        chain = certificates.issue_device(
            csr, fleet=FLEET, device=device, incarnation=incarnation, ca=self.device_ca, now=NOW
        )
        (self.clients / f"{into or device}.crt").write_text(chain)
        (folder / "device.key").rename(self.clients / f"{into or device}.key")

    def serial(self, name: str) -> int:
        return load_pem((self.clients / f"{name}.crt").read_text(), name)[0].serial_number

    @property
    def ended(self) -> Ended:
        return Ended(
            devices=frozenset({REVOKED, DENIED}),
            certificates=(self.serial(SUPERSEDED), self.serial(REVOKED)),
        )

    def broker(self, *, port: int = 0) -> Broker:
        """Return Mosquitto as the console starts it."""
        return Broker(
            folder=self.folder / "broker",
            tls=self.tls,
            device_ca=self.device_ca,
            host=self.host,
            program=brokers.program() or "mosquitto",
            port=port,
            ended=self.ended,
        )

    def context(self, name: str | None) -> ssl.SSLContext:
        """Return how the client ``name`` connects; None: without a certificate."""
        return _context(self, name)


@cache
def _context(grounds: Grounds, name: str | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(grounds.tls.ca))
    if name is not None:
        made.load_cert_chain(grounds.clients / f"{name}.crt", grounds.clients / f"{name}.key")
    return made


def _forge_all(grounds: Grounds) -> None:
    """Write the certificates of those who must not be let in."""
    folder, stolen = grounds.clients, grounds.device_ca
    certificate, key = grounds.tls.server
    (folder / "server.crt").write_bytes(certificate.read_bytes())
    (folder / "server.key").write_bytes(key.read_bytes())
    foreign = certificates.new_ca(
        grounds.folder / "foreign.key", grounds.folder / "foreign.crt", name="device CA", now=NOW
    )
    leaf = load_pem((folder / "pi-1.crt").read_text(), "pi-1")
    secret = load_pem_private_key((folder / "pi-1.key").read_bytes(), None)
    assert isinstance(secret, ec.EllipticCurvePrivateKey)
    by_device = Authority(secret, leaf)
    forge(folder, "foreign", ("pi-1",), by=foreign)
    forge(folder, "foreign-console", ("console.a",), by=foreign)
    forge(folder, "self-made", ("pi-1",), by=None)
    forge(folder, "by-a-device", ("pi-10",), by=by_device)
    forge(folder, "expired", ("pi-10",), by=stolen, ended=True)
    forge(folder, "stolen.console.a", ("console.a",), by=stolen)
    forge(folder, "stolen.console.b", ("console.b",), by=stolen)
    forge(folder, "stolen.with-names", ("console.a",), by=stolen, san="thief.example")
    forge(folder, "stolen.two-names", ("console.a", "pi-1"), by=stolen)


def forge(
    folder: Path,
    name: str,
    common: Sequence[str],
    *,
    by: Authority | None,
    ended: bool = False,
    san: str = "",
) -> None:
    """Sign by hand what the console's code would not."""
    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, word) for word in common])
    begins, ends = NOW - timedelta(days=2), NOW + timedelta(days=-1 if ended else 365)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.certificate.subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    if san:
        names = x509.SubjectAlternativeName([x509.RFC822Name(f"thief@{san}")])
        builder = builder.add_extension(names, critical=False)
    signed = builder.sign(secret if by is None else by.key, SHA256())
    chain = (signed, *(() if by is None else by.chain))
    pem = b"".join(one.public_bytes(Encoding.PEM) for one in chain)
    (folder / f"{name}.crt").write_bytes(pem)
    (folder / f"{name}.key").write_bytes(
        secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="where to make it; must not exist")
    parser.add_argument("--host", default="127.0.0.1", help="the broker's name or address")
    parser.add_argument("--port", type=int, default=8883)
    told = parser.parse_args()
    grounds = Grounds(told.folder.absolute(), told.host)
    grounds.make()
    broker = grounds.broker(port=told.port)
    broker.folder.mkdir()
    broker._write()


if __name__ == "__main__":
    main()
