"""Receipts: what a device left on a medium is believed for its signature, and counted once."""

import base64
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from console.shell import Shell
from littoral import records
from littoral.errors import EndlessError
from littoral.trust.certificates import DEVICE_LIFE, Authority, issue_device, new_ca
from littoral.trust.keys import DEVICE_KEY, new_device_key, sign_receipt, sign_session
from littoral.wire.enrolment import SessionRequest
from littoral.wire.messages import Report, Running, Status
from littoral.wire.receipt import MOST_PAYLOAD, Receipt, SignedReceipt
from simulators.console import ConsoleProcess, DeviceSimulator

DIGITS_2 = Running(model="digits", state="idle", release=2, good=2)


def signed(device: DeviceSimulator, payload: bytes, *, certificate: str = "") -> SignedReceipt:
    return SignedReceipt(
        payload=base64.b64encode(payload).decode(),
        certificate=certificate or device.enrolled.certificate,
        signature=sign_receipt(device.folder / DEVICE_KEY, payload),
    )


def receipt(device: DeviceSimulator, number: int, *reports: Report, **more: Any) -> SignedReceipt:
    status = device.status(DIGITS_2, online=False, receipts=number, **more)
    return signed(device, Receipt(status=status, reports=reports).to_json())


def lay(medium: Path, name: str, found: SignedReceipt | bytes) -> Path:
    path = medium / "receipts" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(found if isinstance(found, bytes) else found.to_json())
    return path


def brought(shell: Shell, medium: Path) -> dict[str, Any]:
    """Import the only receipt of ``medium``; return what is said of it."""
    done = shell("import", medium, "--json")
    assert done.stdout, done.stderr
    (found,) = json.loads(done.stdout)["receipts"]
    assert done.returncode == (1 if found["code"] else 0)
    result: dict[str, Any] = found
    return result


def of(console: ConsoleProcess, name: str) -> dict[str, Any]:
    found: dict[str, Any] = console.rest.get(f"devices/{name}")["device"]
    return found


def told(console: ConsoleProcess, name: str) -> list[str]:
    return [one["event"] for one in console.rest.get("history", device=name)]


def test_what_was_carried_stands_on_the_devices_page_and_says_so(
    console: ConsoleProcess, shell: Shell, tmp_path: Path
) -> None:
    device = DeviceSimulator(console, "mine-1")
    console.push("digits:2", to="mine-1")
    seen_ms = of(console, "mine-1")["last_seen_ms"]
    lay(tmp_path, "mine-1", receipt(device, 1, device.report("healthy", release=2, good=2)))
    found = brought(shell, tmp_path)
    assert (found["reports"], found["new"], found["left"], found["newer"]) == (1, 1, 0, True)
    assert told(console, "mine-1") == ["healthy"]
    held = of(console, "mine-1")
    assert [(one["model"], one["release"]) for one in held["models"]] == [("digits", 2)]
    assert (held["online"], held["channel"], held["last_seen_ms"]) == (False, None, seen_ms)
    assert held["carried_ms"] == 1_000
    assert held["brought_ms"] > 1_000
    assert [(one["outcome"], one["met"]) for one in held["wanted"]] == [("healthy", True)]
    assert "carried by hand" in shell("devices", "show", "mine-1").stdout
    newest = console.rest.get("audit")["entries"][0]
    assert (newest["action"], newest["subject"]) == ("device.receipt", "mine-1")
    assert newest["detail"] == {"receipt": 1, "new": 1}


def test_what_is_brought_again_and_said_again_over_the_network_counts_once(
    console: ConsoleProcess, shell: Shell, tmp_path: Path
) -> None:
    device = DeviceSimulator(console, "mine-2")
    reports = [device.report("fetched"), device.report("healthy")]
    lay(tmp_path, "mine-2", receipt(device, 1, *reports))
    assert brought(shell, tmp_path)["new"] == 2
    again = brought(shell, tmp_path)
    assert (again["new"], again["newer"]) == (0, False)
    status = device.status(DIGITS_2, receipts=1, spool={device.stream: 1})
    assert device.post(*reports, status=status) == {device.stream: 2}
    assert told(console, "mine-2") == ["healthy", "fetched"]
    held = of(console, "mine-2")
    assert (held["online"], held["carried_ms"], held["brought_ms"]) == (True, None, None)


def test_a_gap_that_the_device_can_still_fill_is_not_counted_as_lost(
    console: ConsoleProcess, shell: Shell, tmp_path: Path
) -> None:
    """The newest reports that fit are carried; the older ones come when the device does."""
    device = DeviceSimulator(console, "mine-3")
    older, newer = device.report("fetched"), device.report("healthy")
    lay(tmp_path, "mine-3", receipt(device, 1, newer, spool={device.stream: 1}))
    assert brought(shell, tmp_path)["new"] == 1
    assert device.post(older) == {device.stream: 2}
    (stream,) = console.rest.get("devices/mine-3")["streams"]
    assert (stream["acked"], stream["lost"]) == (2, 0)


def test_an_older_receipt_puts_nothing_back(
    console: ConsoleProcess, shell: Shell, tmp_path: Path
) -> None:
    device = DeviceSimulator(console, "mine-4")
    lay(tmp_path, "mine-4", receipt(device, 2))
    assert brought(shell, tmp_path)["newer"] is True
    early = Receipt(status=device.status(receipts=1), reports=(device.report("fetched"),))
    lay(tmp_path, "mine-4", signed(device, early.to_json()))
    found = brought(shell, tmp_path)
    assert (found["newer"], found["new"]) == (False, 1)
    assert [one["release"] for one in of(console, "mine-4")["models"]] == [2]


def test_what_the_device_said_itself_after_it_counts_more(
    console: ConsoleProcess, shell: Shell, tmp_path: Path
) -> None:
    device = DeviceSimulator(console, "mine-5")
    lay(tmp_path, "mine-5", receipt(device, 1))
    device.post(status=device.status(replace(DIGITS_2, release=1), receipts=1))
    assert brought(shell, tmp_path)["newer"] is False
    held = of(console, "mine-5")
    assert ([one["release"] for one in held["models"]], held["carried_ms"]) == ([1], None)


def test_a_receipt_is_no_sign_of_a_copy(
    console: ConsoleProcess, shell: Shell, tmp_path: Path
) -> None:
    device = DeviceSimulator(console, "mine-6")
    for number, instance in enumerate("abababab", 1):
        lay(tmp_path, "mine-6", receipt(device, number, instance=instance))
        assert brought(shell, tmp_path)["newer"] is True
    assert of(console, "mine-6")["frozen_ms"] is None


# -- refused


def session(device: DeviceSimulator, instance: str) -> bytes:
    nonce = json.loads(device.ask("GET", "/device/nonce")[1])["nonce"]
    asked = SessionRequest(
        nonce=nonce,
        certificate=device.enrolled.certificate,
        signature=sign_session(device.folder / DEVICE_KEY, nonce),
        instance=instance,
    )
    return device.ask("POST", "/device/session", body=records.to_json(asked))[1]


Forge = Callable[[ConsoleProcess, DeviceSimulator, Path], SignedReceipt | bytes]


def _changed(_: ConsoleProcess, device: DeviceSimulator, __: Path) -> SignedReceipt:
    other = Receipt(status=device.status(receipts=9)).to_json()
    return replace(receipt(device, 1), payload=base64.b64encode(other).decode())


def _nobody(_: ConsoleProcess, device: DeviceSimulator, base: Path) -> SignedReceipt:
    """Sign by an authority of somebody's own, in the very same words."""
    now = datetime.now(UTC)
    mine = new_ca(base / "ca.pem", base / "ca.crt", name="device CA", now=now, for_devices=True)
    return _issued(device, base, mine)


def _issued(
    device: DeviceSimulator,
    base: Path,
    authority: Authority,
    *,
    now: datetime | None = None,
    fleet: str = "",
) -> SignedReceipt:
    folder = base / "forged"
    folder.mkdir(mode=0o700)
    csr = new_device_key(folder, device.name)
    chain = issue_device(
        csr,
        device=device.name,
        fleet=fleet or device.enrolled.fleet,
        incarnation=1,
        ca=authority,
        now=now or datetime.now(UTC),
    )
    payload = Receipt(status=device.status(receipts=1)).to_json()
    return SignedReceipt(
        payload=base64.b64encode(payload).decode(),
        certificate=chain,
        signature=sign_receipt(folder / DEVICE_KEY, payload),
    )


def _authority(console: ConsoleProcess) -> Authority:
    keys = console.data / "keys"
    return Authority.load(keys / "device-ca.pem", keys / "device-ca.crt")


def _fleet(console: ConsoleProcess, device: DeviceSimulator, base: Path) -> SignedReceipt:
    return _issued(device, base, _authority(console), fleet="another")


def _ended(console: ConsoleProcess, device: DeviceSimulator, base: Path) -> SignedReceipt:
    then = datetime.now(UTC) - 1.1 * DEVICE_LIFE
    return _issued(device, base, _authority(console), now=then)


def _other(console: ConsoleProcess, device: DeviceSimulator, __: Path) -> SignedReceipt:
    return receipt(DeviceSimulator(console, f"other-{device.name}"), 1)


def _speaks(_: ConsoleProcess, device: DeviceSimulator, __: Path) -> SignedReceipt:
    said = device.report("healthy")
    said = replace(said, key=replace(said.key, device="mine-1"))
    return receipt(device, 1, said)


def _tomorrow(_: ConsoleProcess, device: DeviceSimulator, __: Path) -> SignedReceipt:
    status = replace(device.status(receipts=1), incarnation=2)
    return signed(device, Receipt(status=status).to_json())


def _revoked(console: ConsoleProcess, device: DeviceSimulator, _: Path) -> SignedReceipt:
    console.rest.post(f"devices/{device.name}/revoke")
    return receipt(device, 1)


def _frozen(console: ConsoleProcess, device: DeviceSimulator, _: Path) -> SignedReceipt:
    for instance in "ababa":
        bearer = json.loads(session(device, instance))["bearer"]
        device.ask("GET", "/device/desired?after=0&wait_s=0", bearer=bearer)
    assert of(console, device.name)["frozen_ms"] is not None
    return receipt(device, 1)


def _superseded(console: ConsoleProcess, device: DeviceSimulator, _: Path) -> SignedReceipt:
    found = receipt(device, 1)
    DeviceSimulator(console, device.name, token=console.token(device=device.name))
    return found


def _truncated(_: ConsoleProcess, device: DeviceSimulator, __: Path) -> bytes:
    return receipt(device, 1).to_json()[:-9]


def _nonsense(_: ConsoleProcess, device: DeviceSimulator, __: Path) -> SignedReceipt:
    return signed(device, b'{"status":')


def _long(_: ConsoleProcess, device: DeviceSimulator, __: Path) -> bytes:
    return receipt(device, 1).to_json() + b" " * SignedReceipt.MOST_BYTES


def _wordy(_: ConsoleProcess, device: DeviceSimulator, __: Path) -> SignedReceipt:
    status: Status = device.status(receipts=1)
    return signed(device, Receipt(status=status).to_json() + b" " * MOST_PAYLOAD)


REFUSED: dict[str, tuple[Forge, str]] = {
    "changed": (_changed, "signature"),
    "by-nobody": (_nobody, "signature"),
    "foreign-fleet": (_fleet, "wrong-device"),
    "ended": (_ended, "expired"),
    "of-another": (_other, "wrong-device"),
    "speaks-for-another": (_speaks, "wrong-device"),
    "of-another-incarnation": (_tomorrow, "wrong-device"),
    "revoked": (_revoked, "revoked"),
    "frozen": (_frozen, "frozen"),
    "superseded": (_superseded, "superseded"),
    "truncated": (_truncated, "malformed"),
    "nonsense": (_nonsense, "malformed"),
    "long": (_long, "endless"),
    "wordy": (_wordy, "malformed"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_is_not_so_is_refused_by_its_code_and_changes_nothing(
    console: ConsoleProcess, shell: Shell, tmp_path: Path, how: str
) -> None:
    forge, code = REFUSED[how]
    device = DeviceSimulator(console, f"bad-{how}")
    lay(tmp_path, device.name, forge(console, device, tmp_path))
    assert brought(shell, tmp_path)["code"] == code
    assert told(console, device.name) == []
    assert of(console, device.name)["brought_ms"] is None


def test_the_console_itself_reads_no_more_than_it_may(console: ConsoleProcess) -> None:
    DeviceSimulator(console, "mine-8")
    with pytest.raises(EndlessError):
        console.rest.post_bytes("devices/mine-8/receipt", b" " * (SignedReceipt.MOST_BYTES + 1))


def test_no_link_and_no_pipe_is_read(console: ConsoleProcess, shell: Shell, tmp_path: Path) -> None:
    device = DeviceSimulator(console, "mine-9")
    path = lay(tmp_path, "mine-9", receipt(device, 1))
    path.rename(tmp_path / "secret")
    path.symlink_to(tmp_path / "secret")
    assert brought(shell, tmp_path)["code"] == "malformed"
    path.unlink()
    os.mkfifo(path)
    assert brought(shell, tmp_path)["code"] == "malformed"
    path.unlink()
    (tmp_path / "elsewhere").mkdir()
    path.parent.rmdir()
    path.parent.symlink_to("elsewhere")
    done = shell("import", tmp_path)
    assert (done.returncode, "expected a folder" in done.stderr) == (2, True)
