"""The receipt: signed by the device's key over what waits in its spool, and that stays there."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from littoral.errors import ChildError, SignatureError
from littoral.trust.certificates import Authority, issue_device
from littoral.trust.identity import load_pem
from littoral.trust.keys import DEVICE_KEY, check_receipt, new_device_key
from littoral.wire.messages import Key, Report, Status
from littoral.wire.receipt import MOST_PAYLOAD, Receipt, SignedReceipt
from littoral_agent.receipt import Receipts
from littoral_agent.renewal import Pair
from littoral_agent.spool import Spool
from simulators.repository import RepositorySimulator


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    found = Spool(tmp_path / "spool.sqlite", device="pi-7", incarnation=1, cap_bytes=2**20)
    yield found
    found.close()


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    repo = RepositorySimulator(tmp_path)
    folder = tmp_path / "identity"
    folder.mkdir(mode=0o700)
    csr = new_device_key(folder, "pi-7")
    authority = Authority.load(repo.online / "device-ca.pem", repo.online / "device-ca.crt")
    chain = issue_device(
        csr, fleet=repo.fleet, device="pi-7", incarnation=1, ca=authority, now=repo.now
    )
    certificate = folder / "device.crt"
    certificate.write_text(chain)
    return Pair(certificate, folder / DEVICE_KEY)


def status() -> Status:
    return Status(device="pi-7", incarnation=1, online=True, time_ms=7)


def body(key: Key, *, detail: str) -> bytes:
    once = f"{key.sequence}"
    return Report(key=key, once=once, time_ms=1, kind="boot", detail=detail).to_json()


def tell(spool: Spool, *details: str) -> None:
    for detail in details:
        spool.add("report", partial(body, detail=detail))


def read(data: bytes) -> Receipt:
    signed = SignedReceipt.from_json(data)
    check_receipt(
        signed.signed, signed.signature, certificate=load_pem(signed.certificate, "here")[0]
    )
    return Receipt.from_json(signed.signed)


def test_it_says_what_waits_and_takes_nothing_of_it(spool: Spool, pair: Pair) -> None:
    receipts = Receipts(spool, status=status, pair=lambda: pair)
    tell(spool, "first", "second")
    spool.add("telemetry", lambda _: b"\0")
    told, data = receipts.make()
    found = read(data)
    assert (told.reports, told.left, told.code) == (2, 0, None)
    assert [one.detail for one in found.reports] == ["first", "second"]
    assert found.status == replace(status(), online=False, receipts=1)
    assert spool.held() == {"report": 2, "telemetry": 1}


def test_each_bears_a_greater_number_also_after_a_restart(
    spool: Spool, pair: Pair, tmp_path: Path
) -> None:
    receipts = Receipts(spool, status=status, pair=lambda: pair)
    assert receipts.many == 0
    receipts.make()
    spool.close()
    again = Spool(tmp_path / "spool.sqlite", device="pi-7", incarnation=2, cap_bytes=2**20)
    later = Receipts(again, status=status, pair=lambda: pair)
    assert (later.many, read(later.make()[1]).status.receipts) == (1, 2)
    again.close()


def test_of_too_many_the_newest_are_told_and_the_rest_counted(spool: Spool, pair: Pair) -> None:
    many = 3 * MOST_PAYLOAD // 50_000
    tell(spool, *(f"{n} " + "x" * 50_000 for n in range(many)))
    told, data = Receipts(spool, status=status, pair=lambda: pair).make()
    found = read(data)
    assert (told.reports, told.reports + told.left, found.left) == (5, many, told.left)
    assert [int(one.detail.split()[0]) for one in found.reports] == list(range(many))[-5:]


def test_one_changed_byte_is_no_receipt(spool: Spool, pair: Pair) -> None:
    _, data = Receipts(spool, status=status, pair=lambda: pair).make()
    signed = SignedReceipt.from_json(data)
    (leaf, *_) = load_pem(signed.certificate, "here")
    with pytest.raises(SignatureError):
        check_receipt(signed.signed + b" ", signed.signature, certificate=leaf)


def test_without_the_key_there_is_none(spool: Spool, pair: Pair) -> None:
    pair.key.unlink()
    with pytest.raises(ChildError, match="cannot sign"):
        Receipts(spool, status=status, pair=lambda: pair).make()
