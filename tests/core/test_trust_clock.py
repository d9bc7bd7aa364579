"""The clock, with every clock that a board can have."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from littoral.errors import SignatureError, SlowError
from littoral.trust.beliefs import Anchors
from littoral.trust.clock import BUILT, TrustedClock, since_boot_s, system_clock
from littoral.trust.keys import sign_time
from littoral.wire.enrolment import SignedTime
from simulators.disk import Disk

TRUE = datetime(2027, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NONCE = "00" * 16


class Board:
    """A machine whose clocks the test sets."""

    def __init__(self, folder: Path, system: datetime) -> None:
        self.folder, self.system, self.up_s = folder, system, 100.0
        self.console = CryptoSigner.generate_ed25519()
        public = self.console.public_key
        self.anchors = Anchors(
            fleet="shore", director={}, time={public.keyid: public}, device_ca_sha256="0" * 64
        )
        self.boot()

    def boot(self) -> None:
        self.clock = TrustedClock(
            self.folder / "clock.json", system=lambda: self.system, boottime=lambda: self.up_s
        )

    def wait(self, passed: timedelta) -> None:
        self.system += passed
        self.up_s += passed.total_seconds()

    def signed(self, when: datetime, nonce: str = NONCE) -> SignedTime:
        return sign_time(self.console, nonce, utc_ms=round(when.timestamp() * 1000))

    def ask(self, when: datetime, *, rtt_s: float = 0.0) -> None:
        self.clock.answer(self.signed(when), NONCE, rtt_s=rtt_s, anchors=self.anchors)


CLOCKS = {
    "1970": datetime(1970, 1, 1, tzinfo=UTC),
    "build": BUILT,
    "true": TRUE,
    "ahead": TRUE + 5 * 365 * DAY,
}


@pytest.mark.parametrize("system", CLOCKS.values(), ids=CLOCKS.keys())
def test_the_console_says_what_time_it_is_whatever_the_board_thinks(
    tmp_path: Path, system: datetime
) -> None:
    board = Board(tmp_path, system)
    board.ask(TRUE, rtt_s=4.0)
    assert board.clock.now() == TRUE + timedelta(seconds=2)
    assert board.clock.source == "signed"
    board.wait(3 * DAY)
    assert board.clock.now() == TRUE + timedelta(seconds=2) + 3 * DAY
    assert abs(board.clock.system_ahead_s - (system - TRUE).total_seconds()) <= 2


def test_without_a_clock_it_is_at_least_the_build_time(tmp_path: Path) -> None:
    board = Board(tmp_path, CLOCKS["1970"])
    assert (board.clock.now(), board.clock.source) == (BUILT, "floor-only")


def test_a_system_clock_above_the_floor_is_believed_and_not_remembered(tmp_path: Path) -> None:
    board = Board(tmp_path, CLOCKS["ahead"])
    assert (board.clock.now(), board.clock.source) == (CLOCKS["ahead"], "system")
    board.system = TRUE
    assert board.clock.now() == TRUE
    assert not (tmp_path / "clock.json").exists()


def test_a_system_clock_that_steps_back_does_not_go_below_the_floor(tmp_path: Path) -> None:
    board = Board(tmp_path, TRUE)
    board.clock.raise_floor(TRUE - DAY, "k1")
    board.system = CLOCKS["1970"]
    assert (board.clock.now(), board.clock.source) == (TRUE - DAY, "floor-only")


def test_the_floor_survives_a_reboot_and_never_falls(tmp_path: Path) -> None:
    board = Board(tmp_path, CLOCKS["1970"])
    board.ask(TRUE)
    board.clock.raise_floor(TRUE - 30 * DAY, "k1")
    board.boot()
    assert (board.clock.now(), board.clock.source) == (TRUE, "floor-only")
    board.clock.raise_floor(TRUE - 60 * DAY, "k1")
    board.ask(TRUE - 2 * DAY)
    assert board.clock.now() == TRUE
    board.boot()
    assert board.clock.floor == TRUE


def test_what_one_key_said_never_falls(tmp_path: Path) -> None:
    board = Board(tmp_path, CLOCKS["1970"])
    board.clock.raise_floor(TRUE, "k1")
    board.clock.raise_floor(TRUE - DAY, "k1")
    assert board.clock.floor == TRUE


def test_what_a_key_said_is_forgotten_when_root_no_longer_names_it(tmp_path: Path) -> None:
    board = Board(tmp_path, TRUE)
    board.clock.raise_floor(TRUE - DAY, "honest")
    board.clock.raise_floor(TRUE + 3650 * DAY, "stolen")
    assert board.clock.now() == TRUE + 3650 * DAY
    board.clock.forget_others({"honest"})
    assert board.clock.now() == TRUE
    board.boot()
    assert board.clock.floor == TRUE - DAY


def test_a_signed_time_goes_with_the_key_that_signed_it(tmp_path: Path) -> None:
    board = Board(tmp_path, TRUE)
    board.ask(TRUE + 3650 * DAY)
    board.clock.forget_others(set())
    assert (board.clock.now(), board.clock.source) == (TRUE, "system")


def test_a_time_key_may_leave_while_what_another_said_stays(tmp_path: Path) -> None:
    board = Board(tmp_path, CLOCKS["1970"])
    board.clock.raise_floor(TRUE - DAY, "gone")
    board.ask(TRUE)
    board.clock.forget_others(set(board.anchors.time))
    assert (board.clock.now(), board.clock.source) == (TRUE, "signed")


def test_an_answer_is_for_one_nonce_by_a_key_that_root_names(tmp_path: Path) -> None:
    board = Board(tmp_path, TRUE)
    other = SignedTime(nonce="11", utc_ms=1, keyid="", signature="")
    stranger = sign_time(CryptoSigner.generate_ed25519(), NONCE, utc_ms=1)
    good = board.signed(TRUE)
    later = SignedTime(
        nonce=NONCE, utc_ms=good.utc_ms + 1, keyid=good.keyid, signature=good.signature
    )
    nonsense = SignedTime(nonce=NONCE, utc_ms=1, keyid=good.keyid, signature="zz")
    for bad in (other, stranger, later, nonsense, board.signed(TRUE, nonce="22")):
        with pytest.raises(SignatureError):
            board.clock.answer(bad, NONCE, rtt_s=0.1, anchors=board.anchors)
    assert board.clock.source == "system"


def test_a_claim_of_the_last_moment_there_is_ends_nobody(tmp_path: Path) -> None:
    """There is no later one to reckon with: an hour more is an error of the calendar."""
    last = datetime.max.replace(microsecond=0, tzinfo=UTC)
    board = Board(tmp_path, TRUE)
    for _ in range(2):
        board.ask(last, rtt_s=3.0)
        board.clock.raise_floor(last, "stolen")
        board.wait(400 * DAY)
        assert board.clock.now().year in {9000, 9001}
        board.ask(last)
        board.boot()
        assert board.clock.floor.year == 9000
    (tmp_path / "clock.json").write_bytes(b'{"floors_ms":{"k":253402300799000}}')
    board.boot()
    board.ask(TRUE)
    assert board.clock.now().year == 9000
    board.clock.forget_others(set())
    assert board.clock.now() == board.system


def test_an_answer_that_took_long_says_little(tmp_path: Path) -> None:
    board = Board(tmp_path, TRUE)
    with pytest.raises(SlowError):
        board.ask(TRUE, rtt_s=10.0)
    assert board.clock.source == "system"


def test_answers_write_to_flash_once_an_hour(tmp_path: Path) -> None:
    board = Board(tmp_path, TRUE)
    board.ask(TRUE)
    before = (tmp_path / "clock.json").stat().st_mtime_ns
    for _ in range(59):
        board.wait(timedelta(minutes=1))
        board.ask(board.system)
    assert (tmp_path / "clock.json").stat().st_mtime_ns == before
    board.wait(timedelta(minutes=1))
    board.ask(board.system)
    board.boot()
    assert board.clock.floor == TRUE + timedelta(hours=1)


@pytest.mark.parametrize(
    "junk", [b"", b"{", b'{"floors_ms":{"k":1e99}}', b'{"floors_ms":{"k":9e18}}']
)
def test_a_file_that_cannot_be_read_starts_from_the_build_time(
    tmp_path: Path, junk: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "clock.json").write_bytes(junk)
    board = Board(tmp_path, CLOCKS["1970"])
    assert board.clock.now() == BUILT
    assert "build time" in caplog.text
    board.clock.raise_floor(TRUE, "k1")
    board.boot()
    assert board.clock.now() == TRUE


@pytest.mark.parametrize("keeps", ["all", "synced", "names"])
def test_power_may_be_cut_while_the_floor_is_written(tmp_path: Path, keeps: str) -> None:
    """Cut at the n-th step, for every n: what was remembered before the cut is remembered."""
    for n in itertools.count():
        folder = tmp_path / str(n)
        folder.mkdir()
        board = Board(folder, CLOCKS["1970"])
        remembered = BUILT
        with Disk(folder, cut_at=n, keeps=keeps) as disk:  # type: ignore[arg-type]
            for day in range(3):
                board.clock.raise_floor(TRUE + day * DAY, "k1")
                remembered = TRUE + day * DAY
        board.boot()
        assert board.clock.floor in {remembered, max(TRUE, remembered + DAY)}
        if not disk.was_cut:
            break
    assert n > 12


def test_the_real_clocks_run() -> None:
    assert system_clock() > BUILT
    first = since_boot_s()
    assert since_boot_s() >= first > 0


def test_whoever_asks_the_time_while_another_forgets_who_said_it_is_answered(
    tmp_path: Path,
) -> None:
    board = Board(tmp_path, TRUE)
    board.ask(TRUE + DAY)

    def since_boot_s() -> float:
        board.clock.forget_others(())  # as a thread does that believes a newer root
        return board.up_s

    board.clock._boottime = since_boot_s
    assert board.clock.now() == TRUE + DAY
    assert board.clock.now() == TRUE
