"""The console's certificates: made once, made anew when they must be."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from littoral_console.tls import is_loopback, prepare

NOW = datetime.now(UTC)


def test_certificates_are_made_once_and_stay(tmp_path: Path) -> None:
    first = prepare(tmp_path, names=("fleet.example",), now=NOW)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    second = prepare(tmp_path, names=("fleet.example",), now=NOW)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert second.ca_sha256 == first.ca_sha256
    assert {"localhost", "127.0.0.1", "::1", socket.gethostname()} < set(first.names)
    for key in tmp_path.glob("*.key"):
        assert key.stat().st_mode & 0o077 == 0


def test_another_name_and_a_certificate_that_soon_ends_are_made_anew(tmp_path: Path) -> None:
    tls = prepare(tmp_path, names=(), now=NOW)
    server, ca = tls.server[0].read_bytes(), tls.ca.read_bytes()
    prepare(tmp_path, names=("192.0.2.7",), now=NOW)
    renamed = tls.server[0].read_bytes()
    assert renamed != server
    prepare(tmp_path, names=("192.0.2.7",), now=NOW + timedelta(days=600))
    assert tls.server[0].read_bytes() not in {server, renamed}
    assert tls.ca.read_bytes() == ca  # what devices believe stays


def test_the_files_are_what_tls_takes(tmp_path: Path) -> None:
    tls = prepare(tmp_path, names=(), now=NOW)
    for certificate, key in (tls.server, tls.client):
        ssl.create_default_context().load_cert_chain(certificate, key)


def test_loopback_is_what_no_other_machine_reaches() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.0.2.1", "fleet.example"))
