"""What a push asks of whom, and what becomes of it."""

import time

import pytest

from littoral.errors import FloorError, MisuseError, NotFoundError
from littoral.wire.messages import Running
from simulators.console import ConsoleProcess, DeviceSimulator


def test_hardware_is_the_publishers_first_that_the_device_has(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "pi", hardware=("cpu-armv7l", "cpu-aarch64"))
    console.push("digits:1", to="pi")
    signed = device.desired()
    assert signed is not None
    custom = signed["targets"]["bundles/digits/1/manifest.json"]["custom"]
    assert custom == {"release": 1, "hardware": "cpu-aarch64", "attempt": 0}


def test_a_device_without_the_hardware_is_not_asked(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "plain")
    console.push("digits:1", to="plain")
    before = device.desired()
    number = console.push("digits:3", to="plain")
    found = console.outcome(number, "plain")
    assert (found["outcome"], found["code"]) == ("refused", "wrong-hardware")
    assert "edgetpu-usb" in found["detail"]
    assert device.desired() == before
    wanted = console.device("plain")["device"]["wanted"]
    assert [(w["model"], w["release"]) for w in wanted] == [("digits", 1)]


def test_force_asks_it_all_the_same(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "forced")
    number = console.push("digits:3", to="forced", force=True)
    signed = device.desired()
    assert signed is not None
    custom = signed["targets"]["bundles/digits/3/manifest.json"]["custom"]
    assert custom["hardware"] == "edgetpu-usb"
    said = device.report("refused", release=3, code="wrong-hardware", detail="no stick")
    device.post(said)
    assert console.outcome(number, "forced")["code"] == "wrong-hardware"


def test_what_went_badly_is_tried_again_under_a_greater_attempt(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "retry")

    def attempt() -> int:
        number = console.push("digits:2", to="retry")
        return int(console.outcome(number, "retry")["attempt"])

    assert attempt() == 0
    assert attempt() == 0  # it has not failed: nothing to lift
    device.post(device.report("failed", release=2, code="latency"))
    assert attempt() == 1
    assert attempt() == 1
    device.post(device.report("failed", release=2, code="latency"))
    assert attempt() == 2


def test_a_newer_order_supersedes_one_that_has_not_ended(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "changed")
    first = console.push("digits:1", to="changed")
    second = console.push("digits:2", to="changed")
    assert console.outcome(first, "changed")["outcome"] == "superseded"
    device.post(device.report("healthy", release=1, good=1))  # it was faster than the order
    assert console.outcome(first, "changed")["outcome"] == "superseded"
    assert console.outcome(second, "changed")["outcome"] == "pending"
    device.post(device.report("healthy", release=2, good=2))
    assert console.outcome(second, "changed")["outcome"] == "healthy"
    third = console.push("digits:1", to="changed")  # back, on purpose
    device.post(device.report("healthy", release=1, good=1))
    assert console.outcome(third, "changed")["outcome"] == "healthy"
    assert console.outcome(second, "changed")["outcome"] == "healthy"


def test_what_a_device_has_proven_is_not_waited_for(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "proven")
    sha256 = console.rest.get("releases/digits/2")["manifest"]
    runs = Running(model="digits", state="idle", release=2, good=2, manifest=sha256)
    device.post(status=device.status(runs))
    number = console.push("digits:2", to="proven")
    assert console.outcome(number, "proven")["outcome"] == "healthy"


def test_a_status_never_undoes_what_a_report_said(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "said")
    number = console.push("digits:2", to="said")
    device.post(device.report("failed", release=2, code="outputs"))
    runs = Running(model="digits", state="idle", release=2, good=2)
    device.post(status=device.status(runs))
    assert console.outcome(number, "said")["outcome"] == "failed"


def test_what_waits_for_its_time_is_pending_and_says_until_when(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "night")
    number = console.push("digits:2", to="night")
    opens_ms = round(time.time() * 1000) + 3_600_000
    said = device.report("postponed", release=2, code="window", figures={"waits_left_s": 3600.0})
    device.post(said)
    found = console.outcome(number, "night")
    assert (found["outcome"], found["code"], found["waits"]) == ("pending", "window", "window")
    assert abs(found["until_ms"] - opens_ms) < 60_000
    assert console.rest.get("history", device="night", refused="true") == []
    assert [c["event"] for c in console.rest.get("history", device="night")] == ["postponed"]
    device.post(device.report("fetched", release=2))
    found = console.outcome(number, "night")
    assert (found["outcome"], found["waits"], found["until_ms"]) == ("pending", None, None)


def test_only_whom_the_selector_means_is_asked(console: ConsoleProcess) -> None:
    for name, site in (("pick-1", "berlin"), ("pick-2", "berlin"), ("pick-3", "oslo")):
        DeviceSimulator(console, name, token=console.token(labels={"pick": site}))
    number = console.push("digits:1", to="pick=berlin and not id=pick-2")
    detail = console.rest.get(f"rollouts/{number}")
    assert [d["device"] for d in detail["devices"]] == ["pick-1"]
    assert detail["rollout"]["outcomes"] == {"pending": 1}


def test_revoked_devices_are_asked_nothing(console: ConsoleProcess) -> None:
    DeviceSimulator(console, "quit")
    console.rest.post("devices/quit/revoke")
    with pytest.raises(NotFoundError, match="no device is meant"):
        console.push("digits:1", to="quit")


def test_what_is_not_there_is_not_pushed(console: ConsoleProcess) -> None:
    DeviceSimulator(console, "any")
    with pytest.raises(NotFoundError, match="no release digits:77"):
        console.push("digits:77", to="any")
    with pytest.raises(MisuseError, match="did not expect"):
        console.push("digits:1", to="any and")


def test_below_the_floor_nothing_is_pushed_unless_forced(fresh: ConsoleProcess) -> None:
    publisher = fresh.publisher
    publisher.publish(publisher.bundle("digits", 2), floor=2)
    fresh.upload()
    DeviceSimulator(fresh, "low")
    with pytest.raises(FloorError, match="floor is 2"):
        fresh.push("digits:1", to="low")
    number = fresh.push("digits:1", to="low", force=True)
    assert fresh.outcome(number, "low")["outcome"] == "pending"


def test_models_are_wanted_independently(fresh: ConsoleProcess) -> None:
    publisher = fresh.publisher
    publisher.publish(publisher.bundle("faces", 5))
    fresh.upload()
    device = DeviceSimulator(fresh, "two")
    fresh.push("digits:1", to="two")
    fresh.push("faces:5", to="two")
    signed = device.desired()
    assert signed is not None
    assert sorted(signed["targets"]) == [
        "bundles/digits/1/manifest.json",
        "bundles/faces/5/manifest.json",
    ]
