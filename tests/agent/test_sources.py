"""Several sources in order: what one has not, or has wrongly, another may have."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from littoral.errors import (
    LittoralError,
    SettingsError,
    SignatureError,
    StaleError,
    UnreachableError,
)
from littoral.tree import Tree
from littoral.wire.journal import State
from littoral_agent import settings
from littoral_agent.blocks import Blocks
from littoral_agent.origin import Origin
from littoral_agent.sources import clocks, most_telling, of
from simulators.device import QUICK, Device
from simulators.repository import Fault, RepositorySimulator


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path / "publisher") as simulator:
        simulator.publish(simulator.bundle("digits", 1))
        yield simulator


@contextmanager
def device(folder: Path, repo: RepositorySimulator, *sources: str) -> Iterator[Device]:
    one = Device(folder / "device", repo, settings=replace(QUICK, sources=sources))
    try:
        yield one
    finally:
        one.stop()


def stick(repo: RepositorySimulator, folder: Path) -> Path:
    """Return a copy of the repository as it is now."""
    return Path(shutil.copytree(repo.folder, folder / "stick"))


def test_a_folder_alone_brings_a_release(tmp_path: Path, repo: RepositorySimulator) -> None:
    media = stick(repo, tmp_path)
    with device(tmp_path, repo, f"dir:{media}") as pi:
        pi.order("digits", 1)
        pi.settle()
        assert pi.good("digits") == 1
    assert [name for name, _ in repo.requests if not name.startswith("time")] == []


def test_a_folder_helps_out_while_the_network_is_down(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    media = stick(repo, tmp_path)
    repo.fault("*", Fault.BROKEN)
    with device(tmp_path, repo, "https", f"dir:{media}") as pi:
        pi.order("digits", 1)
        pi.settle()
        assert pi.good("digits") == 1


def test_a_folder_heals_what_a_server_has_wrongly(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    media = stick(repo, tmp_path)
    repo.fault("blobs/*", Fault.FLIPPED_BIT)
    with device(tmp_path, repo, "https", f"dir:{media}") as pi:
        pi.order("digits", 1)
        pi.settle()
        assert pi.good("digits") == 1


def test_an_older_folder_is_stale_and_still_gives_its_files(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    """What the console says of newer metadata stands; the blobs are the same ones."""
    media = stick(repo, tmp_path)
    repo.publish(repo.bundle("digits", 2))
    with device(tmp_path, repo, "https", f"dir:{media}") as pi:
        pi.order("digits", 2)
        pi.settle()
        repo.fault("*", Fault.BROKEN)
        pi.order("digits", 1)
        pi.settle(lambda: pi.good("digits") == 1)
        assert (pi.good("digits"), pi.state("digits")) == (1, State.IDLE)


def test_an_older_folder_alone_is_stale_and_no_attack(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    media = stick(repo, tmp_path)
    repo.publish(repo.bundle("digits", 2))
    with device(tmp_path, repo, "https") as pi:
        pi.order("digits", 1)
        pi.settle()
        pi.settings = replace(QUICK, sources=(f"dir:{media}",))
        pi.restart_agent()
        pi.order("digits", 2)
        pi.settle()
        assert pi.good("digits") == 1
        assert pi.told("digits")[-1] == ("refused", "stale")


def test_a_console_that_signed_before_the_medium_was_written_is_no_attack(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    """Seen: 'repo export' after 'fleet export', and the device came home the same day."""
    from littoral.trust.exporting import export

    repo.publish(repo.bundle("digits", 2))
    folder = tmp_path / "stick"
    later = repo.now + timedelta(hours=1)
    export(repo.folder, folder, online=repo.online, now=later, wanted={"digits": ()})
    with device(tmp_path, repo, f"dir:{folder}") as pi:
        pi.order("digits", 1)
        pi.settle()
        assert pi.good("digits") == 1
        pi.settings = replace(QUICK, sources=("https",))
        pi.restart_agent()
        pi.order("digits", 2)
        pi.settle()
        assert pi.good("digits") == 2
        assert pi.told("digits")[-1] == ("healthy", None)


def test_a_console_that_goes_back_behind_itself_is_a_rollback(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    older = stick(repo, tmp_path)
    repo.publish(repo.bundle("digits", 2))
    with device(tmp_path, repo, "https") as pi:
        pi.order("digits", 1)
        pi.settle()
        shutil.rmtree(repo.folder)
        shutil.copytree(older, repo.folder)
        pi.restart_agent()
        pi.hear(pi.document(replace(repo.assignment("digits", 1), release=2)))
        pi.settle()
        assert pi.told("digits")[-1] == ("refused", "rollback")


def test_a_medium_brings_a_newer_root(tmp_path: Path, repo: RepositorySimulator) -> None:
    """Nobody else can be reached: the key that signed the document is named on the stick."""
    from littoral.trust import writer

    with device(tmp_path, repo, f"dir:{repo.folder}") as pi:
        writer.rotate(repo.folder, "director", offline=repo.offline, online=repo.online)
        repo.renew()
        repo.fault("*", Fault.BROKEN)
        pi.order("digits", 1)
        pi.settle()
        assert pi.good("digits") == 1


def test_a_medium_that_is_not_there_is_waited_for(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    with device(tmp_path, repo, f"dir:{tmp_path}/stick") as pi:
        pi.order("digits", 1)
        for _ in range(3):
            pi.turn()
        assert pi.told("digits") == []
        stick(repo, tmp_path)
        pi.settle(lambda: "digits" in pi.life.journals and pi.good("digits") == 1)


def test_an_older_word_on_a_medium_is_stale(tmp_path: Path, repo: RepositorySimulator) -> None:
    with device(tmp_path, repo, "https") as pi:
        before = pi.document(repo.assignment("digits", 1))
        pi.order("digits", 1)
        pi.settle()
        pi.hear(before)
        pi.settle()
        pi.worker.hear(before + b" ", offline=True)
        pi.settle()
        told = [one.code for one in pi.reports if one.kind == "director"]
        assert told == ["rollback", "stale"]


def test_what_waited_at_the_broker_is_stale_after_a_medium_and_no_attack(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    """Seen: back from weeks without a network, a device told of an attack."""
    repo.publish(repo.bundle("digits", 2))
    with device(tmp_path, repo, "https") as pi:
        first, second = (pi.document(repo.assignment("digits", 1)) for _ in range(2))
        newer = pi.document(repo.assignment("digits", 2))
        pi.worker.hear(newer, offline=True)
        pi.settle()
        for waited in (first, second):
            pi.reboot()  # it is remembered
            pi.hear(waited)
            pi.settle()
        pi.hear(newer)  # the console says the same: what is older now was replaced by itself
        pi.settle()
        pi.reboot()
        pi.hear(first + b" ")
        pi.settle()
        told = [one.code for one in pi.reports if one.kind == "director"]
        assert told == ["stale", "rollback"]
        assert pi.good("digits") == 2


def test_a_medium_that_says_what_the_console_said_changes_nothing(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    with device(tmp_path, repo, "https") as pi:
        before, newer = (pi.document(repo.assignment("digits", 1)) for _ in range(2))
        pi.hear(newer)
        pi.settle()
        pi.worker.hear(newer, offline=True)
        pi.settle()
        pi.hear(before)
        pi.settle()
        assert [one.code for one in pi.reports if one.kind == "director"] == ["rollback"]


def test_a_medium_does_not_make_the_consoles_word_be_forgotten(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    """Its newer word waits for the network, and will not be said again."""
    older = stick(repo, tmp_path)
    repo.publish(repo.bundle("digits", 2))
    with device(tmp_path, repo, "https") as pi:
        before = pi.document(repo.assignment("digits", 1))
        pi.order("digits", 2)
        pi.worker.hear(before, offline=True)
        pi.settle()
        assert (pi.good("digits"), older.is_dir()) == (2, True)


def test_an_expired_medium_is_expired(tmp_path: Path, repo: RepositorySimulator) -> None:
    media = stick(repo, tmp_path)
    with device(tmp_path, repo, f"dir:{media}") as pi:
        pi.later = timedelta(days=20)
        repo.now += timedelta(days=20)
        pi.restart_agent()
        pi.order("digits", 1)
        pi.settle()
        assert pi.told("digits") == [("refused", "expired")]


def test_cas_that_cannot_be_read_keep_nobody_from_the_console(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    sources = ("https://127.0.0.1:1/fleet", "https")
    its = replace(QUICK, sources=sources, sources_ca=str(tmp_path / "none.pem"))
    pi = Device(tmp_path / "device", repo, settings=its)
    try:
        pi.order("digits", 1)
        pi.settle()
        assert pi.good("digits") == 1
        with pytest.raises(UnreachableError, match="sources_ca"):
            pi.sources.all[0]("metadata/timestamp.json", limit=1000)
    finally:
        pi.stop()


def test_a_device_without_a_broker_has_nothing_over_it() -> None:
    nothing = of(("mqtt",), Origin("https://127.0.0.1:1", ca=None))
    with pytest.raises(UnreachableError):
        nothing("metadata/timestamp.json", limit=9)


@pytest.mark.parametrize(
    ("sources", "asked"),
    [
        (("mqtt",), ["mqtt", "https"]),
        (("https", "mqtt"), ["https", "mqtt"]),
        (("dir:/x", "mqtt", "https"), ["mqtt", "https"]),
        (("https",), ["https"]),
        (("dir:/x",), ["https"]),
    ],
)
def test_the_time_is_asked_for_in_the_order_of_the_sources(
    sources: tuple[str, ...], asked: list[str]
) -> None:
    """Over the broker only where the settings name it, and there in place of nothing."""
    found = []
    for ask in clocks(sources, Origin("https://127.0.0.1:1", ca=None), blocks=Blocks()):
        with pytest.raises(UnreachableError) as error:
            ask("0f" * 8)
        found.append("mqtt" if "broker" in str(error.value) else "https")
    assert found == asked


def test_what_tells_most_is_told() -> None:
    away, old, bad = UnreachableError("away"), StaleError("old"), SignatureError("bad")
    for errors, told in (
        ([away, old], away),
        ([old, away], away),
        ([away, old, bad], bad),
        ([old, old], old),
    ):
        given: list[LittoralError] = list(errors)
        assert most_telling(given) is told


@pytest.mark.parametrize(
    "line",
    [
        *("sources = []", 'sources = ["usb"]', 'sources = ["dir:stick"]', 'sources = ["dir:"]'),
        'channel = "https"\nsources = ["mqtt"]',
        'sources = ["dir:/mnt/\\u0000stick"]',  # no file is called so: it would end the agent
    ],
)  # fmt: skip
def test_a_source_that_is_none_is_refused_in_the_settings(tmp_path: Path, line: str) -> None:
    (tmp_path / "agent.toml").write_text(line)
    with pytest.raises(SettingsError, match="sources"):
        settings.read(Tree(tmp_path))
