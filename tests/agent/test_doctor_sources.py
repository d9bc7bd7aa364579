"""A proxy, copies and folders that are there, are not, or say no."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from littoral_agent import identity
from littoral_agent.doctor import network, sources
from littoral_agent.doctor.finding import Place
from simulators import hosting
from simulators.broker import ConsoleCa
from simulators.fleet import Fleet
from simulators.hosting import needs_nginx, needs_tinyproxy

NAME = "console.test"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path) as fleet:
        fleet.enrol()
        yield fleet


def configure(fleet: Fleet, words: str) -> Place:
    fleet.tree.settings.write_text(words)
    return Place(fleet.tree)


def move(fleet: Fleet, name: str) -> None:
    """Let the device know its console and its broker by another name."""
    who = identity.of(fleet.tree)
    found = who.read()
    assert found is not None
    assert found.broker is not None
    broker = found.broker.replace("127.0.0.1", name)
    who.write(replace(found, url=found.url.replace("127.0.0.1", name), broker=broker))


def test_there_is_nothing_to_look_at(fleet: Fleet) -> None:
    place = Place(fleet.tree)
    assert (sources.proxy(place).state, sources.sources(place).state) == ("skip", "skip")
    place = configure(fleet, 'proxy = "http://127.0.0.1:1"\n')
    assert "reached without it" in sources.proxy(place).found
    place = configure(fleet, "sources = 7\n")
    assert (sources.proxy(place).state, sources.sources(place).state) == ("skip", "skip")


@needs_tinyproxy
def test_a_proxy_lets_through_or_says_no(fleet: Fleet, tmp_path: Path) -> None:
    move(fleet, NAME)
    with hosting.tinyproxy(tmp_path, user="pi", password="open-sesame") as port:
        place = configure(fleet, f'proxy = "http://127.0.0.1:{port}"\n')
        found = sources.proxy(place)
        assert (found.state, "407" in found.wrong or "401" in found.wrong) == ("fail", True)
        secret = tmp_path / "secret"
        secret.write_text("open-sesame")
        secret.chmod(0o600)
        place = configure(
            fleet, f'proxy = "http://pi@127.0.0.1:{port}"\nproxy_secret = "{secret}"\n'
        )
        assert sources.proxy(place).state == "ok"
        # Console and broker are behind it, and their certificates are for another name.
        for check in (network.console, network.broker):
            found = check(place)
            assert (found.state, "enrolled by another name" in found.wrong) == ("fail", True)
    found = sources.proxy(place)
    assert (found.state, "does not answer" in found.wrong) == ("fail", True)
    assert "does not answer" in network.console(place).wrong


@needs_nginx
def test_copies_and_folders(fleet: Fleet, tmp_path: Path) -> None:
    tls, repo = ConsoleCa(tmp_path / "tls"), fleet.repo.folder
    with hosting.nginx(tmp_path, repo, tls=tls) as url:
        lines = f'sources = ["https", "{url}", "dir:{repo}"]\n'
        found = sources.sources(configure(fleet, f'{lines}sources_ca = "{tls.ca}"\n'))
        assert (found.state, "a repository is there" in found.found) == ("ok", True)
        found = sources.sources(configure(fleet, lines))
        assert (found.state, "sources_ca" in found.wrong) == ("fail", True)
        found = sources.sources(
            configure(
                fleet,
                f'sources = ["{url}/elsewhere", "dir:/no/where"]\nsources_ca = "{tls.ca}"\n',
            )
        )
        assert (found.state, found.do) == (
            "fail",
            f"curl -v {url}/elsewhere/metadata/timestamp.json",
        )
        assert "/no/where: no repository is there" in found.wrong
