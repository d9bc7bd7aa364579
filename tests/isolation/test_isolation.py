"""Twenty devices and two consoles on one broker: nobody hears or says what is another's.

Each test is an attack, and a row of the table in docs/security.md. Honest messages flow all the
while; after each attack every one of them was heard by whom it was for, and nothing by anybody
else. Runs on any broker: isolation.grounds says how.
"""

import asyncio
import functools
import itertools
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import pytest

from isolation.conftest import Battle
from isolation.fleet import TOPICS, Fleet, down, up
from isolation.grounds import CONSOLES, DENIED, DEVICES, GIVERS, IMPOSTORS
from isolation.link import Link, ShutOutError, Will, hello, length, published, refused

UP = ("status", "report", "telemetry", "renew", "ask")
DOWN = ("desired", "ack", "command", "renew", "renewed", "denied", "block")
PAIRS = tuple(itertools.permutations(DEVICES, 2))
NOBODYS = (
    *("anything", "littoral", TOPICS, f"{TOPICS}/", "/", "littoral//devices", "$SYS/broker/uptime"),
    *("$SYS/broker/clients/connected", "$CONTROL/dynamic-security/v1", "$share/x/anything"),
    *(f"{TOPICS}/{name}/{way}/report" for name in CONSOLES for way in ("up", "down")),
)
WILDCARDS = (
    *("#", "+/#", "/#", "+/+/#", "+/+/+/+/+", "littoral/#", "littoral/+/+/+/+", f"{TOPICS}/#"),
    *(f"{TOPICS}/+/#", f"{TOPICS}/+/down/#", f"{TOPICS}/+/up/#", f"{TOPICS}/+/+/+"),
    *(f"{TOPICS}/%u/#", f"{TOPICS}/%c/#", "$SYS/#", "$CONTROL/#", "+/broker/#"),
)
SHARES = ("console", "consoles", "console.a", "littoral", "telemetry")


def attack(way: Callable[[Fleet], Awaitable[None]]) -> Callable[[Battle], None]:
    """Make a test of an attack."""

    def test(battle: Battle) -> None:
        battle.run(way(battle.fleet))  # type: ignore[arg-type]

    functools.update_wrapper(test, way, assigned=("__name__", "__doc__", "__module__"))
    del test.__wrapped__  # type: ignore[attr-defined]
    return test


@attack
async def test_publishing(fleet: Fleet) -> None:
    """Every device publishes to every topic of every other, retained and not."""

    async def publish(thief: str) -> None:
        link = fleet.links[thief]
        for victim in (*DEVICES, *CONSOLES):
            foreign = [down(victim, path) for path in DOWN] + [f"{TOPICS}/{victim}"]
            if victim != thief:
                foreign += [up(victim, path) for path in UP]
            for topic, retain in itertools.product(foreign, (False, True)):
                code = await link.publish(topic, fleet.mark(thief), retain=retain)
                assert code == 0x87, (thief, topic, code)

    await asyncio.gather(*map(publish, DEVICES))


@attack
async def test_a_consoles_other_name(fleet: Fleet) -> None:
    """Over each of a console's two names goes what is meant for it: files or words, never both."""
    more = set(WILDCARDS) - {f"{TOPICS}/+/up/#"}  # which they hear anyway
    for name, foreign in ((CONSOLES[0], ("block",)), (GIVERS[0], DOWN[:-1])):
        link = fleet.links[name]
        for device, path in itertools.product(DEVICES, (*foreign, "other")):
            code = await link.publish(down(device, path), fleet.mark(name))
            assert code == 0x87, (name, device, path)
        for device, path in itertools.product(DEVICES, UP):
            assert await link.publish(up(device, path), fleet.mark(name)) == 0x87
        await link.subscribe(*more)
    for _ in range(3):
        await fleet.verdict()
    for name in (CONSOLES[0], GIVERS[0]):
        await fleet.links[name].unsubscribe(*more)


@attack
async def test_other_topics(fleet: Fleet) -> None:
    """Every device publishes beside all topics: the broker's own, other trees, unknown paths."""

    async def publish(thief: str) -> None:
        own = (f"{TOPICS}/{thief}/{p}" for p in ("up", "up/other", "up/report/more", "upper/x"))
        for topic in (*NOBODYS, *own):
            for retain in (False, True):
                code = await fleet.links[thief].publish(topic, fleet.mark(thief), retain=retain)
                assert code == 0x87, (thief, topic, code)

    await asyncio.gather(*map(publish, DEVICES))


@attack
async def test_older_protocols(fleet: Fleet) -> None:
    """Every device says it by MQTT 3.1.1, and as a bridge does, where no answer says no."""
    for thief in DEVICES:
        async with fleet.without(thief):
            for level in (4, 0x84):
                link = await fleet.open(thief, level=level, clean=True)
                await link.subscribe(*WILDCARDS)
                for victim in (*DEVICES, *CONSOLES):
                    topics = (down(victim, "desired"), up(victim, "status"), up(victim))
                    foreign = topics[:1] if victim == thief else topics
                    for topic in foreign:
                        await link.publish(topic, fleet.mark(thief), retain=True)
                await fleet.verdict_of(thief, link)


@attack
async def test_subscribing(fleet: Fleet) -> None:
    """Every device asks to hear every topic of every other, and all wildcards."""

    async def subscribe(thief: str) -> None:
        foreign = [
            f"{TOPICS}/{victim}/{what}"
            for victim in (*DEVICES, *CONSOLES)
            for what in ("down/#", "up/#", "#", "down/desired", "up/status", "up/+", "+/+")
            if victim != thief
        ]
        fleet.attempts += len(foreign)
        await fleet.links[thief].subscribe(*foreign, *WILDCARDS)

    await asyncio.gather(*map(subscribe, DEVICES))
    for _ in range(3):
        await fleet.verdict()
    await asyncio.gather(*(fleet.links[name].unsubscribe(*WILDCARDS) for name in DEVICES))


@attack
async def test_shared_subscriptions(fleet: Fleet) -> None:
    """Every device joins shared subscriptions, to hear or to take away what others share."""
    shares = [
        f"$share/{group}/{rest}"
        for group in (*SHARES, *DEVICES[:4])
        for rest in (f"{TOPICS}/+/up/#", "#", f"{TOPICS}/+/down/#", *(f"{TOPICS}/pi-1/down/#",))
    ]
    fleet.attempts += len(shares) * len(DEVICES)
    await asyncio.gather(*(fleet.links[name].subscribe(*shares) for name in DEVICES))
    for _ in range(3):
        await fleet.verdict()
    await asyncio.gather(*(fleet.links[name].unsubscribe(*shares) for name in DEVICES))


@attack
async def test_wills(fleet: Fleet) -> None:
    """Every device leaves a last will on the topics of every other, and vanishes."""
    for thief in DEVICES:
        async with fleet.without(thief):
            for victim in DEVICES:
                topics = [down(victim, "desired")]
                topics += [up(victim, "status")] if victim != thief else []
                for topic in topics:
                    await _die(fleet, thief, Will(topic, fleet.mark(thief)))
            for topic in (up("console.a"), "$SYS/broker/version", f"{TOPICS}/+/up/status", "#"):
                await _die(fleet, thief, Will(topic, fleet.mark(thief)))


@attack
async def test_a_rightful_will(fleet: Fleet) -> None:
    """The will of a device on its own topic is told, so that the test before means something."""
    will = Will(up("pi-1", "status"), fleet.mark("pi-1"))
    async with fleet.without("pi-1"):
        heard = len(fleet.wills)
        await _die(fleet, "pi-1", will)
        await fleet.until(lambda: fleet.wills[heard:].count(will.body) >= len(CONSOLES))
    status = fleet.statuses["pi-1"]
    assert await fleet.links["pi-1"].publish(up("pi-1", "status"), status, retain=True) < 0x80


async def _die(fleet: Fleet, name: str, will: Will) -> None:
    """Connect, and vanish; a broker may also refuse the connection for its will."""
    try:
        link = await fleet.open(name, clean=True, will=will)
    except ShutOutError:
        return
    await link.drop()


@attack
async def test_session_theft(fleet: Fleet) -> None:
    """Every device connects under every other's client id and username, clean and not."""
    before = dict(fleet.links)
    for thief in DEVICES:
        async with fleet.without(thief):
            for victim in (*DEVICES, *CONSOLES):
                if victim != thief:
                    fleet.attempts += 1
                    clean = fleet.attempts % 2 == 0
                    link = await fleet.open(
                        thief, client_id=victim, username=victim, clean=clean, expiry_s=0
                    )
                    await link.subscribe(f"{TOPICS}/{victim}/#")
                    code = await link.publish(up(victim), fleet.mark(thief))
                    assert code == 0x87 or victim == thief
                    await link.drop()
        before[thief] = fleet.links[thief]
        for name, link in before.items():
            assert not link.ended.is_set(), f"{thief} ended the connection of {name}"


@attack
async def test_queue_theft(fleet: Fleet) -> None:
    """What waits for a device that sleeps is still there when others came under its client id."""
    sleepers = ("pi-1", "console", "share")
    for name in sleepers:
        await fleet.verdict()
        await fleet.leave(name)
    for _ in range(5):
        for name in sleepers:
            await fleet.tell(CONSOLES[0], name)
            await fleet.tell(CONSOLES[1], name)
    for thief, victim, clean in itertools.product(("pi", "a"), sleepers, (False, True)):
        async with fleet.without(thief):
            fleet.attempts += 1
            link = await fleet.open(thief, client_id=victim, username=victim, clean=clean)
            await link.subscribe(f"{TOPICS}/{victim}/down/#", "#")
            await fleet.verdict_of(thief, link)
    for name in sleepers:
        await fleet.join(name)
        assert fleet.links[name].session_present


@attack
async def test_retained_messages(fleet: Fleet) -> None:
    """What is retained for a device, and of it, is neither replaced nor erased by others."""
    for thief, victim in PAIRS:
        for topic in (down(victim, "desired"), up(victim, "status")):
            fleet.attempts += 1
            for body in (b"", fleet.mark(thief)):
                code = await fleet.links[thief].publish(topic, body, retain=True)
                assert code == 0x87, (thief, topic)
    await fleet.verdict()
    for name, desired in fleet.desired.items():
        fleet.expect(name, down(name, "desired"), desired)
        await fleet.links[name].subscribe(f"{TOPICS}/{name}/down/#")
    for console in CONSOLES:
        for name, status in fleet.statuses.items():
            fleet.expect(console, up(name, "status"), status)
        await fleet.links[console].subscribe(f"{TOPICS}/+/up/#")


@attack
async def test_topic_aliases(fleet: Fleet) -> None:
    """A number that stands for a topic is asked about as the topic is."""
    for thief, victim in (("pi", "pi-1"), ("pi-1", "pi-10"), ("console", "console-a")):
        for topic in (down(victim, "desired"), up(victim, "report"), up("console.a")):
            async with fleet.without(thief):
                link = await fleet.open(thief, clean=True)
                assert refused([await link.publish(topic, fleet.mark(thief), alias=1)])
                assert refused([await link.publish("", fleet.mark(thief), alias=1)])
                await link.drop()


@attack
async def test_packets_too_large(fleet: Fleet) -> None:
    """Who sends more than a packet may have, or announces it, ends his own connection alone."""
    for packet in (
        published(up("pi").encode(), bytes(3 * 2**20)),
        published(up("pi").encode(), b"x", head=length(2**28 - 1)),
        published(up("pi").encode(), b"x", head=b"\xff\xff\xff\xff\xff"),
    ):
        async with fleet.without("pi"):
            fleet.attempts += 1
            link = await fleet.open("pi", clean=True)
            await link.send(packet)
            await link.send(bytes(2**18))  # of what was announced, or of nothing
            await link.closing()
    await asyncio.gather(
        *(fleet.links[name].publish(up(name), fleet.mark(name)) for name in DEVICES)
    )


@attack
async def test_packets_that_are_none(fleet: Fleet) -> None:
    """Nonsense harms whoever sends it: topics that are none, packets out of turn, noise."""
    for packet in (
        published(b"littoral/devices/+/down/desired", b"hostile pi 0"),
        published(b"littoral/devices/pi-1/down/desired\0", b"hostile pi 0"),
        published(b"littoral/devices/pi-1\xff/up/report", b"hostile pi 0"),
        published(b"", b"hostile pi 0"),
        b"\x10\x10" + bytes(16),
        b"\x20\x03\0\0\0",
        bytes(range(240, 256)) * 64,
    ):
        async with fleet.without("pi"):
            fleet.attempts += 1
            link = await fleet.open("pi", clean=True)
            await link.send(packet)
            await link.closing()


@attack
async def test_certificates_of_nobody(fleet: Fleet) -> None:
    """Who has no certificate, or one that is foreign, old, revoked or forged, is not let in.

    Forged are also such as a thief of the console's device CA issues: a console's name.
    """
    let_in = []
    for impostor, client_id in itertools.product((None, *IMPOSTORS), ("pi-1", "console.a")):
        fleet.attempts += 1
        try:
            link = await fleet.open(impostor, client_id=client_id, clean=True)
        except ShutOutError:
            continue
        let_in.append(impostor)
        await link.drop()
    assert let_in == []


@attack
async def test_denied_names(fleet: Fleet) -> None:
    """A device that is denied everything says and hears nothing, though its certificate holds."""
    link = await fleet.open(DENIED, clean=True)
    await link.subscribe(f"{TOPICS}/{DENIED}/#", "#")
    for topic in (up(DENIED), up(DENIED, "status"), down(DENIED), "x"):
        assert refused([await link.publish(topic, fleet.mark(DENIED), retain=True)])
    for console in CONSOLES:
        await fleet.links[console].publish(down(DENIED), b"for nobody")
    await fleet.verdict()
    assert link.heard == []
    await link.close()


def test_revocation_on_a_live_connection(battle: Battle) -> None:
    """A device that is revoked says and hears nothing within a second, and others go on."""
    broker, fleet = battle.broker, battle.fleet
    if broker is None:
        pytest.skip("only the console's own broker is told whom to deny")

    async def revoke() -> None:
        before = broker.ended
        async with fleet.without("sys"):
            link = await fleet.open("sys", clean=True)
            await link.subscribe(down("sys", "#"))
            assert await link.publish(up("sys"), fleet.mark("sys")) < 0x80
            broker.deny(replace(before, devices=before.devices | {"sys"}))
            await fleet.until(partial(_denied, fleet, link), within_s=1.0)
            link.heard.clear()
            for console in CONSOLES:
                await fleet.links[console].publish(down("sys"), b"for nobody")
            await fleet.verdict()
            assert link.heard == []
            await link.close()
            broker.deny(before)
            await fleet.until(partial(_welcome, fleet, "sys"), within_s=5.0)

    battle.run(revoke())


async def _denied(fleet: Fleet, link: Link) -> bool:
    return refused([await link.publish(up("sys"), fleet.mark("sys"))])


async def _welcome(fleet: Fleet, name: str) -> bool:
    try:
        link = await fleet.open(name, clean=True)
    except ShutOutError:
        return False
    code = await link.publish(up(name), fleet.mark(name))
    await link.close()
    return code < 0x80


def test_tls_tickets(battle: Battle) -> None:
    """Who was connected before its certificate was revoked cannot resume that TLS session."""
    broker, fleet = battle.broker, battle.fleet
    if broker is None:
        pytest.skip("only the console's own broker is told whom to deny")

    async def revoke() -> None:
        before = broker.ended
        async with fleet.without("share"):
            ticket = await asyncio.to_thread(_shake, fleet, "share", None)
            again = await asyncio.to_thread(_shake, fleet, "share", ticket)
            assert again is not None
            serial = fleet.grounds.serial("share")
            broker.deny(replace(before, certificates=(*before.certificates, serial)))
            await fleet.until(partial(_shut_out, fleet, "share"), within_s=1.0)
            for known in (ticket, again):
                with pytest.raises((OSError, ssl.SSLError)):
                    await asyncio.to_thread(_shake, fleet, "share", known)
            broker.deny(before)
            await fleet.until(partial(_welcome, fleet, "share"), within_s=5.0)

    battle.run(revoke())


async def _shut_out(fleet: Fleet, name: str) -> bool:
    try:
        link = await fleet.open(name, clean=True)
    except ShutOutError:
        return True
    await link.close()
    return False


def _shake(fleet: Fleet, name: str, ticket: ssl.SSLSession | None) -> ssl.SSLSession | None:
    """Connect as far as the broker's answer; return the TLS session that it offers to resume."""
    context = fleet.grounds.context(name)
    with (
        socket.create_connection(fleet.where, 5) as plain,
        context.wrap_socket(plain, server_hostname=fleet.where[0], session=ticket) as link,
    ):
        link.sendall(hello(name))
        if link.recv(4)[:1] != b"\x20":
            raise ConnectionResetError("no CONNACK")
        return link.session
