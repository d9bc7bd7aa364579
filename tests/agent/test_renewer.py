"""A newer key, carried through its life by hand: what is asked, what is believed, what is kept."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from littoral.trust import certificates
from littoral.trust.certificates import Authority
from littoral.trust.keys import new_device_key
from littoral.wire.identity import Renew, Renewed, RenewRequest
from littoral_agent import identity
from littoral_agent.renewal import State
from littoral_agent.renewer import Renewer
from simulators.console import until
from simulators.fleet import Fleet


class Device:
    """An enrolled board, and a console played by hand."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.now, self.clock = fleet, datetime.now(UTC), 1000.0
        who = identity.of(fleet.tree).read()
        assert who is not None
        self.enrolment = who
        self.said: list[str] = []
        self.renewer = self.wake()

    def wake(self) -> Renewer:
        """Let the agent start."""
        self.renewer = Renewer(
            self.fleet.tree, self.enrolment, now=lambda: self.now, clock=lambda: self.clock
        )
        self.renewer.wake = lambda: self.said.append("wake")
        self.renewer.anew = lambda: self.said.append("anew")
        return self.renewer

    @property
    def state(self) -> State:
        return self.renewer.files.state

    def tick_until(self, found: Callable[[], object], what: str) -> None:
        def once() -> object:
            self.renewer.tick()
            return found()

        until(once, what, limit_s=60)

    def ask(self) -> RenewRequest:
        """Return the request once it is to be said."""
        requests: list[bytes] = []

        def once() -> bool:
            if (request := self.renewer.request()) is not None:
                requests.append(request)
            return bool(requests)

        self.tick_until(once, "a request")
        return RenewRequest.from_json(requests[0])

    def issue(
        self,
        csr: str,
        *,
        device: str = "pi-7",
        incarnation: int = 1,
        authority: Authority | None = None,
        root: str | None = None,
    ) -> bytes:
        chain = certificates.issue_device(
            csr,
            fleet=self.fleet.repo.fleet,
            device=device,
            incarnation=incarnation,
            ca=authority or self.fleet.console.device_ca,
            now=self.now,
        )
        root = root or (self.fleet.repo.offline / "device-ca.crt").read_text()
        return Renewed(certificate=chain, device_ca=root).to_json()


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    with Fleet(tmp_path, broker=False) as fleet:
        fleet.enrol()
        yield Device(fleet)


def test_nothing_is_due_while_nobody_asks_and_the_certificate_is_young(device: Device) -> None:
    device.renewer.tick()
    device.renewer.asked(Renew(certificate="0" * 16))
    device.renewer.tick()
    assert (device.state, device.renewer.request()) == (State.STEADY, None)


def test_a_renewal_from_the_consoles_word_to_the_newer_pair(device: Device) -> None:
    before, key = device.renewer.using, device.renewer.pair().key.read_bytes()
    device.renewer.asked(Renew(certificate=before))
    request = device.ask()
    assert (request.device, request.incarnation, request.certificate) == ("pi-7", 1, before)
    assert (device.state, device.renewer.pair().newer) == (State.ASKING, False)
    device.renewer.answered(device.issue(request.csr))
    device.tick_until(lambda: "anew" in device.said, "the newer pair")
    pair = device.renewer.pair()
    assert (device.state, pair.newer, device.renewer.using) == (State.HELD, True, before)
    device.renewer.welcomed(pair)
    assert device.state is State.STEADY
    assert device.renewer.using not in ("", before)
    assert device.renewer.pair().key.read_bytes() != key
    device.renewer.asked(Renew(certificate=before))  # late: it was replaced
    device.renewer.tick()
    assert device.state is State.STEADY


def test_an_old_certificate_is_renewed_by_itself(device: Device) -> None:
    device.now += timedelta(days=8.2 * 365)
    assert device.ask().device == "pi-7"


def test_what_is_not_answered_is_asked_again_ever_more_rarely(device: Device) -> None:
    device.renewer.asked(Renew(certificate=device.renewer.using))
    first = device.ask()
    assert device.renewer.request() is None
    asked = []
    for _ in range(4 * 3600):
        device.clock += 1
        if device.renewer.request() is not None:
            asked.append(device.clock)
    assert 6 <= len(asked) <= 14
    device.clock += 3600
    assert device.ask() == first, "by the same key"


def test_a_kill_while_it_is_asked_keeps_the_key(device: Device) -> None:
    device.renewer.asked(Renew(certificate=device.renewer.using))
    first = device.ask()
    device.wake()
    assert device.state is State.ASKING
    key = certificates.requested(first.csr).public_numbers()
    assert certificates.requested(device.ask().csr).public_numbers() == key


def test_keys_of_an_earlier_incarnation_go(device: Device) -> None:
    left = device.fleet.tree.identity / "next-7"
    new_device_key(left, "pi-7")
    device.wake()
    assert not left.exists()


def test_a_refused_pair_goes_and_the_present_one_speaks_on(device: Device) -> None:
    before = device.renewer.using
    device.renewer.asked(Renew(certificate=before))
    device.renewer.answered(device.issue(device.ask().csr))
    device.tick_until(lambda: device.state is State.HELD, "the newer pair")
    device.renewer.unwelcome(device.renewer.pair())
    assert (device.state, device.renewer.pair().newer) == (State.STEADY, False)
    assert device.renewer.using == before
    device.renewer.asked(Renew(certificate=before))
    device.renewer.tick()
    assert device.state is State.STEADY, "not at once"
    device.clock += 3601
    assert device.ask().certificate == before


@pytest.mark.parametrize("wrong", ["key", "device", "incarnation", "authority", "words"])
def test_what_is_not_this_devices_is_not_kept(
    device: Device, wrong: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    device.renewer.asked(Renew(certificate=device.renewer.using))
    csr = device.ask().csr
    match wrong:
        case "key":
            answer = device.issue(new_device_key(tmp_path / "other", "pi-7"))
        case "device":
            answer = device.issue(csr, device="pi-8")
        case "incarnation":
            answer = device.issue(csr, incarnation=2)
        case "authority":
            other = certificates.new_ca(
                tmp_path / "ca.pem", tmp_path / "ca.crt", name="another", now=device.now
            )
            root = (tmp_path / "ca.crt").read_text()
            answer = device.issue(csr, authority=other, root=root)
        case _:
            answer = b'{"certificate": "none", "device_ca": "none"}'
    device.renewer.answered(answer)
    device.tick_until(lambda: "no newer key" in caplog.text, "its refusal")
    assert (device.state, device.renewer.pair().newer) == (State.ASKING, False)
    device.clock += 3600
    device.renewer.answered(device.issue(csr))
    device.tick_until(lambda: device.state is State.HELD, "the true one")
