"""Files over the real broker, from the real console, for who reaches nothing else."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from littoral import records
from littoral.bundle.manifest import NAME, File, Manifest
from littoral.errors import ForgottenError, UnreachableError
from littoral.tree import Tree
from littoral.trust.keys import check_time
from littoral.wire.enrolment import SignedTime
from littoral_agent import fetch
from littoral_agent.blocks import Blocks
from littoral_agent.download import Limits
from littoral_agent.halting import Halt, HaltedError
from littoral_agent.identity import Identity
from littoral_agent.mqtt import Mqtt
from littoral_agent.relayed import Relayed
from littoral_agent.spool import Spool
from simulators.console import ConsoleProcess, DeviceSimulator, needs_broker, until
from simulators.ends import AgentsSide
from simulators.repository import RepositorySimulator

pytestmark = needs_broker
RATE = 2_000_000
WEIGHTS = bytes(range(251)) * 4000  # 1 MB


class Board:
    """The agent's half of a device that has nothing but the broker."""

    def __init__(self, console: ConsoleProcess, name: str) -> None:
        self.name = name
        enrolled = DeviceSimulator(console, name)
        identity = Identity(enrolled.folder)
        shutil.copy(console.data / "tls" / "console-ca.crt", identity.console_ca)
        spool = Spool(enrolled.folder / "spool.db", device=name, incarnation=1, cap_bytes=2**20)
        self.side, self.blocks = AgentsSide(spool), Blocks()
        self.side.status = replace(self.side.status, device=name)
        ends = replace(self.side.ends, device=name, blocks=self.blocks)
        self.channel = Mqtt(ends, identity, broker=console.ready["broker"])
        spool.waiting = self.channel.wake
        self.source, self.tree = Relayed(self.blocks), Tree(enrolled.folder / "tree")
        self.tree.make()

    @contextmanager
    def up(self) -> Iterator["Board"]:
        self.channel.start()
        try:
            until(lambda: self.blocks.is_open, "connected")
            yield self
        finally:
            self.channel.stop()
            self.side.spool.close()

    def bring(self, file: File, halt: Halt | None = None) -> int:
        limits = Limits()
        brought = fetch.bring([file], self.source, self.tree, limits=limits, halt=halt or Halt())
        return brought.bytes

    def report_s(self) -> float:
        """Return how long the console takes to acknowledge a report."""
        self.side.report()
        begun = time.monotonic()
        until(lambda: self.side.waiting == 0, "acknowledged")
        return time.monotonic() - begun


class Coast:
    def __init__(self, base: Path) -> None:
        self.repo = RepositorySimulator(base)
        bundle = self.repo.bundle("digits", 1, files={"model.tflite": WEIGHTS})
        self.repo.publish(bundle)
        self.weights = Manifest.from_json((bundle / NAME).read_bytes()).files["model.tflite"]
        self.console = ConsoleProcess(base, self.repo, arguments=("--blob-rate", str(RATE)))


@pytest.fixture(scope="module")
def coast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coast]:
    coast = Coast(tmp_path_factory.mktemp("relayed"))
    with coast.console as console:
        console.upload()
        yield coast


def test_all_that_the_repository_holds_comes_over_the_broker(coast: Coast) -> None:
    with Board(coast.console, "reader").up() as board:
        held = sorted(p for p in (coast.console.data / "repo").rglob("*") if p.is_file())
        served = [p.relative_to(coast.console.data / "repo").as_posix() for p in held]
        assert len(served) > 5
        for name, path in zip(served, held, strict=True):
            assert board.source(name, limit=2**21) == path.read_bytes(), name
        for name in ("metadata/99.root.json", "blobs/" + "0" * 64, "metadata/../../keys/time.pem"):
            with pytest.raises(ForgottenError):
                board.source(name, limit=99)


def test_what_time_it_is_comes_over_the_broker_for_this_nonce_alone(coast: Coast) -> None:
    nonce = "0f" * 16
    with Board(coast.console, "timeless").up() as board:
        said = records.from_json(SignedTime, board.source.time(nonce), limit=4096)
        with pytest.raises(ForgottenError):
            board.source.time("none")
    when = check_time(said, nonce, keys=coast.repo.anchors.time)
    assert abs(when.timestamp() - time.time()) < 60


def test_a_halt_ends_a_download_within_a_second_and_the_next_one_goes_on(coast: Coast) -> None:
    with Board(coast.console, "halted").up() as board:
        halt = Halt()
        part = board.tree.part(coast.weights.sha256)
        errors: list[BaseException] = []

        def bring() -> None:
            try:
                board.bring(coast.weights, halt)
            except (HaltedError, UnreachableError) as e:
                errors.append(e)

        thread = threading.Thread(target=bring)
        thread.start()
        until(lambda: part.exists() and part.stat().st_size > 100_000, "some of it")
        begun = time.monotonic()
        halt.say()
        thread.join()
        assert time.monotonic() - begun < 1.0
        assert errors
        held = part.stat().st_size
        assert board.bring(coast.weights) == len(WEIGHTS) - held
    assert board.tree.blob(coast.weights.sha256).read_bytes() == WEIGHTS


def test_devices_that_ask_at_once_get_fair_shares_and_reports_wait_for_nobody(
    coast: Coast,
) -> None:
    with ExitStack() as stack:
        boards = [stack.enter_context(Board(coast.console, f"edge-{n}").up()) for n in range(20)]
        talker = stack.enter_context(Board(coast.console, "talker").up())
        took_s: dict[str, float] = {}
        begun = time.monotonic()

        def bring(board: Board) -> None:
            board.bring(coast.weights)
            took_s[board.name] = time.monotonic() - begun

        threads = [threading.Thread(target=bring, args=(board,)) for board in boards]
        for thread in threads:
            thread.start()
        waits_s = [talker.report_s()]
        while any(thread.is_alive() for thread in threads):
            waits_s += [talker.report_s(), boards[0].report_s()]
        for thread in threads:
            thread.join()
    assert len(took_s) == 20
    ideal_s = 20 * len(WEIGHTS) / RATE
    assert max(took_s.values()) <= 1.5 * min(took_s.values()), took_s
    assert max(took_s.values()) <= 1.5 * ideal_s, took_s
    assert max(waits_s) < 1.0, waits_s


def test_a_device_that_is_revoked_gets_nothing_more(coast: Coast) -> None:
    with Board(coast.console, "revoked-one").up() as board:
        assert board.source("metadata/timestamp.json", limit=9999)
        coast.console.rest.post("devices/revoked-one/revoke")
        with pytest.raises(UnreachableError):
            board.source("metadata/timestamp.json", limit=9999)
