"""A device that is here and gets no releases: what is kept of it and shown; how far others are."""

from dataclasses import replace

from console.shell import Shell
from littoral.wire.messages import Running, Unreached
from simulators.console import ConsoleProcess, DeviceSimulator

WHY = Unreached(code="unreachable", detail="nobody answers at copy.example", since_ms=1_000)


def post(device: DeviceSimulator, *models: Running, unreached: Unreached | None = None) -> None:
    device.post(status=device.status(*models, unreached=unreached))


def alarms(console: ConsoleProcess, name: str) -> list[str]:
    found = console.rest.get("alarms")
    return [one["text"] for one in found if one["kind"] == "unreached" and name in one["devices"]]


def test_it_is_an_alarm_and_a_card_until_it_says_otherwise(
    console: ConsoleProcess, shell: Shell
) -> None:
    device = DeviceSimulator(console, "cut-off")
    post(device, unreached=WHY)
    assert console.device("cut-off")["device"]["unreached"] == {
        "code": "unreachable",
        "detail": "nobody answers at copy.example",
        "since_ms": 1_000,
    }
    assert alarms(console, "cut-off") == ["cut-off gets no releases, and tries on: unreachable"]
    assert "nobody answers at copy.example [unreachable]" in shell("devices", "cut-off").stdout
    post(device)
    assert console.device("cut-off")["device"]["unreached"] is None
    assert alarms(console, "cut-off") == []
    assert "unreachable" not in shell("devices", "cut-off").stdout


def test_absurd_words_are_cut_and_an_absurd_time_is_refused(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "absurd-words")
    post(device, unreached=Unreached(code="c" * 999, detail="d" * 99_999, since_ms=1))
    kept = console.device("absurd-words")["device"]["unreached"]
    assert (len(kept["code"]), len(kept["detail"])) == (32, 2000)
    post(device, unreached=replace(WHY, since_ms=2**62))
    assert console.device("absurd-words")["device"]["unreached"] == kept


def test_how_far_files_are_is_shown(console: ConsoleProcess, shell: Shell) -> None:
    device = DeviceSimulator(console, "halfway")
    one = Running(model="digits", state="fetching", candidate=2)
    post(device, replace(one, done_bytes=3_100_000, total_bytes=5_000_000))
    (found,) = console.device("halfway")["device"]["models"]
    assert (found["done_bytes"], found["total_bytes"]) == (3_100_000, 5_000_000)
    since_ms = found["since_ms"]
    assert "fetching, 3.1 MB of 5 MB" in shell("devices", "halfway").stdout
    post(device, replace(one, done_bytes=4_000_000, total_bytes=5_000_000))
    (found,) = console.device("halfway")["device"]["models"]
    assert (found["done_bytes"], found["since_ms"]) == (4_000_000, since_ms), "the same state"
