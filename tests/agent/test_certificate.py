"""What the agent reads of its own certificate, beside what a whole library reads of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from littoral.errors import StorageError
from littoral.trust import certificates
from littoral.trust.identity import digest, load_pem
from littoral.trust.keys import new_device_key
from littoral_agent.certificate import read, validity

NOW = datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> certificates.Authority:
    folder = tmp_path_factory.mktemp("ca")
    return certificates.new_ca(folder / "ca.pem", folder / "ca.crt", name="device CA", now=NOW)


def chain(authority: certificates.Authority, folder: Path, *, now: datetime = NOW) -> str:
    csr = new_device_key(folder, "pi-7")
    return certificates.issue_device(
        csr, fleet="coast", device="pi-7", incarnation=3, ca=authority, now=now
    )


@pytest.mark.parametrize("now", [NOW, datetime(2045, 6, 7, tzinfo=UTC)])  # two kinds of time
def test_it_reads_what_the_library_reads(
    tmp_path: Path, authority: certificates.Authority, now: datetime
) -> None:
    path = tmp_path / "device.crt"
    path.write_text(chain(authority, tmp_path, now=now))
    whole = load_pem(path.read_text(), "it")[0]
    found = read(path)
    assert found.short == digest(whole)[:16]
    assert (found.begins, found.ends) == (whole.not_valid_before_utc, whole.not_valid_after_utc)


def test_it_is_old_when_less_than_a_fifth_is_left(
    tmp_path: Path, authority: certificates.Authority
) -> None:
    path = tmp_path / "device.crt"
    path.write_text(chain(authority, tmp_path))
    found = read(path)
    assert not found.old(NOW)
    assert not found.old(NOW + timedelta(days=7.9 * 365))
    assert found.old(NOW + timedelta(days=8.1 * 365))
    assert found.old(NOW + timedelta(days=20 * 365))


def test_what_is_none_is_an_error_and_nothing_else(
    tmp_path: Path, authority: certificates.Authority
) -> None:
    path = tmp_path / "device.crt"
    with pytest.raises(StorageError):
        read(path)
    path.write_text("no certificate")
    with pytest.raises(StorageError, match="expected a certificate"):
        read(path)
    pem = chain(authority, tmp_path / "key")
    der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    for n in range(len(der)):
        with pytest.raises(ValueError, match=r".*"):
            validity(der[:n])
    for n in range(0, len(der), 3):
        try:
            validity(der[:n] + bytes([der[n] ^ 0xFF]) + der[n + 1 :])
        except ValueError:
            continue
