"""What must wait for its time, or cannot be taken at all, over real HTTP and a real disk."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from littoral.bundle.manifest import NAME, File, Manifest
from littoral.errors import SpentError
from littoral.wire import journal
from littoral.wire.control import Tried
from littoral.wire.journal import Choice, Journal, State, Waits
from littoral_agent import download, fetch
from littoral_agent.deeds import means
from littoral_agent.download import Limits
from littoral_agent.folder import Folder
from littoral_agent.halting import Halt, HaltedError
from littoral_agent.hosts import Repository
from littoral_agent.origin import Origin
from littoral_agent.pace import Rate
from littoral_agent.usage import Usage
from littoral_agent.ways import arrived
from patience import patient
from simulators.device import QUICK, Device
from simulators.repository import RepositorySimulator


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path) as repo:
        for release in (1, 2):
            repo.publish(repo.bundle("digits", release))
        yield repo


@pytest.fixture
def device(
    tmp_path: Path, repo: RepositorySimulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Device]:
    """A device on which release 1 is good."""
    monkeypatch.setattr(means, "_LOOK_AGAIN_S", 0.05)
    monkeypatch.setattr(means, "_SOON_S", 0.05)
    device = Device(tmp_path / "device", repo)
    device.order("digits", 1)
    device.settle()
    device.spool.acknowledge({m.stream: m.sequence for m in device.spool.messages({}, limit=99)})
    repo.requests.clear()
    yield device
    device.stop()


def configure(device: Device, **settings: Any) -> None:
    device.settings = replace(QUICK, **settings)
    device.restart_agent()


def close(device: Device) -> datetime:
    """Let the next window open in about two hours, for an hour, from the next start on."""
    opens = (device.clock.now() + timedelta(hours=2)).replace(second=0, microsecond=0)
    text = f"mon-sun {opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}"
    device.settings = replace(QUICK, windows=(text,), zone="UTC")
    return opens


def closed(device: Device) -> datetime:
    """Let the next window open in about two hours; return when."""
    opens = close(device)
    device.restart_agent()
    return opens


def settle(device: Device) -> None:
    """Do what is due for a while."""
    end = time.monotonic() + 0.5
    device.settle(lambda: time.monotonic() > end)


def blobs(repo: RepositorySimulator) -> list[str]:
    return [name for name, _ in repo.requests if name.startswith("blobs/")]


def held(device: Device) -> Journal:
    return device.life.journals["digits"]


def test_an_update_waits_for_its_window_is_told_of_once_and_goes_on(
    device: Device, repo: RepositorySimulator
) -> None:
    opens = closed(device)
    device.order("digits", 2)
    settle(device)
    assert device.told("digits") == [("desired", None), ("postponed", "window")]
    assert blobs(repo) == [], "not a byte of its files is asked for"
    assert (device.state("digits"), device.serve.running) == (State.FETCHING, {"digits": 1})
    assert held(device).waits == Waits(code="window", until_ms=int(opens.timestamp() * 1000))
    (*_, last) = (report.update for report in device.reports)
    assert last is not None
    assert 3600 < last.figures["waits_left_s"] <= 7200
    device.reboot()
    settle(device)
    assert device.told("digits")[1:] == [("postponed", "window")], "it is told once"
    device.later = timedelta(hours=2, minutes=1)
    device.settle()
    assert device.told("digits")[2:] == [("fetched", None), ("passed", None), ("healthy", None)]
    assert (device.good("digits"), held(device).waits) == (2, None)


def test_a_candidate_whose_files_are_here_waits_before_its_trial(
    device: Device, repo: RepositorySimulator
) -> None:
    for release in (2, 1):
        device.order("digits", release)
        device.settle()
    closed(device)
    repo.requests.clear()
    tries = device.serve.calls.count("try")
    device.order("digits", 2)
    settle(device)
    assert device.told("digits")[-1] == ("postponed", "window")
    assert (blobs(repo), device.serve.calls.count("try")) == ([], tries)
    assert device.serve.running == {"digits": 1}
    device.later = timedelta(hours=2, minutes=1)
    device.settle()
    assert device.good("digits") == 2


def test_whoever_holds_a_medium_out_waits_for_no_window_and_no_month(
    device: Device, repo: RepositorySimulator
) -> None:
    closed(device)
    device.settings = replace(device.settings, bytes_per_month=1)
    device.restart_agent()
    with device.sources.lent(Folder(repo.folder)):
        device.order("digits", 2)
        device.settle()
    assert device.good("digits") == 2
    assert blobs(repo) == []


def cut_off(device: Device, repo: RepositorySimulator, state: State, *, tries: int = 0) -> None:
    """Cut the power while release 2 is under way, and give it back outside of every window."""
    for release in (2, 1):
        device.order("digits", release)
        device.settle()
    named = repo.assignment("digits", 2)
    document = device.document(named)
    choice = Choice(manifest=named.manifest_sha256, release=2, variant="cpu", hardware="cpu-x86_64")
    found = replace(held(device), state=state, candidate=choice, tries=tries, boot=device.boot)
    device.stop()
    journal.write(device.tree.journal("digits"), found)
    device.tree.desired.write_bytes(document)
    close(device)
    device.start()


def test_who_was_cut_off_in_its_trial_waits_if_the_window_has_closed(
    device: Device, repo: RepositorySimulator
) -> None:
    cut_off(device, repo, State.TESTING, tries=1)
    settle(device)
    assert device.told("digits")[-1] == ("postponed", "window")
    assert (held(device).state, held(device).boot, held(device).tries) == (State.FETCHING, None, 2)
    device.reboot()
    settle(device)
    assert held(device).tries == 2, "a power cut while it waits is not its fault"


def test_going_back_waits_for_nothing(device: Device, repo: RepositorySimulator) -> None:
    manifest = repo.assignment("digits", 2).manifest_sha256
    device.serve.probed[manifest] = Tried(code="outputs")
    cut_off(device, repo, State.PROBATION)
    device.settle(lambda: device.state("digits") is State.IDLE)
    device.settle()
    assert (device.good("digits"), device.serve.running) == (1, {"digits": 1})
    assert device.told("digits")[-1] == ("failed", "outputs")


def test_the_end_of_probation_and_a_removal_wait_for_nothing(
    device: Device, repo: RepositorySimulator
) -> None:
    cut_off(device, repo, State.PROBATION)
    device.settle(lambda: device.good("digits") == 2)
    device.hear(device.document())
    device.settle()
    assert device.serve.running == {}


def test_a_damaged_file_is_mended_whatever_the_time_and_the_budget(device: Device) -> None:
    closed(device)
    configure(device, windows=device.settings.windows, zone="UTC", bytes_per_month=1)
    for path in device.tree.blobs.iterdir():
        if path.is_file():
            path.unlink()
    device.serve.crash()
    device.worker.serve_started()
    device.settle()
    assert device.serve.running == {"digits": 1}


def test_a_model_that_nobody_proved_here_is_tried_at_once_when_its_files_are_here(
    device: Device,
) -> None:
    """Its journal was lost: no window may keep it from being proven again."""
    closed(device)
    device.tree.journal("digits").write_text("no journal")
    journal.proven(device.tree.journal("digits")).unlink()
    device.reboot()
    device.settle()
    assert (device.good("digits"), device.serve.running) == (1, {"digits": 1})


def test_who_does_not_know_the_time_waits_until_it_does(device: Device) -> None:
    device.settings = replace(QUICK, windows=("mon-sun 00:00-24:00",), zone="UTC")
    device.later = timedelta(days=-3650)
    device.reboot()
    assert device.clock.source == "floor-only"
    device.order("digits", 2)
    settle(device)
    assert device.told("digits")[-1] == ("postponed", "window")
    assert held(device).waits == Waits(code="window", until_ms=None)
    device.later = timedelta()
    device.settle()
    assert device.good("digits") == 2


def missing(device: Device, repo: RepositorySimulator, release: int) -> int:
    """Return how many bytes of the release are not here: its vectors are those of release 1."""
    path = repo.base / "bundles/digits" / str(release) / NAME
    files = Manifest.from_json(path.read_bytes()).files.values()
    return sum(file.size for file in files if not device.tree.blob(file.sha256).exists())


def test_a_months_bytes_are_kept_to(device: Device, repo: RepositorySimulator) -> None:
    needed = missing(device, repo, 2)
    configure(device, bytes_per_month=needed - 1)
    device.order("digits", 2)
    settle(device)
    assert device.told("digits") == [("desired", None), ("refused", "over-allowance")]
    configure(device, bytes_per_month=needed)
    spent = Usage(device.tree.usage, most_bytes=needed, now=device.clock.now, sure=lambda: True)
    list(spent.counted(iter([b"x"]), expected=1))
    configure(device, bytes_per_month=needed)
    device.order("digits", 2)
    settle(device)
    assert device.told("digits")[-1] == ("postponed", "allowance")
    assert blobs(repo) == []
    waits = held(device).waits
    assert waits is not None
    assert waits.until_ms is not None
    month = datetime.fromtimestamp(waits.until_ms / 1000, UTC)
    assert (month.day, month.hour, month > device.clock.now()) == (1, 0, True)
    device.later = month - datetime.now(UTC) + timedelta(minutes=1)
    device.settle()
    assert device.good("digits") == 2
    again = Usage(device.tree.usage, most_bytes=needed, now=device.clock.now, sure=lambda: True)
    assert again.left_bytes == 0, "to the byte"


def test_a_metered_network_is_waited_out_and_no_longer_than_is_set(
    device: Device, repo: RepositorySimulator
) -> None:
    configure(device, metered="yes", metered_wait_s=7200.0)
    device.order("digits", 2)
    settle(device)
    assert device.told("digits") == [("desired", None), ("postponed", "metered")]
    assert (blobs(repo), device.serve.running) == ([], {"digits": 1})
    first = held(device).waits
    assert first is not None
    # A window that is closed in between, and reboots, do not begin the waiting anew.
    opens = close(device)
    device.settings = replace(device.settings, metered="yes", metered_wait_s=7200.0)
    device.later = timedelta(hours=1)
    device.reboot()
    settle(device)
    assert held(device).waits == Waits(code="window", until_ms=int(opens.timestamp() * 1000))
    assert held(device).patient_until_ms == first.until_ms
    device.later = timedelta(hours=2, minutes=1)
    device.settle()
    assert device.told("digits")[2:] == [
        *(("postponed", "window"), ("fetched", None), ("passed", None), ("healthy", None)),
    ]
    assert (device.good("digits"), held(device).patient_until_ms) == (2, None)


def test_an_update_goes_on_when_another_network_comes(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    modem = [True]
    monkeypatch.setattr("littoral_agent.gates.metered", lambda: modem[0])
    configure(device)
    device.order("digits", 2)
    settle(device)
    assert device.told("digits")[-1] == ("postponed", "metered")
    modem[0] = False
    device.settle()
    assert device.good("digits") == 2


def test_a_folder_is_asked_while_the_network_is_metered(
    device: Device, repo: RepositorySimulator
) -> None:
    configure(device, metered="yes", sources=("https", f"dir:{repo.folder}"))
    device.order("digits", 2)
    device.settle()
    assert (device.good("digits"), blobs(repo)) == (2, [])


def test_a_folder_that_is_not_there_is_waited_for_like_another_network(
    device: Device, repo: RepositorySimulator
) -> None:
    configure(device, metered="yes", sources=("https", f"dir:{repo.base}/stick"))
    device.order("digits", 2)
    settle(device)
    assert (device.told("digits")[-1], blobs(repo)) == (("postponed", "metered"), [])


def requiring(repo: RepositorySimulator, release: int, *requires: dict[str, Any]) -> None:
    """Publish a release with a variant for each of ``requires``, in this order of preference."""
    folder = repo.bundle("digits", release)
    said = json.loads((folder / NAME).read_bytes())
    (plain,) = said["variants"]
    said["variants"] = [
        {**plain, "id": f"v{n}", "requires": {**plain["requires"], **one}}
        for n, one in enumerate(requires)
    ]
    (folder / NAME).write_text(json.dumps(said))
    repo.publish(folder)


@pytest.mark.parametrize(
    ("requires", "code"),
    [
        ({"runtime": "litert>=9"}, "wrong-runtime"),
        ({"operators": {"CONV_2D": 99}}, "operators"),
        ({"memory_bytes": 10**12}, "short-memory"),
    ],
)
def test_what_the_device_cannot_take_is_refused_before_the_first_byte(
    device: Device, repo: RepositorySimulator, requires: dict[str, Any], code: str
) -> None:
    requiring(repo, 3, requires)
    repo.requests.clear()
    device.order("digits", 3)
    device.settle()
    assert device.told("digits") == [("refused", code)]
    assert blobs(repo) == []
    assert device.serve.running == {"digits": 1}
    assert held(device).quarantine == {}


def test_the_next_variant_is_taken_where_the_first_requires_too_much(
    device: Device, repo: RepositorySimulator
) -> None:
    requiring(repo, 3, {"memory_bytes": 10**12}, {"operators": {"CONV_2D": 1}})
    device.order("digits", 3)
    device.settle()
    good = held(device).good
    assert good is not None
    assert (good.release, good.variant) == (3, "v1")


def test_a_serve_that_is_away_is_no_verdict(device: Device, repo: RepositorySimulator) -> None:
    requiring(repo, 3, {"operators": {"CONV_2D": 1}})
    device.serve.stop()
    device.order("digits", 3)
    settle(device)
    assert device.told("digits") == []
    device.serve.start()
    device.settle(lambda: device.good("digits") == 3)


# How files come.


@pytest.fixture
def file(repo: RepositorySimulator) -> File:
    folder = repo.bundle("large", 1, files={"model.tflite": bytes(range(256)) * 2000})
    repo.publish(folder)
    return Manifest.from_json((folder / NAME).read_bytes()).files["model.tflite"]


@pytest.fixture
def source(repo: RepositorySimulator) -> Iterator[Repository]:
    origin = Origin(repo.url, ca=None)
    yield Repository(origin, prefix="")
    origin.close()


class Late(Rate):
    """Lets whoever reads wait for so long after each chunk."""

    def __init__(self, pause_s: float) -> None:
        super().__init__(1.0)
        self._pause_s = pause_s

    def took(self, _: int) -> float:
        return self._pause_s


def test_a_pause_of_our_own_is_not_the_sources(
    device: Device, file: File, source: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SLOW_OVER_S", 0.1)
    limits = Limits(min_rate_bytes_per_s=10**6, rate=Late(0.15))
    assert fetch.bring([file], source, device.tree, limits=limits, halt=Halt()).bytes == file.size


def test_the_rate_is_kept(device: Device, file: File, source: Repository) -> None:
    rate = Rate(file.size)
    rate.took(file.size)  # the bucket is empty
    begun = time.monotonic()
    fetch.bring([file], source, device.tree, limits=Limits(rate=rate), halt=Halt())
    assert 0.7 < time.monotonic() - begun < patient(3)


def test_whoever_waits_for_the_rate_is_halted_at_once(
    device: Device, file: File, source: Repository
) -> None:
    halt = Halt()
    threading.Timer(0.2, halt.say).start()
    begun = time.monotonic()
    with pytest.raises(HaltedError):
        fetch.bring([file], source, device.tree, limits=Limits(rate=Late(60)), halt=halt)
    assert time.monotonic() - begun < patient(1.2)


def test_a_month_that_ends_in_a_download_keeps_what_came(
    device: Device, file: File, source: Repository
) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    usage = Usage(device.tree.usage, most_bytes=file.size // 2, now=lambda: now, sure=lambda: True)
    with pytest.raises(SpentError):
        fetch.bring([file], source, device.tree, limits=Limits(usage=usage), halt=Halt())
    assert 0 < arrived([file], device.tree) <= file.size // 2


def test_what_comes_from_a_folder_is_neither_counted_nor_slowed(
    device: Device, repo: RepositorySimulator, file: File
) -> None:
    usage = Usage(device.tree.usage, most_bytes=1, now=lambda: datetime.now(UTC), sure=lambda: True)
    limits = Limits(usage=usage, rate=Late(60))
    folder = Folder(repo.folder)
    assert fetch.bring([file], folder, device.tree, limits=limits, halt=Halt()).bytes == file.size
    assert usage.left_bytes == 1
