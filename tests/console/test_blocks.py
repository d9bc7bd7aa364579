"""Files over the real broker: who asks too much, or never reads, harms nobody else."""

import asyncio
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from isolation.link import Link, published
from littoral.errors import MalformedError
from littoral.trust.keys import DEVICE_KEY
from littoral.wire.blocks import MOST_ASKED, MOST_ASKS, MOST_UNHEARD, Answer, Ask, Block
from littoral.wire.messages import ASK, BLOCK, topic
from littoral_console.asks import Turn
from littoral_console.blocks import Blocks, Waiting
from littoral_console.tls import Tls
from patience import patient
from simulators.console import ConsoleProcess, DeviceSimulator, needs_broker
from simulators.repository import RepositorySimulator

FLOOD = 20_000


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleProcess]:
    """Run a console with a release that is worth asking for."""
    base = tmp_path_factory.mktemp("blocks")
    publisher = RepositorySimulator(base)
    publisher.publish(publisher.bundle("digits", 1, files={"model.tflite": bytes(4_000_000)}))
    with ConsoleProcess(base, publisher) as found:
        found.upload()
        yield found


def giver(*, heard: bool = True, files: dict[str, bytes] | None = None) -> Blocks:
    held = files or {}

    def read(name: str, *, start: int, length: int) -> tuple[bytes, int] | None:
        if name == "broken":
            raise OSError("the disk")
        file = held.get(name)
        return None if file is None else (file[start : start + length], len(file))

    def signed_time(nonce: str) -> bytes:
        if nonce == "x":
            raise MalformedError("that is no nonce")
        return f"at {nonce}".encode()

    return Blocks(
        tls=Tls(folder=Path("/nowhere"), names=(), ca_sha256="", replica="b"),
        where=lambda: ("127.0.0.1", 1),
        read=read,
        signed_time=signed_time,
        heard=lambda _: heard,
    )


def answer(blocks: Blocks, name: str, *, start: int = 0, length: int = 9) -> Block | None:
    ask = Ask(number=1, console="b", start=start, length=length, name=name)
    return blocks._block(Turn(device="pi", ask=ask, length=length))


def said(block: Block | None) -> tuple[Answer, bytes, int]:
    assert block is not None
    assert (block.number, block.console) == (1, "b")
    assert block.mark > 0
    return block.answer, block.data, block.total


def test_each_question_has_its_answer() -> None:
    blocks = giver(files={"blobs/x": b"0123456789", "empty": b""})
    assert said(answer(blocks, "blobs/x", start=2, length=3)) == (Answer.BYTES, b"234", 10)
    assert said(answer(blocks, "blobs/x", start=8)) == (Answer.BYTES, b"89", 10)
    assert said(answer(blocks, "blobs/x", length=0)) == (Answer.BYTES, b"", 10)
    assert said(answer(blocks, "blobs/x", start=10)) == (Answer.SHORT, b"", 0)
    assert said(answer(blocks, "empty")) == (Answer.BYTES, b"", 0)
    assert said(answer(blocks, "blobs/y")) == (Answer.FORGOTTEN, b"", 0)
    assert said(answer(blocks, "broken")) == (Answer.AWAY, b"", 0)
    assert said(answer(blocks, "time/" + "0f" * 8, length=99)) == (
        *(Answer.BYTES, b"at 0f0f0f0f0f0f0f0f", 19),
    )
    assert said(answer(blocks, "time/x")) == (Answer.FORGOTTEN, b"", 0)


def test_who_is_no_device_any_more_has_no_answer_whatever_the_broker_lets_pass() -> None:
    assert answer(giver(heard=False, files={"blobs/x": b"0"}), "blobs/x") is None


@needs_broker
def test_a_flood_of_asks_delays_neither_words_nor_anothers_files(console: ConsoleProcess) -> None:
    flooder, honest = DeviceSimulator(console, "flooder"), DeviceSimulator(console, "unflooded")
    blob = next((console.data / "repo" / "blobs").iterdir())
    flood = Ask(number=1, console="a", length=MOST_ASKED, name=f"blobs/{blob.name}").encode()
    wanted = Ask(number=7, console="a", length=MOST_ASKED, name="metadata/timestamp.json").encode()
    with flooder.mqtt() as hostile, honest.mqtt() as client:
        client.subscribe(topic("unflooded", "down/#"))
        for _ in range(FLOOD):
            hostile._client.publish(topic("flooder", ASK), flood, qos=0)
        begun = time.monotonic()
        client.say(honest.report("fetched"))
        client.acked(honest.stream, 1)
        assert time.monotonic() - begun < patient(1.0)
        begun = time.monotonic()
        while True:  # among so many an ask may be lost; whoever asks, asks again
            client.publish(topic("unflooded", ASK), wanted)
            name, body = client.next(limit_s=5)
            if name == topic("unflooded", BLOCK):
                break
        assert (
            Block.decode(body).data == (console.data / "repo/metadata/timestamp.json").read_bytes()
        )
        assert time.monotonic() - begun < patient(5.0)


@needs_broker
def test_who_asks_and_never_reads_fills_no_brokers_memory(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "unreading")
    before = resident(console.broker_pid)
    asyncio.run(ask_and_never_read(console, device))
    assert resident(console.broker_pid) - before < 4 * MOST_UNHEARD


async def ask_and_never_read(console: ConsoleProcess, device: DeviceSimulator) -> None:
    """Ask for 500 MB and read nothing."""
    context = ssl.create_default_context(cafile=str(console.data / "tls" / "console-ca.crt"))
    context.load_cert_chain(device.certificate, device.folder / DEVICE_KEY)
    host, _, port = console.ready["broker"].rpartition(":")
    link = await Link.open((host, int(port)), context, client_id=device.name)
    await link.subscribe(topic(device.name, BLOCK))
    link.reader._transport.pause_reading()  # type: ignore[attr-defined]
    blob = max((console.data / "repo" / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    name = topic(device.name, ASK).encode()
    for number in range(2000):
        ask = Ask(number=number, console="a", length=MOST_ASKED, name=f"blobs/{blob.name}")
        await link.send(published(name, ask.encode()))
        if number % 16 == 0:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    await link.drop()


def resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def test_who_asks_faster_than_anybody_looks_loses_only_asks_of_its_own() -> None:
    """5,000 a second of one device kept all others from any answer."""

    def message(device: str, number: int) -> aiomqtt.Message:
        said = str(number).encode()
        return aiomqtt.Message(topic(device, ASK), said, 0, retain=False, mid=0, properties=None)

    waiting = Waiting()
    for n in range(FLOOD):
        waiting.put_nowait(message("greedy", n))
        if n == 5:
            waiting.put_nowait(message("modest", 1))
    waiting.put_nowait(message("modest", 2))
    heard = [waiting.get_nowait() for _ in range(waiting.qsize() + MOST_ASKS)]
    assert waiting.empty()
    assert [m.payload for m in heard if m.topic.value == topic("modest", ASK)] == [b"1", b"2"]
    assert topic("modest", ASK) in {m.topic.value for m in heard[:2]}
    greedy = [m.payload for m in heard if m.topic.value == topic("greedy", ASK)]
    assert greedy == [str(n).encode() for n in range(FLOOD - MOST_ASKS, FLOOD)]
