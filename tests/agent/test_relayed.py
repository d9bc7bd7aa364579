"""Files over the real broker, from the real console, for who reaches nothing else."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from littoral import records
from littoral.bundle.manifest import NAME, Manifest
from littoral.errors import ForgottenError, UnreachableError
from littoral.trust.keys import check_time
from littoral.wire.enrolment import SignedTime
from littoral_agent.halting import Halt, HaltedError
from patience import patient
from simulators.console import ConsoleProcess, needs_broker, until
from simulators.islander import Islander
from simulators.repository import RepositorySimulator

pytestmark = needs_broker
RATE = 2_000_000
WEIGHTS = bytes(range(251)) * 2800  # 700 kB


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
    with Islander(coast.console, "reader").up() as board:
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
    with Islander(coast.console, "timeless").up() as board:
        said = records.from_json(SignedTime, board.source.time(nonce), limit=4096)
        with pytest.raises(ForgottenError):
            board.source.time("none")
    when = check_time(said, nonce, keys=coast.repo.anchors.time)
    assert abs(when.timestamp() - time.time()) < 60


def test_a_halt_ends_a_download_within_a_second_and_the_next_one_goes_on(coast: Coast) -> None:
    with Islander(coast.console, "halted").up() as board:
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
        assert time.monotonic() - begun < patient(1.0)
        assert errors
        held = part.stat().st_size
        assert board.bring(coast.weights) == len(WEIGHTS) - held
    assert board.tree.blob(coast.weights.sha256).read_bytes() == WEIGHTS


def test_every_seventh_block_may_be_lost(coast: Coast) -> None:
    """What a broker throws away is asked for again, at once, and nothing else is."""
    with Islander(coast.console, "lossy").up() as board:
        hear, blocks, lost = board.blocks.heard, list[int](), list[int]()

        def lossy(body: bytes) -> None:
            blocks.append(len(body))
            if len(blocks) % 7 == 0:
                lost.append(len(body))
            else:
                hear(body)

        board.blocks.heard = lossy  # type: ignore[method-assign]
        begun = time.monotonic()
        assert board.bring(coast.weights) == len(WEIGHTS)
        assert time.monotonic() - begun < patient(10)
        assert lost
        assert sum(blocks) - sum(lost) < 1.01 * len(WEIGHTS)
    assert board.tree.blob(coast.weights.sha256).read_bytes() == WEIGHTS


def test_a_broker_that_dies_on_the_way_is_missed_at_once_and_the_next_one_goes_on(
    coast: Coast,
) -> None:
    with Islander(coast.console, "cut-off").up() as board:
        part = board.tree.part(coast.weights.sha256)
        threading.Thread(target=lambda: _killed(coast, part), daemon=True).start()
        begun = time.monotonic()
        with pytest.raises(UnreachableError):
            board.bring(coast.weights)
        assert time.monotonic() - begun < patient(5)
        held = part.stat().st_size
        until(lambda: board.blocks.is_open, "connected again")
        assert 0 < held < len(WEIGHTS)
        assert board.bring(coast.weights) == len(WEIGHTS) - held


def _killed(coast: Coast, part: Path) -> None:
    until(lambda: part.exists() and part.stat().st_size > 100_000, "some of it")
    coast.console.kill_broker()


def test_devices_that_ask_at_once_get_fair_shares_and_reports_wait_for_nobody(
    coast: Coast,
) -> None:
    with ExitStack() as stack:
        boards = [stack.enter_context(Islander(coast.console, f"edge-{n}").up()) for n in range(20)]
        talker = stack.enter_context(Islander(coast.console, "talker").up())
        took_s: dict[str, float] = {}
        begun = time.monotonic()

        def bring(board: Islander) -> None:
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
    # Who is started first has the line to itself until a busy machine starts the others.
    usual = statistics.median(took_s.values())
    assert max(took_s.values()) <= 1.5 * usual, took_s
    assert min(took_s.values()) >= 0.5 * usual, took_s
    assert max(waits_s) < 1.0, waits_s


def test_a_device_that_is_revoked_gets_nothing_more(coast: Coast) -> None:
    with Islander(coast.console, "revoked-one").up() as board:
        assert board.source("metadata/timestamp.json", limit=9999)
        coast.console.rest.post("devices/revoked-one/revoke")
        with pytest.raises(UnreachableError):
            board.source("metadata/timestamp.json", limit=9999)
