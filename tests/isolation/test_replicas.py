"""Two consoles on one database and one broker: each hears all, and each message counts once."""

import shutil
import ssl
import time
from collections.abc import Iterator

import pytest

from littoral.wire.blocks import Block
from littoral.wire.messages import topic
from simulators.console import ConsoleProcess, DeviceSimulator, needs_broker, until
from simulators.islander import Islander
from simulators.repository import RepositorySimulator

pytestmark = needs_broker


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ConsoleProcess, ConsoleProcess]]:
    """Run console a with the broker, and console b as another machine with the same keys would."""
    tmp_path = tmp_path_factory.mktemp("replicas")
    publisher = RepositorySimulator(tmp_path)
    publisher.publish(publisher.bundle("digits", 1))
    database = ("--database", f"sqlite:///{tmp_path / 'console' / 'littoral.db'}")
    with ConsoleProcess(tmp_path, publisher, database) as first:
        first.upload()
        base = tmp_path / "other"
        (base / "console" / "tls").mkdir(parents=True)
        shutil.copytree(first.data / "keys", base / "console" / "keys")
        shutil.copytree(first.data / "repo", base / "console" / "repo")
        for name in ("console-ca.crt", "console-ca.key"):
            shutil.copy(first.data / "tls" / name, base / "console" / "tls" / name)
        others = ("--replica", "b", "--broker", f"mqtts://{first.ready['broker']}")
        second = ConsoleProcess(base, publisher, (*others, *database), _token=first._token)
        with second:
            yield first, second


def test_what_one_ends_the_others_broker_denies(
    pair: tuple[ConsoleProcess, ConsoleProcess],
) -> None:
    """A device that is revoked at the console that has no broker of its own is silent as soon."""
    _, second = pair
    device = DeviceSimulator(second, "ended")
    with device.mqtt() as client:
        client.subscribe(topic("ended", "down/#"))
        client.say(device.report("fetched"))
        client.acked(device.stream, 1)
        second.rest.post("devices/ended/revoke")
        until(lambda: not client.connected, "silence", limit_s=3)
    device.certificate = device.certificate.rename(device.folder / "earlier.crt")
    DeviceSimulator(second, "ended", token=second.token(device="ended"))
    with pytest.raises((ssl.SSLError, ConnectionError)), device.mqtt():
        pass


def test_what_both_hear_counts_once(pair: tuple[ConsoleProcess, ConsoleProcess]) -> None:
    """Neither takes the other's session, and one goes on when the other was killed."""
    first, second = pair
    assert (second.data / "tls" / "console.b.crt").exists()
    device = DeviceSimulator(first, "heard")
    other = DeviceSimulator(second, "also-heard")
    with device.mqtt() as client, other.mqtt() as beside:
        client.subscribe(topic("heard", "down/#"))
        beside.subscribe(topic("also-heard", "down/#"))
        for n in range(1, 21):
            client.say(device.report("fetched", release=n))
            beside.say(other.report("fetched", release=n))
        client.acked(device.stream, 20)
        beside.acked(other.stream, 20)
        second.push("digits:1", to="heard")
        until(lambda: client.next()[0] == topic("heard", "down/desired"), "the document")
        first.kill()  # and its broker with it
        first.start()
        until(lambda: client.connected and beside.connected, "the broker")
        client.say(device.report("passed", release=21))
        client.acked(device.stream, 21)
    for console in pair:
        for name, many in (("heard", 21), ("also-heard", 20)):
            stream = console.device(name)["streams"][0]
            assert (stream["acked"], stream["highest"], stream["lost"]) == (many, many, 0)
            told = console.rest.get("history", device=name, limit=1000)
            assert sorted(int(change["release"]) for change in told) == list(range(1, many + 1))


def test_what_a_device_asks_for_one_answers_and_the_other_when_that_one_is_gone(
    pair: tuple[ConsoleProcess, ConsoleProcess],
) -> None:
    first, second = pair
    name = "metadata/root.json"
    with Islander(first, "asking").up() as device:
        blocks: list[Block] = []
        hear = device.blocks.heard

        def listen(body: bytes) -> None:
            blocks.append(Block.decode(body))
            hear(body)

        device.blocks.heard = listen  # type: ignore[method-assign]
        root = (first.data / "repo" / name).read_bytes()

        def both() -> bool:
            """Ask who is there: the second may still be looking for the first one's broker."""
            blocks.clear()
            device.blocks.console = ""
            assert device.source(name, limit=2**20) == root
            time.sleep(0.5)
            return {block.console for block in blocks} == {"a", "b"}

        until(both, "both say how long it is")
        assert len([block for block in blocks if block.data]) == 1, "and one sends it"
        device.blocks.console = "b"
        assert device.source(name, limit=2**20) == root
        assert (blocks[-1].console, len(blocks[-1].data)) == ("b", len(root))
        second.kill()
        assert device.source(name, limit=2**20) == root
        assert (blocks[-1].console, len(blocks[-1].data)) == ("a", len(root))
    second.start()
