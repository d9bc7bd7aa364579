"""The console's own certificate authority, and what it issues to itself.

It names this server, and the console as a client of the broker. It has nothing to do with
the device CA: who steals it can pretend to be a console, not a publisher. Replicas share the
authority, and each has a name of its own: two of one name would take each other's session.
"""

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from littoral import durable
from littoral.errors import MisuseError
from littoral.trust import certificates
from littoral.trust.identity import digest
from littoral_console.options import REPLICAS

_ALWAYS: Final = ("localhost", "127.0.0.1", "::1")
_RENEW_BEFORE: Final = timedelta(days=180)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files in DATA/tls, made by ``prepare``."""

    folder: Path
    names: tuple[str, ...]  # that the server's certificate is for
    ca_sha256: str
    replica: str = REPLICAS[0]

    @property
    def name(self) -> str:
        """Return what this console is called on a broker."""
        return console_name(self.replica)

    @property
    def ca(self) -> Path:
        return self.folder / "console-ca.crt"

    def authority(self) -> certificates.Authority:
        """Return what issues; its key stays here."""
        return certificates.Authority.load(self.folder / "console-ca.key", self.ca)

    @property
    def server(self) -> tuple[Path, Path]:
        """Return the server's certificates and its key."""
        return self.folder / "server.crt", self.folder / "server.key"

    @property
    def client(self) -> tuple[Path, Path]:
        """Return the certificates and the key of the console as a client of the broker."""
        return self._pair(self.name)

    @property
    def blocks(self) -> tuple[Path, Path]:
        """Return the same of its other connection there, over which files go."""
        return self._pair(blocks_name(self.replica))

    def _pair(self, name: str) -> tuple[Path, Path]:
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"


def console_name(replica: str) -> str:
    """Return the name that no device can have, for its dot."""
    return f"console.{replica}"


def blocks_name(replica: str) -> str:
    """Return the name of the connection over which a console answers what devices ask for."""
    return f"console.{replica}-blocks"


def prepare(
    folder: Path, *, names: Iterable[str], now: datetime, replica: str = REPLICAS[0]
) -> Tls:
    """Make what is missing in ``folder``, and anew what is for other names or soon over."""
    durable.make_folder(folder, mode=0o700)
    wanted = tuple(dict.fromkeys((*_ALWAYS, socket.gethostname(), *names)))
    ca = certificates.new_ca(
        folder / "console-ca.key", folder / "console-ca.crt", name="littoral console CA", now=now
    )
    tls = Tls(folder=folder, names=wanted, ca_sha256=digest(ca.root), replica=replica)
    certificate, key = tls.server
    if not _covers(certificate, wanted, now=now):
        try:
            certificates.issue_server(wanted, ca=ca, key=key, certificate=certificate, now=now)
        except ValueError as e:
            raise MisuseError(f"--name: {e}") from e
    for name, (certificate, key) in (
        (tls.name, tls.client),
        (blocks_name(replica), tls.blocks),
    ):
        if not _covers(certificate, (), now=now):
            certificates.issue_client(name, ca=ca, key=key, certificate=certificate, now=now)
    return tls


def _covers(certificate: Path, names: Iterable[str], *, now: datetime) -> bool:
    if not certificate.exists():
        return False
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    if now + _RENEW_BEFORE >= found.not_valid_after_utc:
        return False
    return not names or set(names) <= _names(found)


def _names(certificate: x509.Certificate) -> set[str]:
    value = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = value.get_values_for_type(x509.DNSName)
    return {*hosts, *(str(ip) for ip in value.get_values_for_type(x509.IPAddress))}


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
