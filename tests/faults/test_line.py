"""The line itself: what it loses is lost, what it cuts is cut, and bytes are counted once."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults import line_packets, network
from faults.line import Weather
from faults.network_places import CONSOLE, Places, places
from patience import patient

PORT = 8000
DATA = os.urandom(400_000)
pytestmark = pytest.mark.skipif(network.missing() != "", reason=network.missing() or "all is there")


@pytest.fixture(scope="module")
def here() -> Iterator[Places]:
    """Make both places; at the console's, whoever connects is given DATA."""
    with places() as found:
        with found.console.inside():
            door = socket.create_server((CONSOLE, PORT))
        threading.Thread(target=_give, args=(door,), daemon=True).start()
        yield found
        door.close()


@pytest.fixture(autouse=True)
def fair(here: Places) -> None:
    here.line.weather = Weather()


def _give(door: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            caller, _ = door.accept()
            with caller, contextlib.suppress(OSError):
                caller.sendall(DATA)


def fetch(here: Places, *, limit_s: float = 20.0) -> bytes:
    """Return what came until the connection ended, in whatever way."""
    with here.device.inside():
        link = socket.create_connection((CONSOLE, PORT), limit_s)
    came = bytearray()
    with link, contextlib.suppress(OSError):
        while chunk := link.recv(65536):
            came += chunk
    return bytes(came)


def test_in_fair_weather_all_of_it_comes_and_is_counted(here: Places) -> None:
    before = here.line.came(PORT)
    assert fetch(here) == DATA
    now = here.line.came(PORT)
    assert 0 <= now.bytes - before.bytes - len(DATA) <= 1, "and the end of it"
    assert now.connections == before.connections + 1


def test_what_is_lost_is_sent_again_and_counted_once(here: Places) -> None:
    here.line.weather = Weather(loss=0.05)
    before, lost = here.line.came(PORT), here.line.lost
    assert fetch(here) == DATA
    assert here.line.lost > lost
    assert here.line.came(PORT).bytes - before.bytes <= len(DATA) + 1


@pytest.mark.parametrize("rate", [0.0, 1_000_000.0])
def test_a_connection_is_cut_after_so_many_bytes(here: Places, rate: float) -> None:
    here.line.weather = Weather(cut_after=100_000, bytes_per_s=rate)
    begun = time.monotonic()
    came = fetch(here)
    assert DATA.startswith(came)
    assert 100_000 <= len(came) <= 102_000, "the packet that was too much, and no other"
    assert time.monotonic() - begun < patient(5), "both ends hear of it"


def test_a_full_line_gives_what_it_can(here: Places) -> None:
    here.line.weather = Weather(bytes_per_s=400_000)
    begun = time.monotonic()
    assert fetch(here) == DATA
    assert 0.9 < time.monotonic() - begun < patient(3)


def test_a_drip_gives_byte_by_byte_and_nothing_is_missing_when_it_ends(here: Places) -> None:
    here.line.weather = Weather(drip_bytes_per_s=20)
    with here.device.inside():
        link = socket.create_connection((CONSOLE, PORT), 20)
    came = bytearray()
    with link:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            came += link.recv(65536)
        assert 20 <= len(came) <= 60
        here.line.weather = Weather()
        while chunk := link.recv(65536):
            came += chunk
    assert bytes(came) == DATA


def test_a_late_line_is_late(here: Places) -> None:
    here.line.weather = Weather(delay_s=0.3)
    with here.device.inside():
        begun = time.monotonic()
        socket.create_connection((CONSOLE, PORT), 20).close()
    assert 0.6 <= time.monotonic() - begun < patient(2)


@pytest.mark.parametrize("weather", [Weather(down=True), Weather(shut=frozenset({PORT}))])
def test_nothing_gets_through(here: Places, weather: Weather) -> None:
    here.line.weather = weather
    with here.device.inside(), pytest.raises(TimeoutError):
        socket.create_connection((CONSOLE, PORT), 0.5)


def test_under_the_consoles_address_somebody_else_may_answer(here: Places) -> None:
    here.line.weather = Weather(portal=True)
    with here.device.inside(), pytest.raises(ConnectionRefusedError):
        socket.create_connection((CONSOLE, PORT), 5)


def test_who_is_inside_comes_back(here: Places) -> None:
    where = Path("/proc/thread-self/ns/net")
    home = where.readlink()
    with here.device.inside():
        assert where.readlink() != home
    assert where.readlink() == home


@pytest.mark.parametrize(("one", "other", "by"), [(5, 3, 2), (1, 2**32 - 1, 2), (3, 5, -2)])
def test_numbers_of_bytes_begin_anew(one: int, other: int, by: int) -> None:
    assert line_packets.after(one, other) == by
