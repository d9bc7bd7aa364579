"""What a broker's answers mean for a device, with paho's own reason codes."""

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from littoral.errors import DeniedError, FrozenError, RevokedError, SupersededError
from littoral.wire.identity import Denied
from littoral_agent.denial import denial, is_final
from littoral_agent.verdict import Verdict


@pytest.fixture
def verdict() -> Verdict:
    found = Verdict("broker:8883", incarnation=2, retry_s=60)
    found.begin()
    return found


def code(kind: int, name: str) -> ReasonCode:
    return ReasonCode(kind, name)


def test_a_publish_that_is_not_authorized_is_a_denial(verdict: Verdict) -> None:
    verdict.published(1, code(PacketTypes.PUBACK, "Success"))
    assert [verdict.told] == [None]
    verdict.published(2, code(PacketTypes.PUBACK, "Not authorized"))
    assert isinstance(verdict.told, DeniedError)
    assert "revoked, frozen or enrolled anew" in str(verdict.told)


def test_a_subscription_or_a_connection_that_is_refused_is_one(verdict: Verdict) -> None:
    assert not verdict.subscribed([code(PacketTypes.SUBACK, "Not authorized")])
    assert verdict.told is not None
    verdict.begin()
    assert not verdict.connected(code(PacketTypes.CONNACK, "Not authorized"))
    assert verdict.told is not None


def test_a_broker_that_is_busy_denies_nobody(verdict: Verdict) -> None:
    assert not verdict.connected(code(PacketTypes.CONNACK, "Server busy"))
    assert (verdict.told, verdict.refusal) == (None, "Server busy")
    verdict.begin()
    verdict.disconnected(code(PacketTypes.DISCONNECT, "Session taken over"))
    assert (verdict.told, verdict.refusal) == (None, "Session taken over")


def test_tls_says_in_its_alert_that_a_certificate_is_revoked(verdict: Verdict) -> None:
    verdict.logged("failed to receive on socket: [SSL: TLSV1_ALERT_UNKNOWN_CA] unknown ca")
    assert verdict.told is None
    verdict.logged("failed to receive on socket: [SSL: SSLV3_ALERT_CERTIFICATE_REVOKED] sslv3 …")
    assert verdict.told is not None


def test_the_consoles_last_word_goes_before_the_brokers(verdict: Verdict) -> None:
    verdict.heard(Denied(incarnation=1, code="revoked", error="of before").to_json())
    verdict.heard(b"nothing of ours")
    assert verdict.told is None
    verdict.heard(Denied(incarnation=2, code="frozen", error="two of them").to_json())
    verdict.published(3, code(PacketTypes.PUBACK, "Not authorized"))
    assert isinstance(verdict.told, FrozenError)


def test_pauses_grow_until_somebody_hears_the_greeting(verdict: Verdict) -> None:
    error = RevokedError("it was")
    pauses = [verdict.pause_after(error) for _ in range(12)]
    assert 30 <= pauses[0] <= 60
    assert 1800 <= pauses[-1] <= 3600
    verdict.published(7, code(PacketTypes.PUBACK, "Success"))
    assert [verdict.denied] == [error], "a publish at QoS 0 is acknowledged by nobody"
    verdict.greeted(8)
    verdict.published(8, code(PacketTypes.PUBACK, "Success"))
    assert verdict.denied is None
    assert verdict.pause_after(error) <= 60


def test_what_a_console_says_of_the_whole_device_is_told_apart() -> None:
    for kind in (RevokedError, FrozenError, SupersededError):
        error = denial(kind.code, "why")
        assert type(error) is kind
        assert is_final(error)
    assert not is_final(denial("denied", "not this"))
    assert not is_final(denial("what-is-this", "of a newer console"))
