"""A device proves that it holds its key, and for how long that counts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from littoral.errors import DeniedError, SignatureError
from littoral.trust import certificates
from littoral.trust.identity import Identity, load_pem
from littoral.trust.keys import DEVICE_KEY, new_device_key, sign_session
from littoral.wire.enrolment import SessionRequest
from littoral_console.proofs import BEARER_S, NONCE_S, Proofs


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    now = datetime.now(UTC)
    ca = certificates.new_ca(tmp_path / "ca.key", tmp_path / "ca.crt", name="test", now=now)
    csr = new_device_key(tmp_path, "edge-1")
    chain = certificates.issue_device(
        csr, fleet="shore", device="edge-1", incarnation=1, ca=ca, now=now
    )
    leaf = load_pem(chain, "test")[0]
    return Identity(device="edge-1", fleet="shore", incarnation=1, certificate=leaf)


@pytest.fixture
def ask(tmp_path: Path) -> Callable[[str], SessionRequest]:
    def request(nonce: str) -> SessionRequest:
        signature = sign_session(tmp_path / DEVICE_KEY, nonce)
        return SessionRequest(nonce=nonce, certificate="", signature=signature)

    return request


Ask = Callable[[str], SessionRequest]


def test_a_bearer_is_the_devices_for_ten_minutes(identity: Identity, ask: Ask) -> None:
    clock = Clock()
    proofs = Proofs(clock)
    session = proofs.open(ask(proofs.nonce()), identity=identity)
    clock.now = BEARER_S - 1
    assert proofs.of(session.bearer).device == "edge-1"
    clock.now = BEARER_S
    with pytest.raises(DeniedError, match="session is over"):
        proofs.of(session.bearer)


def test_a_nonce_is_ours_fresh_and_used_once(identity: Identity, ask: Ask) -> None:
    clock = Clock()
    proofs = Proofs(clock)
    used, late = proofs.nonce(), proofs.nonce()
    proofs.open(ask(used), identity=identity)
    clock.now = NONCE_S
    for nonce in (used, late, "00" * 16):
        with pytest.raises(SignatureError, match="not given out here"):
            proofs.open(ask(nonce), identity=identity)


def test_a_signature_over_another_nonce_proves_nothing(identity: Identity, ask: Ask) -> None:
    proofs = Proofs(Clock())
    one, other = proofs.nonce(), proofs.nonce()
    signed = ask(one)
    swapped = SessionRequest(nonce=other, certificate="", signature=signed.signature)
    with pytest.raises(SignatureError):
        proofs.open(swapped, identity=identity)


def test_what_is_over_is_forgotten(identity: Identity, ask: Ask) -> None:
    clock = Clock()
    proofs = Proofs(clock)
    for n in range(500):
        clock.now = n * 10.0
        proofs.open(ask(proofs.nonce()), identity=identity)
        proofs.nonce()
    assert len(proofs._nonces) <= NONCE_S / 10 + 1
    assert len(proofs._bearers) <= BEARER_S / 10 + 1


def test_who_opens_sessions_without_end_ends_his_own(identity: Identity, ask: Ask) -> None:
    """And nobody else's: a device that is hostile must not push out the others."""
    proofs = Proofs(Clock())
    other = replace(identity, device="edge-2")
    kept = proofs.open(ask(proofs.nonce()), identity=other)
    mine = [proofs.open(ask(proofs.nonce()), identity=identity) for _ in range(20)]
    assert proofs.of(kept.bearer).device == "edge-2"
    assert proofs.of(mine[-8].bearer).device == "edge-1"
    with pytest.raises(DeniedError):
        proofs.of(mine[-9].bearer)
    assert len(proofs._bearers) == 9
