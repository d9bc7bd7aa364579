"""Who waits for a file and the connection over which it comes: both wait for nobody for long."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from littoral.errors import (
    EndlessError,
    ForgottenError,
    HashError,
    LittoralError,
    SlowError,
    UnreachableError,
)
from littoral.wire.blocks import MOST_BLOCK, Answer, Ask, Block
from littoral_agent import flow, transfer
from littoral_agent.blocks import Blocks
from littoral_agent.flow import MOST
from littoral_agent.relayed import Relayed
from patience import patient


class Wire:
    """A broker and consoles behind it, in one thread; what they do is the test's to say."""

    def __init__(self, files: dict[str, bytes], *, consoles: str = "a") -> None:
        self.blocks, self.files, self.consoles = Blocks(), files, consoles
        self.asks: list[Ask] = []
        self.sent: list[Block] = []
        self.received, self.messages = 0, 0
        self.drips: float = 0.0  # bytes a second that come, beside what comes at once
        self.lose: Callable[[int], bool] = lambda _: False  # the n-th block
        self.deaf: set[str] = set()
        self.delay_s = 0.0
        self._woken, self._ended = threading.Event(), threading.Event()
        self.blocks.wake = self._woken.set
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def up(self) -> Iterator[Relayed]:
        begun = time.monotonic()

        def received() -> tuple[int, int]:
            dripped = (time.monotonic() - begun) * self.drips
            return int(self.received + dripped), self.messages

        self.blocks.opened(received)
        self._thread.start()
        try:
            yield Relayed(self.blocks)
        finally:
            self._ended.set()
            self._woken.set()
            self._thread.join()

    @property
    def brought(self) -> int:
        return sum(len(block.data) for block in self.sent)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._woken.wait()
            self._woken.clear()
            for ask in map(Ask.decode, self.blocks.take()):
                self.asks.append(ask)
                time.sleep(self.delay_s)
                for console in self.consoles:
                    if ask.console in {"", console} and console not in self.deaf:
                        self._answer(ask, console)

    def _answer(self, ask: Ask, console: str) -> None:
        file = self.files.get(ask.name)
        if file is None or (ask.start and ask.start >= len(file)):
            answer = Answer.FORGOTTEN if file is None else Answer.SHORT
            block = Block(number=ask.number, console=console, answer=answer, mark=1)
            self.blocks.heard(block.encode())
            return
        for at in range(ask.start, max(min(ask.end, len(file)), ask.start + 1), MOST_BLOCK):
            data = file[at : min(at + MOST_BLOCK, ask.end)]
            block = Block(
                number=ask.number,
                console=console,
                mark=len(self.sent) + 1,
                start=at,
                total=len(file),
                data=data,
            )
            self.sent.append(block)
            if not self.lose(len(self.sent)):
                self.messages += 1
                self.blocks.heard(block.encode())


FILE = bytes(range(256)) * 8000  # 2 MB


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "SILENCE_S", 1.0)
    monkeypatch.setattr(flow, "_FIRST_PATIENCE_S", 0.2)
    monkeypatch.setattr(flow, "_LEAST_PATIENCE_S", 0.2)
    monkeypatch.setattr(flow, "_FIRST_BYTES_S", 0.0)


def test_a_file_comes_whole_each_byte_once_and_never_more_than_a_window_at_once() -> None:
    wire = Wire({"blobs/x": FILE})
    most = 0
    with wire.up() as relayed, relayed.stream("blobs/x") as stream:
        assert (stream.start, stream.offline) == (0, False)
        found = b""
        for chunk in stream.chunks:
            found += chunk
            most = max(most, wire.blocks.held)
    assert found == FILE
    assert wire.brought == len(FILE)
    assert most <= MOST + MOST_BLOCK
    assert all(ask.console == "a" for ask in wire.asks[1:])
    assert wire.asks[-1].seen > 0, "the console learns what has arrived"


def test_it_goes_on_where_it_was_cut() -> None:
    wire = Wire({"blobs/x": FILE})
    with wire.up() as relayed, relayed.stream("blobs/x", start=1_234_567) as stream:
        assert b"".join(stream.chunks) == FILE[1_234_567:]
    assert wire.brought == len(FILE) - 1_234_567


@pytest.mark.parametrize("every", [2, 7])
def test_blocks_that_are_lost_are_asked_for_again_and_no_others(every: int) -> None:
    wire = Wire({"blobs/x": FILE})
    wire.lose = lambda n: n % every == 0
    with wire.up() as relayed, relayed.stream("blobs/x") as stream:
        assert b"".join(stream.chunks) == FILE
    lost = sum(len(block.data) for n, block in enumerate(wire.sent, 1) if n % every == 0)
    assert wire.brought == len(FILE) + lost


def test_metadata_comes_at_once_and_no_longer_than_it_may_be() -> None:
    files = {"metadata/timestamp.json": b"{}", "empty": b"", "metadata/root.json": FILE[:9000]}
    wire = Wire(files)
    with wire.up() as relayed:
        assert relayed("metadata/timestamp.json", limit=2) == b"{}"
        assert relayed("empty", limit=2) == b""
        before = len(wire.asks)
        assert relayed("metadata/root.json", limit=9000) == FILE[:9000]
        assert len(wire.asks) == before + 1
        with pytest.raises(EndlessError):
            relayed("metadata/root.json", limit=8999)
        with pytest.raises(ForgottenError):
            relayed("metadata/9.root.json", limit=9)
        with relayed.stream("empty", start=5) as stream, pytest.raises(HashError):
            next(stream.chunks)


def test_of_several_consoles_one_is_asked_and_another_when_it_falls_silent() -> None:
    wire = Wire({"blobs/x": FILE[:200_000]}, consoles="ba")
    with wire.up() as relayed:
        relayed("blobs/x", limit=200_000)
        assert {block.console for block in wire.sent if block.data} == {"b"}
        wire.deaf = {"b"}
        wire.sent.clear()
        assert relayed("blobs/x", limit=200_000) == FILE[:200_000]
        assert {block.console for block in wire.sent if block.data} == {"a"}


def test_without_a_connection_nobody_waits() -> None:
    with pytest.raises(UnreachableError):
        Relayed(Blocks())("metadata/timestamp.json", limit=9)


@pytest.mark.parametrize("again", [False, True])
def test_a_connection_that_ends_ends_what_comes_over_it(*, again: bool) -> None:
    wire = Wire({"blobs/x": FILE})
    wire.lose = lambda n: n > 9
    with wire.up() as relayed, relayed.stream("blobs/x") as stream:
        next(stream.chunks)
        wire.blocks.closed()
        if again:
            wire.blocks.opened(lambda: (0, 0))
        begun = time.monotonic()
        with pytest.raises(UnreachableError):
            for _ in stream.chunks:
                pass
        assert time.monotonic() - begun < patient(0.5)


@pytest.mark.parametrize(
    ("received", "drips", "messages", "error"),
    [
        (0, 0, 0, UnreachableError),
        (24, 0, 0, UnreachableError),
        (0, 100, 0, SlowError),
        (0, 30, 0, SlowError),  # in the second half less than a sign of life
        (0, 100, 1, UnreachableError),
        (9000, 0, 0, UnreachableError),  # a line that went dead in the middle of a block
    ],
)
def test_who_hears_nothing_is_alone_and_who_hears_hardly_anything_is_slow(
    received: int, drips: float, messages: int, error: type[LittoralError]
) -> None:
    wire = Wire({"blobs/x": FILE})
    wire.drips = drips

    def trickle(_: int) -> bool:
        wire.received, wire.messages = received, messages
        return True

    with wire.up() as relayed:
        wire.lose = trickle
        with pytest.raises(error):
            relayed("blobs/x", limit=len(FILE))


def test_a_halt_ends_who_waits_at_once() -> None:
    wire = Wire({"blobs/x": FILE})
    wire.lose = lambda n: n > 3
    with wire.up() as relayed, relayed.stream("blobs/x") as stream:
        timer = threading.Timer(0.1, stream.end)
        timer.start()
        begun = time.monotonic()
        assert len(b"".join(stream.chunks)) < len(FILE)
        assert time.monotonic() - begun < patient(0.5)


def test_two_files_come_beside_each_other() -> None:
    wire = Wire({"blobs/x": FILE, "metadata/timestamp.json": b"{}"})
    wire.delay_s = 0.01
    with wire.up() as relayed:
        found: list[bytes] = []
        other = threading.Thread(target=lambda: found.append(relayed("blobs/x", limit=len(FILE))))
        other.start()
        assert relayed("metadata/timestamp.json", limit=9) == b"{}"
        assert found == []
        other.join()
    assert found == [FILE]


def test_what_is_no_block_or_nobodys_is_ignored() -> None:
    wire = Wire({"blobs/x": FILE})
    wire.blocks.heard(b"nonsense")
    wire.blocks.heard(Block(number=1, console="a").encode())
    with wire.up() as relayed:
        assert relayed("blobs/x", limit=len(FILE)) == FILE
