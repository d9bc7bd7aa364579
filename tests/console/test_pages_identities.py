"""The pages of who a device is: frozen, thawed, asked for a newer key."""

import re
from collections.abc import Iterator

import pytest
import requests

from console.coast import PASSWORD, USER, VIEWER, Coast
from littoral_console import identities

WHY = "two processes spoke as this device in turn"


def enter(url: str, name: str) -> requests.Session:
    session = requests.Session()
    session.headers["Accept"] = "text/html"
    form = {"username": name, "password": PASSWORD}
    session.post(f"{url}/login", data=form, timeout=10).raise_for_status()
    return session


@pytest.fixture(scope="module")
def ada(url: str) -> Iterator[requests.Session]:
    with enter(url, USER) as session:
        yield session


def page(session: requests.Session, where: str) -> str:
    return session.get(where, timeout=10).text


def order(session: requests.Session, url: str, device: str, what: str) -> int:
    found = re.search(r'name="csrf" value="([^"]+)"', page(session, f"{url}/devices/{device}"))
    form = {"csrf": found[1] if found else ""}
    return session.post(f"{url}/devices/{device}/{what}", data=form, timeout=10).status_code


def test_a_frozen_device_is_an_alarm_and_says_why_until_it_is_thawed(
    coast: Coast, url: str, ada: requests.Session
) -> None:
    assert "is frozen" not in page(ada, url)
    coast.write(identities.freeze, device="quay-cam-2", why=WHY, who="console", now_ms=coast.now_ms)
    assert "quay-cam-2 is frozen: a copy of its key may be about" in page(ada, url)
    assert "quay-cam-2" in page(ada, f"{url}/devices?state=frozen")
    assert "quay-cam-1" not in page(ada, f"{url}/devices?state=frozen").partition("<main")[2]
    shown = page(ada, f"{url}/devices/quay-cam-2")
    assert WHY in shown.lower()
    assert "Thaw quay-cam-2" in shown
    assert "Renew the key" not in shown, "it hears nothing"
    assert order(ada, url, "quay-cam-2", "thaw") == 200
    shown = page(ada, f"{url}/devices/quay-cam-2")
    assert "Thaw quay-cam-2" not in shown
    assert "thawed" in shown
    assert "is frozen" not in page(ada, url)


def test_a_newer_key_is_asked_for_on_the_page(url: str, ada: requests.Session) -> None:
    assert order(ada, url, "lock-west", "rotate") == 200
    shown = page(ada, f"{url}/devices/lock-west")
    assert "a newer key is asked for since" in shown
    assert "newer key asked for" in shown


def test_a_viewer_orders_nothing(coast: Coast, url: str) -> None:
    coast.write(identities.freeze, device="quay-cam-1", why=WHY, who="console", now_ms=coast.now_ms)
    with enter(url, VIEWER) as grace:
        shown = page(grace, f"{url}/devices/quay-cam-1")
        assert WHY in shown.lower()
        assert "Thaw quay-cam-1" not in shown
        for what in ("thaw", "rotate"):
            assert order(grace, url, "quay-cam-1", what) == 403


def test_words_of_strangers_stay_words(coast: Coast, url: str, ada: requests.Session) -> None:
    why = "<img src=x onerror=alert(1)>"
    coast.write(identities.freeze, device="buoy-07", why=why, who="console", now_ms=coast.now_ms)
    assert why not in page(ada, f"{url}/devices/buoy-07")
