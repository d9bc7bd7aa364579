"""What devices say over the real broker is stored once, acknowledged, and shown."""

import json
import random
import time
from dataclasses import replace

from littoral.wire.messages import Running, topic
from simulators.console import ConsoleProcess, DeviceSimulator, needs_broker, until

pytestmark = needs_broker


def reports(console: ConsoleProcess, device: str) -> list[int]:
    """Return what the console holds of a device, as the releases that its reports name."""
    found = console.rest.get("history", device=device, limit=1000)
    return sorted(int(change["release"]) for change in found)


def test_a_device_is_told_what_it_shall_run_and_its_answer_is_the_outcome(
    console: ConsoleProcess,
) -> None:
    device = DeviceSimulator(console, "told")
    with device.mqtt() as client:
        client.subscribe(topic("told", "down/#"))
        client.say(device.status())
        number = console.push("digits:1", to="told")
        name, body = client.next()
        assert name == topic("told", "down/desired")
        assert json.loads(body)["signed"]["x-littoral"]["device"] == "told"
        for event, outcome in (
            ("fetched", "pending"),
            ("passed", "pending"),
            ("healthy", "healthy"),
        ):
            said = device.report(event, release=1, good=1, running=1)
            client.say(said)
            client.acked(device.stream, said.key.sequence)
            found = console.outcome(number, "told")
            assert (found["step"], found["outcome"]) == (event, outcome)


def test_a_refusal_arrives_with_its_reason(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "refuser")
    number = console.push("digits:2", to="refuser")
    with device.mqtt() as client:
        client.subscribe(topic("refuser", "down/#"))
        said = device.report("failed", release=2, code="outputs", detail="max_abs 3.1, allowed 0.5")
        client.say(said)
        client.acked(device.stream, 1)
    found = console.outcome(number, "refuser")
    assert (found["outcome"], found["code"]) == ("failed", "outputs")
    change = console.rest.get("history", device="refuser", refused="true")[0]
    assert (change["code"], change["detail"]) == ("outputs", "max_abs 3.1, allowed 0.5")


def test_what_was_retained_reaches_a_device_that_was_away(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "sleeper")
    console.push("digits:1", to="sleeper")
    with device.mqtt() as client:
        client.subscribe(topic("sleeper", "down/desired"))
        assert client.next()[0] == topic("sleeper", "down/desired")


def test_a_report_that_comes_ten_times_is_there_once(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "stutter")
    with device.mqtt() as client:
        client.subscribe(topic("stutter", "down/ack"))
        said = [device.report("fetched", release=n) for n in range(1, 9)]
        order = said * 10
        random.Random(3).shuffle(order)
        for one in order:
            client.say(one)
        client.acked(device.stream, 8)
    assert reports(console, "stutter") == list(range(1, 9))
    stream = console.device("stutter")["streams"][0]
    assert (stream["acked"], stream["highest"], stream["lost"]) == (8, 8, 0)


def test_a_gap_is_counted_once_the_device_says_that_nothing_fills_it(
    console: ConsoleProcess,
) -> None:
    device = DeviceSimulator(console, "gappy")
    with device.mqtt() as client:
        client.subscribe(topic("gappy", "down/ack"))
        for sequence in (1, 4, 5):
            client.say(device.report("fetched", sequence=sequence))
        client.acked(device.stream, 1)
        client.say(device.status(spool={device.stream: 4}))
        client.acked(device.stream, 5)
    stream = console.device("gappy")["streams"][0]
    assert (stream["acked"], stream["lost"]) == (5, 2)


def test_both_channels_lead_to_one_stream(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "both")
    first, second = device.report("fetched", release=1), device.report("passed", release=2)
    assert device.post(first, second) == {device.stream: 2}
    with device.mqtt() as client:
        client.subscribe(topic("both", "down/ack"))
        client.say(second)
        client.acked(device.stream, 2)
    assert reports(console, "both") == [1, 2]


def test_a_last_will_says_that_the_device_is_away_and_nothing_else(
    console: ConsoleProcess,
) -> None:
    device = DeviceSimulator(console, "mortal")
    runs = Running(model="digits", state="idle", release=1, good=1)
    with device.mqtt() as client:
        client.say(device.status(runs))
        until(lambda: console.device("mortal")["device"]["online"], "online")
        client.say(device.status(online=False))
        until(lambda: not console.device("mortal")["device"]["online"], "away")
    found = console.device("mortal")["device"]
    assert found["models"][0]["release"] == 1
    assert found["channel"] == "mqtt"


def test_percentiles_of_a_group_are_those_of_all_its_requests(console: ConsoleProcess) -> None:
    chance = random.Random(5)
    values = [chance.lognormvariate(5, 1) for _ in range(3000)]
    now_ms = int(time.time() * 1000)
    parts = (values[:200], values[200:2900], values[2900:])
    for n, part in enumerate(parts, 1):
        device = DeviceSimulator(console, f"probe-{n}")
        with device.mqtt() as client:
            client.subscribe(topic(device.name, "down/ack"))
            client.say(device.telemetry(part, start_ms=now_ms, sequence=1))
            client.acked("telemetry-1", 1)
    found = console.rest.get("telemetry", to="id=probe-1 or id=probe-2 or id=probe-3")
    assert len(found) == 1
    assert found[0]["count"] == 3000
    values.sort()
    for name, q in (("p50_us", 0.5), ("p95_us", 0.95), ("p99_us", 0.99)):
        exact = values[int(q * len(values)) - 1]
        assert abs(found[0][name] / exact - 1) < 0.012
    series = console.rest.get("telemetry/series", to="probe-2", step_s=60)
    assert [point["latency"]["count"] for point in series] == [2700]


def test_errors_are_counted_by_release(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "faulty")
    now_ms = int(time.time() * 1000)
    for sequence, failed in ((1, {"digits/1": 2}), (2, {"digits/1": 3, "digits/2": 1})):
        said = device.telemetry([1.0], start_ms=now_ms, sequence=sequence)
        device.post(telemetry=[replace(said, errors=failed)])
    found = console.rest.get("telemetry/errors", to="faulty")
    assert [(e["model"], e["release"], e["errors"]) for e in found] == [
        ("digits", 1, 5),
        ("digits", 2, 1),
    ]


def test_what_cannot_be_understood_stops_nobody_else(console: ConsoleProcess) -> None:
    rude, polite = DeviceSimulator(console, "rude"), DeviceSimulator(console, "polite")
    with rude.mqtt() as one, polite.mqtt() as other:
        other.subscribe(topic("polite", "down/ack"))
        one.subscribe(topic("rude", "down/ack"))
        for body in (b"", b"{", b"\xff" * 100, b"[]", b'{"key": 1}'):
            for path in ("up/report", "up/telemetry", "up/status", "up/surprise"):
                one.publish(topic("rude", path), body)
        huge = rude.report("fetched", release=2**60)
        one.say(huge)
        other.say(polite.report("fetched"))
        other.acked(polite.stream, 1)
        one.acked(rude.stream, 1)  # it is not stored, and holds nothing back
    stream = console.device("rude")["streams"][0]
    assert (stream["acked"], stream["lost"]) == (1, 1)


def test_who_speaks_for_another_incarnation_is_not_heard(console: ConsoleProcess) -> None:
    first = DeviceSimulator(console, "reborn")
    DeviceSimulator(console, "reborn")
    with first.mqtt() as client:
        client.say(first.status())
        client.say(first.report("healthy"))
        time.sleep(0.5)
    found = console.device("reborn")
    assert found["device"]["online"] is False
    assert found["streams"] == []
